"""Which of a shop's locales a reader gets. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.translation.trans_real import parse_accept_lang_header

LOCALE_SEGMENT = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*"
"""A locale as the first segment of a page's address: `en`, `de-AT`."""

_ADDRESSABLE = re.compile(rf"{LOCALE_SEGMENT}\Z")


def choose_locale(wanted: str, *, offered: Sequence[str], default: str) -> str:
    """`wanted` when the shop offers it, else the first offered locale of the same language, else `default`.

    Case and the two spellings of a region don't matter: `de_at` finds `de-AT`, and `de-CH` finds `de`.
    """
    asked = wanted.replace("_", "-").lower()
    for locale in offered:
        if locale.lower() == asked:
            return locale
    language = asked.partition("-")[0]
    for locale in offered:
        if locale.lower().partition("-")[0] == language:
            return locale
    return default


def locale_for_browser(accept_language: str, *, offered: Sequence[str], default: str) -> str:
    """The offered locale that an `Accept-Language` header likes best, else `default`. Rubbish likes nothing."""
    for wanted, quality in parse_accept_lang_header(accept_language):
        if quality and (found := choose_locale(wanted, offered=offered, default="")):
            return found
    return default


def addressable(locale: str) -> bool:
    """Whether a page's address can begin with `locale`, in this very spelling."""
    return _ADDRESSABLE.match(locale) is not None

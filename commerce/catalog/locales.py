"""Which of a shop's locales a reader gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence


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

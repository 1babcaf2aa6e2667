"""How staff see commerce: money in the shop's own locale, documents, addresses; the rest is tenants/panels.py's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from commerce.money import format_minor
from tenants.display import EMPTY
from tenants.models import Shop
from tenants.panels import User, may_view, mono, pairs, panel, reader_link, shop_moment, table, whole, zone_of

__all__ = [
    "User",
    "address",
    "document",
    "locale_of",
    "may_view",
    "mono",
    "pairs",
    "panel",
    "reader_link",
    "shop_amount",
    "shop_moment",
    "shortened",
    "table",
    "to_the_second",
    "whole",
    "zone_of",
]


def locale_of(shop: Shop) -> str:
    settings = getattr(shop, "settings", None)
    return settings.default_locale if settings else "en"


def shop_amount(shop: Shop, amount: int | None, currency: str) -> str:
    """Minor units as the shop's customers read them."""
    if amount is None or not currency:
        return EMPTY
    return format_minor(amount, currency, locale_of(shop))


def to_the_second(shop: Shop | None, moment: datetime) -> str:
    """For stories: what happens at a checkout happens within seconds."""
    return moment.astimezone(ZoneInfo(zone_of(shop))).strftime("%Y-%m-%d %H:%M:%S")


def document(value: object) -> SafeString:
    """JSON to read, as it is kept: amounts inside are in their author's units."""
    return format_html(
        '<pre class="bg-base-50 dark:bg-base-800 overflow-auto p-3 rounded-default text-xs" style="max-height:32rem">'
        "{}</pre>",
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False, default=str),
    )


def address(value: Mapping[str, Any] | None) -> str:
    """A postal address on one line, whichever of Stripe's two shapes it has."""
    if not value:
        return EMPTY
    nested = value.get("address")
    parts = [value.get("name"), *(nested if isinstance(nested, Mapping) else {}).values()]
    if not isinstance(nested, Mapping):
        parts = list(value.values())
    return ", ".join(str(part) for part in parts if isinstance(part, str) and part) or EMPTY


def shortened(text: str, longest: int) -> SafeString | str:
    """The beginning of a long text, all of it on hover."""
    if len(text) <= longest:
        return text or EMPTY
    return format_html('<span title="{}">{}…</span>', text, text[: longest - 1])

"""How staff see values: money, times, states, links. Everything here escapes what it is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

Tone = Literal["good", "warn", "bad", "info", "plain"]
MoneyFormatter = Callable[[int, str, str], str]
"""`(minor units, currency, locale) → text`; commerce owns the only one."""

EMPTY = "–"
LABEL = "inline-block font-semibold rounded-default text-[11px] uppercase whitespace-nowrap h-6 leading-6 px-2 "
TONES: dict[Tone, str] = {
    "good": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "warn": "bg-orange-100 text-orange-700 dark:bg-orange-500/20 dark:text-orange-400",
    "bad": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "info": "bg-blue-100 text-blue-700 dark:bg-blue-500/20 dark:text-blue-400",
    "plain": "bg-base-500/8 text-base-700 dark:bg-base-500/20 dark:text-base-200",
}


def badge(text: object, tone: Tone = "plain") -> SafeString:
    """A coloured label. The text says it too: colour alone reaches not everybody."""
    return format_html('<span class="{}">{}</span>', LABEL + TONES[tone], text)


def money(
    amount_field: str, currency_field: str, label: str, *, formatter: MoneyFormatter, locale: str = "en"
) -> Callable[[Any, Any], str]:
    """A list column for an amount in minor units beside its currency; `__` follows relations. Sorts by the amount.

    `formatter` comes from commerce, which tenants can't import.
    """

    @admin.display(description=label, ordering=amount_field)
    def column(self: Any, row: Any) -> str:
        amount, currency = follow(row, amount_field), follow(row, currency_field)
        return EMPTY if amount is None or not currency else formatter(amount, currency, locale)

    return column


def follow(row: Any, path: str) -> Any:
    """`follow(row, "order__currency")`: attributes as in a query, None where a relation is empty."""
    for name in path.split("__"):
        row = getattr(row, name, None) if row is not None else None
    return row


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `4 d 2 h`: at most two units, rounded down."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def time_left(moment: datetime | None, *, now: datetime | None = None) -> SafeString | str:
    """`in 12 min` or `3 min ago`, with the exact time on hover."""
    if moment is None:
        return EMPTY
    seconds = (moment - (now or timezone.now())).total_seconds()
    text = f"in {duration(seconds)}" if seconds >= 0 else f"{duration(-seconds)} ago"
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', moment.isoformat(timespec="seconds"), text)


def shop_time(moment: datetime | None, time_zone: str = "UTC") -> str:
    """`2026-11-21 14:05 CET`: in the shop's own zone, and saying so."""
    if moment is None:
        return EMPTY
    return moment.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M %Z")


def link_to(row: Model | None, text: object | None = None) -> SafeString | str:
    """A link to the row's page in the back office; only its text where the model has none."""
    if row is None:
        return EMPTY
    shown = str(row) if text is None else str(text)
    if (url := change_url(row)) is None:
        return shown
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', url, shown)


def change_url(row: Model) -> str | None:
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))
    except NoReverseMatch:
        return None


def list_url(model: type[Model], query: str = "") -> str | None:
    """The list of a registered model, filtered by `query` (without its question mark); None where there is no list."""
    url = _list_path(model)
    return f"{url}?{query}" if url and query else url


@cache
def _list_path(model: type[Model]) -> str | None:
    """Looked up once: the sidebar of every page has all of them."""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    except NoReverseMatch:
        return None

"""What an object's page shows where no field of the model would do: tables, facts, links that the reader may follow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from tenants.display import EMPTY, link_to, shop_time
from tenants.models import Shop

User = AbstractBaseUser | AnonymousUser

CELL = "align-top border-b border-base-200 dark:border-base-800 px-3 py-2"
CARD = "border border-base-200 rounded-default shadow-xs overflow-x-auto dark:border-base-800"
# unfold keeps a fieldset's description narrow and draws a box for its fields even where there are none; a browser makes
# a fieldset as wide as its widest table, where that should scroll.
WIDE = "<style>.panel{min-width:0}.panel>.max-w-4xl{max-width:none;margin:0}.panel>.form-rows{display:none}</style>"


def zone_of(shop: Shop | None) -> str:
    settings = getattr(shop, "settings", None)
    return settings.time_zone if settings else "UTC"


def shop_moment(shop: Shop | None, moment: datetime | None) -> str:
    return shop_time(moment, zone_of(shop))


def may_view(reader: User, model: type[Model] | Model) -> bool:
    meta = model._meta
    return bool(reader.is_active and getattr(reader, "has_perm")(f"{meta.app_label}.view_{meta.model_name}"))  # noqa: B009


def reader_link(reader: User, row: Model | None, text: object | None = None) -> str:
    """A link where the reader may follow it, else its text: an address that answers 403 helps nobody."""
    if row is None:
        return EMPTY
    if may_view(reader, row):
        return link_to(row, text)
    return str(row) if text is None else str(text)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[int] = (),
    whole: Collection[int] = (),
    empty: str = "",
) -> SafeString:
    """An HTML table; every cell is escaped unless it is safe already. `right`: columns of numbers; `whole`: columns
    that are never broken into lines; `empty`: the sentence that stands in place of a table without rows.
    """
    rows = list(rows)
    if empty and not rows:
        return format_html('<p class="px-3 py-2">{}</p>', empty)
    sides = ["text-right" if index in right else "text-left" for index in range(len(head))]
    cells = [f"{CELL} {side}{' whitespace-nowrap' if index in whole else ''}" for index, side in enumerate(sides)]
    return format_html(
        '<div class="{}"><table class="w-full"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        CARD,
        format_html_join("", '<th class="font-semibold px-3 py-2 {}">{}</th>', zip(sides, head, strict=True)),
        format_html_join("", "<tr>{}</tr>", ((_cells(row, cells),) for row in rows)),
    )


def _cells(row: Sequence[object], classes: Sequence[str]) -> SafeString:
    return format_html_join("", '<td class="{}">{}</td>', zip(classes, row, strict=True))


def pairs(rows: Iterable[tuple[str, object]]) -> SafeString:
    """Names and values, for facts that no field of the model holds."""
    return format_html(
        '<div class="{}"><table class="w-full"><tbody>{}</tbody></table></div>',
        CARD,
        format_html_join(
            "",
            '<tr><th class="font-semibold text-left whitespace-nowrap {}" style="width:14rem">{}</th>'
            '<td class="{}">{}</td></tr>',
            ((CELL, name, CELL, value) for name, value in rows),
        ),
    )


def whole(text: object) -> SafeString:
    """What a narrow column must not break into lines."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def mono(text: object) -> SafeString | str:
    """An id, to be copied."""
    return format_html('<code style="font-family:monospace">{}</code>', text) if text else EMPTY


def panel(title: str, build: Callable[[], object]) -> tuple[str, dict[str, Any]]:
    """A fieldset that shows what `build` returns, where no field of the model would do.

    Built when the page shows it and not before: Django asks for fieldsets several times over.
    """
    shown = SimpleLazyObject(lambda: format_html("{}{}", mark_safe(WIDE), build()))  # noqa: S308  a constant
    return title, {"fields": (), "classes": ("panel",), "description": shown}

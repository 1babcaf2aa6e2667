"""Booking units of a stock row by days, which tests count from a Monday in the future."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from inventory.holds import Line, place_hold, release_hold
from inventory.models import StockDay, StockRow
from tests.fixtures.periods import monday
from tests.inventory.steps import API

MONDAY = monday()


def day(number: int) -> Any:
    return MONDAY + timedelta(days=number)


def wish(row: StockRow, first: int, last: int, quantity: int = 1) -> Line:
    """Units of `row` from one day to another, counted from a Monday in the future."""
    return Line(row.sku, row.variant_key, quantity, day(first), day(last))


def book(row: StockRow, first: int, last: int, quantity: int = 1, *, key: str = "", **more: Any) -> Any:
    lines = more.pop("lines", None) or [wish(row, first, last, quantity)]
    return place_hold(
        shop_id=row.owner_id, key=key or uuid4().hex, lines=lines, ttl_seconds=1200, acting=API, **more
    )  # fmt: skip


def booked(row: StockRow) -> dict[int, int]:
    days = StockDay.objects.filter(stock_row=row, booked__gt=0).values_list("day", "booked")
    return {(at - MONDAY).days: units for at, units in days}


def end(row: StockRow, placed: Any, verb: Any = release_hold) -> Any:
    return verb(shop_id=row.owner_id, hold_id=placed.hold_id, reason="A test", acting=API)

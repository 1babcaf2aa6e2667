"""Unit prices from catalog facts: pure, shared by cart and checkout so that both compute the same number."""

from __future__ import annotations

from datetime import date

from commerce.catalog.lookup import CatalogItem


def rental_days(*, start: date, end: date) -> int:
    """Days of a rental, both the day of pick-up and the day of return included: same-day is one day.

    Whole calendar days, as a unit is out of the shop on each of them.
    """
    if end < start:
        raise ValueError("A rental ends on or after the day it starts.")
    return (end - start).days + 1


def unit_amount(item: CatalogItem, *, rental_start: date | None = None, rental_end: date | None = None) -> int:
    """What one unit costs, in minor units of `item.currency`, without its deposit.

    A sale's price is the variant's; a rental's is the price per day times the days of the period.
    """
    if rental_start is None or rental_end is None:
        return item.price_amount
    return item.price_amount * rental_days(start=rental_start, end=rental_end)


def deposit_amount(item: CatalogItem, *, rental_start: date | None = None) -> int:
    """The refundable deposit for one unit, in minor units: for a rental only, never for a sale (K8)."""
    return 0 if rental_start is None else item.deposit_amount

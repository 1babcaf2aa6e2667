"""Unit prices from catalog facts: pure, shared by cart and checkout so that both compute the same number."""

from __future__ import annotations

from datetime import date

from commerce.catalog.lookup import CatalogItem
from commerce.rentals.pricing import rental_price


def unit_amount(item: CatalogItem, *, rental_start: date | None = None, rental_end: date | None = None) -> int:
    """What one unit costs, in minor units of `item.currency`, without its deposit.

    A sale's price is the variant's; a rental's is the best that its rates make of the period's days.
    """
    if rental_start is None or rental_end is None:
        return item.price_amount
    return rental_price(item.rates, start=rental_start, end=rental_end).amount


def deposit_amount(item: CatalogItem, *, rental_start: date | None = None) -> int:
    """The refundable deposit for one unit, in minor units: for a rental only, never for a sale (K8)."""
    return 0 if rental_start is None else item.deposit_amount

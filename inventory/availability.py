"""What is available: one indexed query, no locks. A preview; only a hold decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from django.db import connection

State = Literal["in_stock", "low", "out"]

_BY_KEY: Final = "SELECT variant_key, available FROM inventory_stockrow WHERE owner_id = %s AND variant_key = ANY (%s)"
_BY_SKU: Final = """
    SELECT sku, variant_key, available, low_stock_threshold FROM inventory_stockrow
    WHERE owner_id = %s AND sku = ANY (%s) ORDER BY variant_key
"""


@dataclass(frozen=True, slots=True)
class Availability:
    """One variant's units. `low` means: some left, but no more than the row's threshold."""

    sku: str
    variant_key: str
    available: int
    state: State


def state_of(*, available: int, threshold: int) -> State:
    """How a shop window puts it. A threshold of 0 means that nothing counts as low."""
    if available <= 0:
        return "out"
    return "low" if available <= threshold else "in_stock"


def available_by_key(*, shop_id: str, variant_keys: Iterable[str]) -> dict[str, int]:
    """Units available per variant key; keys without a stock row are absent. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_KEY, [shop_id, list(variant_keys)])
        return dict(cursor.fetchall())


def available_for_skus(*, shop_id: str, skus: Sequence[str]) -> list[Availability]:
    """Every variant of the SKUs, in the order of the SKUs given; a SKU without stock rows is out under its own name.

    One query.
    """
    variants: dict[str, list[Availability]] = {sku: [] for sku in skus}
    with connection.cursor() as cursor:
        cursor.execute(_BY_SKU, [shop_id, list(variants)])
        for sku, key, available, threshold in cursor.fetchall():
            variants[sku].append(Availability(sku, key, available, state_of(available=available, threshold=threshold)))
    return [item for sku, found in variants.items() for item in found or [Availability(sku, sku, 0, "out")]]

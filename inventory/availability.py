"""What is available: one indexed query, no locks. A preview; only a hold decides.

The statements are functions of the database (migrations/0010_availability.py), whose plans a connection keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import connection

from inventory.central import Central, query_may_fail, through_routes
from inventory.errors import CentralQueryFailed, InventoryUnavailable
from inventory.lines import Line
from tenants.postgres.direct import ask_all, text_array

State = Literal["in_stock", "low", "out"]

# Without routes, for when the functions that know them fail.
_BY_KEY_OWN: Final = """
    SELECT variant_key, available, NULL FROM inventory_stockrow
    WHERE owner_id = %s AND variant_key = ANY (%s::text[])
"""
_BY_SKU_OWN: Final = """
    SELECT sku, variant_key, available, low_stock_threshold FROM inventory_stockrow
    WHERE owner_id = %s AND sku = ANY (%s::text[])
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
    keys = list(variant_keys)
    try:
        found = _look(shop_id, keys, [1] * len(keys))
    except CentralQueryFailed:
        return {}  # a preview never stands in the way of a page: what can't be confirmed is out
    return {key: units for key, units, _ in found if units is not None}


def available_for_lines(*, shop_id: str, lines: Sequence[Line]) -> dict[str, int]:
    """Units available for each of the lines, whose variants are distinct; 0 without a stock row. One query.

    Unlike a preview it asks for the quantities, which an allocation may not have left, and raises InventoryUnavailable
    where placing a hold would.
    """
    found = _look(shop_id, [line.variant_key for line in lines], [line.quantity for line in lines])
    if troubles := {key: trouble for key, _, trouble in found if trouble is not None}:
        raise InventoryUnavailable(troubles)
    units = {key: units for key, units, _ in found if units is not None}
    return {line.variant_key: units.get(line.variant_key, 0) for line in lines}


def available_for_skus(*, shop_id: str, skus: Sequence[str]) -> list[Availability]:
    """Every variant of the SKUs, in the order of the SKUs given; a SKU without stock rows is out under its own name.

    One query.
    """
    variants: dict[str, list[Availability]] = {sku: [] for sku in skus}
    wanted = text_array(list(variants))

    def ask(central: Central) -> list[Any]:
        if central == "own":
            return _own(_BY_SKU_OWN, shop_id, wanted)
        with query_may_fail(central):
            return ask_all(
                columns="o_sku, o_variant_key, o_available, o_threshold",
                function="inventory_available_by_sku",
                shop_id=shop_id,
                arguments="%s::text[], %s",
                values=(wanted, central == "enforced"),
            )

    try:
        rows = through_routes(shop_id=shop_id, work=ask)
    except CentralQueryFailed:
        rows = []  # as above
    for sku, key, available, threshold in sorted(rows):
        variants[sku].append(Availability(sku, key, available, state_of(available=available, threshold=threshold)))
    return [item for sku, found in variants.items() for item in found or [Availability(sku, sku, 0, "out")]]


def _look(shop_id: str, keys: list[str], quantities: list[int]) -> list[tuple[str, int | None, str | None]]:
    wanted = text_array(keys)

    def ask(central: Central) -> list[Any]:
        if central == "own":
            return _own(_BY_KEY_OWN, shop_id, wanted)
        with query_may_fail(central):
            return ask_all(
                columns="o_variant_key, o_available, o_trouble",
                function="inventory_available_by_key",
                shop_id=shop_id,
                arguments="%s::text[], %s::integer[], %s",
                values=(wanted, quantities, central == "enforced"),
            )

    return through_routes(shop_id=shop_id, work=ask)


def _own(statement: str, shop_id: str, wanted: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [shop_id, wanted])
        rows: list[Any] = cursor.fetchall()
    return rows

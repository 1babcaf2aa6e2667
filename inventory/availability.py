"""What is available: one indexed query, no locks. A preview; only a hold decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import connection

from inventory.central import Central, query_may_fail, through_routes
from inventory.errors import CentralQueryFailed, InventoryUnavailable
from inventory.lines import Line

State = Literal["in_stock", "low", "out"]

# One row per variant, from where the shop would sell it now: its route's row or its own. Through `rule`, the mode is
# found once per statement. What a route is missing is no news here: whoever has neither row is simply out.
_BY_KEY: Final = """
    WITH rule AS MATERIALIZED (SELECT inventory_central_mode(%(shop)s, %(enforced)s) AS mode)
    SELECT w.variant_key, f.o_available,
           CASE WHEN rule.mode = 'strict' THEN f.o_trouble END
    FROM rule, unnest(%(keys)s::text[], %(quantities)s::integer[]) AS w (variant_key, quantity)
    CROSS JOIN LATERAL inventory_stock_source(%(shop)s, w.variant_key, w.quantity, rule.mode) AS f
"""
_BY_KEY_OWN: Final = """
    SELECT variant_key, available, NULL FROM inventory_stockrow
    WHERE owner_id = %(shop)s AND variant_key = ANY (%(keys)s)
"""
_BY_SKU: Final = """
    WITH rule AS MATERIALIZED (SELECT inventory_central_mode(%(shop)s, %(enforced)s) AS mode),
    variants AS (
        SELECT s.sku, s.variant_key FROM inventory_stockrow s WHERE s.owner_id = %(shop)s AND s.sku = ANY (%(skus)s)
        UNION
        SELECT r.sku, r.variant_key FROM inventory_poolroute r
            WHERE r.shop_id = %(shop)s AND r.sku = ANY (%(skus)s) AND r.enabled)
    SELECT v.sku, v.variant_key, coalesce(f.o_available, 0), coalesce(f.o_threshold, 0)
    FROM rule, variants v
    CROSS JOIN LATERAL inventory_stock_source(%(shop)s, v.variant_key, 1, rule.mode) AS f
    ORDER BY v.variant_key
"""
_BY_SKU_OWN: Final = """
    SELECT sku, variant_key, available, low_stock_threshold FROM inventory_stockrow
    WHERE owner_id = %(shop)s AND sku = ANY (%(skus)s) ORDER BY variant_key
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
    asked = {"shop": shop_id, "skus": list(variants)}
    try:
        rows = _ask(shop_id, _BY_SKU, _BY_SKU_OWN, asked)
    except CentralQueryFailed:
        rows = []  # as above
    for sku, key, available, threshold in rows:
        variants[sku].append(Availability(sku, key, available, state_of(available=available, threshold=threshold)))
    return [item for sku, found in variants.items() for item in found or [Availability(sku, sku, 0, "out")]]


def _look(shop_id: str, keys: list[str], quantities: list[int]) -> list[tuple[str, int | None, str | None]]:
    return _ask(shop_id, _BY_KEY, _BY_KEY_OWN, {"shop": shop_id, "keys": keys, "quantities": quantities})


def _ask(shop_id: str, through_pools: str, own_alone: str, asked: dict[str, Any]) -> list[Any]:
    """The rows of one statement, or of its plainer sister when that one fails."""

    def ask(central: Central) -> list[Any]:
        with query_may_fail(central), connection.cursor() as cursor:
            statement = own_alone if central == "own" else through_pools
            cursor.execute(statement, asked | {"enforced": central == "enforced"})
            rows: list[Any] = cursor.fetchall()
        return rows

    return through_routes(shop_id=shop_id, work=ask)

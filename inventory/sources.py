"""The rows that a shop sells its variants from, locked: its own, or those of its routes. For sales without a hold, and
returns; holds do the same in one statement (migrations/0006_placing_holds.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest

from inventory import central
from inventory.errors import InventoryUnavailable
from inventory.lines import Line
from inventory.locks import bound_lock_waits, busy, lock_routes, lock_rows, queue_for_rows
from inventory.models import PoolRoute, StockRow

_SOURCES: Final = """
    WITH rule AS MATERIALIZED (SELECT inventory_central_mode(%s, %s) AS mode)
    SELECT rule.mode, w.variant_key, f.o_stock_row, f.o_route, f.o_trouble
    FROM rule, unnest(%s::text[], %s::integer[]) AS w (variant_key, quantity)
    CROSS JOIN LATERAL inventory_stock_source(%s, w.variant_key, w.quantity, rule.mode) AS f
"""


@dataclass(frozen=True, slots=True)
class LockedSources:
    """`rows` and `routes` by variant key; variants without a row are absent. `troubles` are the fallbacks to count."""

    shop_id: str
    rows: dict[str, StockRow]
    routes: dict[str, PoolRoute]
    troubles: dict[str, str]

    def available(self, variant_key: str) -> int:
        row = self.rows.get(variant_key)
        return row.available if row is not None else 0

    def sold(self, units: Mapping[str, int]) -> None:
        """Counts units, negative ones for returns, against the allocations of those that have a route. What was sold
        before the allocation was renewed returns to nobody's count.
        """
        for key, route in sorted(self.routes.items(), key=lambda entry: entry[1].pk):
            PoolRoute.objects.filter(pk=route.pk).update(sold=Greatest(F("sold") + units[key], 0))

    def count_fallback(self) -> None:
        if self.troubles:
            central.count_fallback(shop_id=self.shop_id, troubles=self.troubles)


def lock_sources(*, shop_id: str, wanted: Sequence[Line], returning: bool = False) -> LockedSources:
    """Finds and locks the rows of distinct lines, and their routes, until the transaction ends.

    With `returning`, allocations and rules are not asked: units find their way back from wherever they were sold.
    Raises InventoryUnavailable for a shop that fails closed, and InventoryBusy when an allocation was used up between
    the look and the lock: its own row now would be one out of order.
    """
    bound_lock_waits()
    quantities = [0 if returning else line.quantity for line in wanted]
    enforced = not returning and central.central_rule() == "enforced"
    with connection.cursor() as cursor:
        cursor.execute(_SOURCES, [shop_id, enforced, [line.variant_key for line in wanted], quantities, shop_id])
        found = cursor.fetchall()
    expected = {"no_route"} if any(mode == "lenient" for mode, *_ in found) else set()
    troubles = {key: trouble for _, key, _, _, trouble in found if trouble is not None and trouble not in expected}
    if troubles and any(mode == "strict" for mode, *_ in found):
        raise InventoryUnavailable(troubles)
    queue_for_rows([row_id for _, _, row_id, _, _ in found if row_id is not None])
    routes = lock_routes(route_id for _, _, _, route_id, _ in found if route_id is not None)
    rows = lock_rows(row_id for _, _, row_id, _, _ in found if row_id is not None)
    locked = LockedSources(
        shop_id=shop_id,
        rows={key: rows[row_id] for _, key, row_id, _, _ in found if row_id is not None},
        routes={key: routes[route_id] for _, key, _, route_id, _ in found if route_id is not None},
        troubles=troubles,
    )
    asked = {line.variant_key: line.quantity for line in wanted}
    if not returning and any(not route.allows(asked[key]) for key, route in locked.routes.items()):
        raise busy(shop_id=shop_id)
    return locked

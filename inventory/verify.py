"""The proof that the stock is what its history says (I13): `held` is the sum of active hold items, `on_hand` the sum of
movements, for every row; `held` of a route is the sum of its shop's active items on it; what is booked on a day is the
sum of the holds that have it. It reports, and never repairs.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import connection
from django.utils import timezone

from inventory.models import InventoryRun
from inventory.periods import first_day

log = structlog.get_logger(__name__)

# A report that nobody can read helps nobody; the counts are complete all the same.
MAX_LISTED: Final = 1000
MAX_LOGGED: Final = 100
PROOFS_KEPT: Final = timedelta(days=90)

# One statement, so one moment; counted and cut in the database, so that a proof of a million rows that all drift takes
# no more memory than a clean one.
# `sold` of a route begins anew with every renewed allocation, and so proves nothing.
_DRIFT: Final = """
    WITH holding AS (
        SELECT i.stock_row_id, sum(i.quantity) AS units FROM inventory_hold h
        JOIN inventory_holditem i ON i.hold_id = h.id WHERE h.status = 'active' GROUP BY i.stock_row_id),
    moved AS (
        SELECT m.stock_row_id, sum(m.delta) AS units FROM inventory_stockmovement m
        WHERE %(owner)s::text IS NULL OR m.owner_id = %(owner)s GROUP BY m.stock_row_id),
    drift AS MATERIALIZED (
        SELECT s.id, s.owner_id, s.variant_key, s.held, coalesce(holding.units, 0) AS held_by_items,
            s.on_hand, coalesce(moved.units, 0) AS on_hand_by_movements
        FROM inventory_stockrow s
        LEFT JOIN holding ON holding.stock_row_id = s.id
        LEFT JOIN moved ON moved.stock_row_id = s.id
        WHERE (%(owner)s::text IS NULL OR s.owner_id = %(owner)s)
          AND (s.held <> coalesce(holding.units, 0) OR s.on_hand <> coalesce(moved.units, 0))),
    listed AS (SELECT * FROM drift ORDER BY owner_id, variant_key LIMIT %(listed)s),
    routed AS (
        SELECT i.route_id, sum(i.quantity) AS units FROM inventory_hold h
        JOIN inventory_holditem i ON i.hold_id = h.id
        WHERE h.status = 'active' AND i.route_id IS NOT NULL GROUP BY i.route_id),
    route_drift AS MATERIALIZED (
        SELECT r.id AS route_id, r.shop_id, r.variant_key, r.held, coalesce(routed.units, 0) AS held_by_items
        FROM inventory_poolroute r LEFT JOIN routed ON routed.route_id = r.id
        WHERE (%(owner)s::text IS NULL OR %(owner)s IN (r.shop_id, r.pool_id)) AND r.held <> coalesce(routed.units, 0)),
    listed_routes AS (SELECT * FROM route_drift ORDER BY shop_id, variant_key LIMIT %(listed)s),
    booking AS (
        SELECT p.shop_id AS owner_id, p.stock_row_id, p.starts + g.n AS day, sum(p.quantity) AS units
        FROM inventory_holdperiod p JOIN inventory_hold h ON h.id = p.hold_id
        CROSS JOIN LATERAL generate_series(greatest(0, %(since)s - p.starts), p.blocked_until - p.starts) AS g (n)
        WHERE h.status IN ('active', 'committed') AND p.blocked_until >= %(since)s
          AND (%(owner)s::text IS NULL OR p.shop_id = %(owner)s)
        GROUP BY 1, 2, 3),
    day_drift AS MATERIALIZED (
        SELECT s.id AS stock_row_id, s.owner_id, s.variant_key, coalesce(d.day, booking.day) AS day,
            coalesce(d.booked, 0) AS booked, coalesce(booking.units, 0) AS booked_by_holds,
            coalesce(d.capacity, s.on_hand) AS capacity, s.on_hand
        FROM (SELECT * FROM inventory_stockday WHERE day >= %(since)s
                AND (%(owner)s::text IS NULL OR owner_id = %(owner)s)) d
        FULL JOIN booking USING (owner_id, stock_row_id, day)
        JOIN inventory_stockrow s ON s.id = coalesce(d.stock_row_id, booking.stock_row_id)
        WHERE coalesce(d.booked, 0) <> coalesce(booking.units, 0) OR coalesce(d.capacity, s.on_hand) <> s.on_hand),
    listed_days AS (SELECT * FROM day_drift ORDER BY owner_id, variant_key, day LIMIT %(listed)s)
    SELECT
        (SELECT count(*) FROM inventory_stockrow WHERE %(owner)s::text IS NULL OR owner_id = %(owner)s),
        (SELECT coalesce(jsonb_object_agg(c.owner_id, c.rows), '{}')
            FROM (SELECT d.owner_id, count(*) AS rows
                  FROM (SELECT owner_id FROM drift UNION ALL SELECT shop_id FROM route_drift
                  UNION ALL SELECT owner_id FROM day_drift) d GROUP BY d.owner_id) c),
        (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.owner_id, l.variant_key), '[]') FROM listed l),
        (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.shop_id, l.variant_key), '[]') FROM listed_routes l),
        (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.owner_id, l.variant_key, l.day), '[]') FROM listed_days l)
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """A row that differs from its history. The first of each pair is the row's, the second what explains it."""

    id: int
    owner_id: str
    variant_key: str
    held: int
    held_by_items: int
    on_hand: int
    on_hand_by_movements: int


@dataclass(frozen=True, slots=True)
class RouteDrift:
    """A route that doesn't hold what its shop's items say."""

    route_id: int
    shop_id: str
    variant_key: str
    held: int
    held_by_items: int


@dataclass(frozen=True, slots=True)
class DayDrift:
    """A day of a row, yesterday or later, that hasn't booked what its holds say, or not of as many as there are."""

    stock_row_id: int
    owner_id: str
    variant_key: str
    day: str
    booked: int
    booked_by_holds: int
    capacity: int
    on_hand: int


@dataclass(frozen=True, slots=True)
class StockProof:
    """`drifted` counts rows and days per owner, and routes per shop; the others list the first thousand of each."""

    rows: int
    drifted: dict[str, int]
    drifts: tuple[Drift, ...]
    seconds: float
    route_drifts: tuple[RouteDrift, ...] = ()
    day_drifts: tuple[DayDrift, ...] = ()
    run_id: int | None = None
    """Of the run that keeps it; None for a proof that nobody keeps."""

    @property
    def clean(self) -> bool:
        return not self.drifted

    def as_json(self) -> dict[str, Any]:
        return {
            "clean": self.clean,
            "rows": self.rows,
            "drifted": self.drifted,
            "drifts": [
                {
                    "stockRowId": drift.id,
                    "owner": drift.owner_id,
                    "variantKey": drift.variant_key,
                    "held": {"row": drift.held, "holdItems": drift.held_by_items},
                    "onHand": {"row": drift.on_hand, "movements": drift.on_hand_by_movements},
                }
                for drift in self.drifts
            ],
            "routeDrifts": [
                {
                    "routeId": drift.route_id,
                    "shopId": drift.shop_id,
                    "variantKey": drift.variant_key,
                    "held": {"route": drift.held, "holdItems": drift.held_by_items},
                }
                for drift in self.route_drifts
            ],
            "dayDrifts": [
                {
                    "stockRowId": drift.stock_row_id,
                    "owner": drift.owner_id,
                    "variantKey": drift.variant_key,
                    "day": drift.day,
                    "booked": {"day": drift.booked, "holds": drift.booked_by_holds},
                    "capacity": {"day": drift.capacity, "row": drift.on_hand},
                }
                for drift in self.day_drifts
            ],
            "seconds": round(self.seconds, 3),
        }


def verify_stock(*, owner_id: str | None = None) -> StockProof:
    """Compares every row with its history, or one owner's rows. Writes nothing."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        since = first_day(timezone.now())
        cursor.execute(_DRIFT, {"owner": owner_id, "listed": MAX_LISTED, "since": since})
        rows, drifted, listed, routes, days = cursor.fetchone()
    return StockProof(
        rows=rows,
        drifted=dict(sorted(json.loads(drifted).items())),
        drifts=tuple(Drift(**drift) for drift in json.loads(listed)),
        seconds=time.monotonic() - began,
        route_drifts=tuple(RouteDrift(**drift) for drift in json.loads(routes)),
        day_drifts=tuple(DayDrift(**drift) for drift in json.loads(days)),
    )


def prove_stock() -> StockProof:
    """Verifies everything, keeps the result where metrics and the admin find it, and logs every drift as an error."""
    started_at = timezone.now()
    proof = verify_stock()
    finished_at = timezone.now()
    run = InventoryRun.objects.create(
        kind=InventoryRun.Kind.VERIFY,
        started_at=started_at,
        finished_at=finished_at,
        healthy=proof.clean,
        report=proof.as_json(),
    )
    InventoryRun.objects.filter(kind=InventoryRun.Kind.VERIFY, finished_at__lt=finished_at - PROOFS_KEPT).delete()
    for drift in proof.drifts[:MAX_LOGGED]:
        log.error("stock_drift", shop_id=drift.owner_id, **asdict(drift))
    for route in proof.route_drifts[:MAX_LOGGED]:
        log.error("allocation_drift", **asdict(route))
    for day in proof.day_drifts[:MAX_LOGGED]:
        log.error("booking_drift", shop_id=day.owner_id, **asdict(day))
    log.info("stock_verified", rows=proof.rows, drifted=sum(proof.drifted.values()), seconds=round(proof.seconds, 3))
    return replace(proof, run_id=run.pk)

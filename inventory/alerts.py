"""Low stock is noticed (I8): every fall to a row's threshold raises one alert, and one a day while it stays there.

A scan, not a mark made by whoever takes stock: placing a hold is the hot path, and pays nothing for this. It reads the
rows that have a threshold, through an index that no sale touches, takes no lock on any, and decides by what is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import DatabaseError, connection, transaction

from inventory import metrics
from inventory.holds import refuse_transaction
from inventory.models import StockOwner
from tenants.models import Shop

log = structlog.get_logger(__name__)

COOLDOWN: Final = timedelta(hours=24)
BATCH: Final = 500

# One watcher per owner at a time: a second one would find nothing else, and wait for the first one's alerts. Whoever
# adds a stock row meanwhile isn't kept: the key stays as it is.
_CLAIM: Final = "SELECT 1 FROM inventory_stockowner WHERE id = %(owner)s FOR NO KEY UPDATE SKIP LOCKED"
_CLOSE: Final = """
    UPDATE inventory_stockalert a
        SET closed_at = %(now)s,
            closed_as = CASE WHEN s.low_stock_threshold = 0 OR s.available > s.low_stock_threshold
                THEN 'recovered' ELSE 'repeated' END
    FROM inventory_stockrow s
    WHERE a.owner_id = %(owner)s AND a.closed_at IS NULL AND s.owner_id = a.owner_id AND s.id = a.stock_row_id
      AND (s.low_stock_threshold = 0 OR s.available > s.low_stock_threshold OR a.raised_at <= %(again)s)
    RETURNING a.closed_as
"""
# What another watcher raised a moment ago is a conflict, and no second alert.
_RAISE: Final = """
    WITH raised AS (
        INSERT INTO inventory_stockalert (owner_id, stock_row_id, on_hand, held, threshold, raised_at, closed_as)
            SELECT s.owner_id, s.id, s.on_hand, s.held, s.low_stock_threshold, %(now)s, ''
            FROM inventory_stockrow s
            WHERE s.owner_id = %(owner)s AND s.low_stock_threshold > 0 AND s.available <= s.low_stock_threshold
              AND NOT EXISTS (SELECT 1 FROM inventory_stockalert a
                  WHERE a.owner_id = s.owner_id AND a.stock_row_id = s.id AND a.closed_at IS NULL)
            ORDER BY s.id LIMIT %(limit)s
        ON CONFLICT (owner_id, stock_row_id) WHERE closed_at IS NULL DO NOTHING
        RETURNING id, owner_id),
    deliveries AS (
        INSERT INTO inventory_alertdelivery (owner_id, alert_id, channel, state, attempts, next_attempt_at, last_error)
            SELECT raised.owner_id, raised.id, c.channel, 'due', 0, %(now)s, ''
            FROM raised CROSS JOIN (VALUES ('email'), ('webhook')) AS c (channel))
    SELECT count(*) FROM raised
"""


@dataclass(frozen=True, slots=True)
class WatchReport:
    """`raised` includes those that were told again; `failed` names owners whose stock couldn't be looked at."""

    raised: int
    repeated: int
    recovered: int
    failed: tuple[str, ...]


def watch_stock(*, now: datetime, limit: int = BATCH) -> WatchReport:
    """Closes alerts whose rows have recovered or that are a day old, and raises one for every low row without one.

    `limit` bounds the alerts of one transaction. Any number may run at once. A closed shop isn't looked at: nobody is
    to order for it. Raises only when the database is out of reach.
    """
    refuse_transaction("watch_stock")
    raised = repeated = recovered = 0
    failed = []
    for owner_id in _owners():
        try:
            for found, closed in _watch_owner(owner_id, now=now, limit=limit):
                raised += found
                repeated += closed.count("repeated")
                recovered += closed.count("recovered")
        except DatabaseError as error:
            if not connection.is_usable():
                raise
            log.error("stock_not_watched", owner_id=owner_id, error=str(error).partition("\n")[0])
            failed.append(owner_id)
    if raised or recovered or failed:
        log.info("stock_watched", raised=raised, repeated=repeated, recovered=recovered, failed=len(failed))
    return WatchReport(raised, repeated, recovered, tuple(failed))


def _owners() -> list[str]:
    """Pools, and shops in business."""
    closed = Shop.objects.exclude(status=Shop.Status.ACTIVE).values("pk")
    return list(StockOwner.objects.exclude(shop_id__in=closed).order_by("pk").values_list("pk", flat=True))


def _watch_owner(owner_id: str, *, now: datetime, limit: int) -> Iterator[tuple[int, list[str]]]:
    """Per transaction: how many alerts it raised, and how those it closed ended."""
    values: dict[str, Any] = {"owner": owner_id, "now": now, "again": now - COOLDOWN, "limit": limit}
    raised = limit
    while raised == limit:
        closed: list[str] = []
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(_CLAIM, values)
            if cursor.fetchone() is None:
                return
            cursor.execute(_CLOSE, values)
            closed = [row[0] for row in cursor.fetchall()]
            cursor.execute(_RAISE, values)
            (raised,) = cursor.fetchone()
        metrics.ALERTS_RAISED.labels(owner_id).inc(raised)
        yield raised, closed

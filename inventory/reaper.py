"""The reaper gives back what was abandoned (I6): overdue direct holds itself, in sets; overdue checkout holds through
the release guard, which first makes sure that nobody can pay for them any more.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from inventory import metrics
from inventory.holds import TIME_WAS_UP, finish_holds_within, refuse_transaction
from inventory.models import InventoryRun
from inventory.release_guard import GuardReport, release_guard
from tenants.audit import REAPER
from tenants.database import as_shop, shop_tx

log = structlog.get_logger(__name__)

# For the customers: after a batch the reaper rests for so many times as long as the batch took, so that it has a
# fifth of one core at most, on a machine of any speed, and leaves the more the busier the database is.
RESTS: Final = 4.0
# For a backlog while nobody buys, without rests: a batch of a thousand locks its rows for ten times as long.
BACKLOG_LIMIT: Final = 1_000
# Endings at Stripe are slow and rationed: a run is over before beat starts the next one.
CHECKOUTS_SECONDS: Final = 40.0
# Batches of a shop in a row that failed and left nothing to do: others are at it, and the next run comes in a minute.
BARREN_AT_MOST: Final = 20
RUNS_KEPT: Final = timedelta(days=7)

_SHOPS: Final = """
    SELECT DISTINCT shop_id FROM inventory_hold
    WHERE status = 'active' AND held_for = 'direct' AND expires_at <= %s
"""
_REAP: Final = "SELECT inventory_holds_reap(%s, %s::timestamptz, %s, %s::uuid[], %s, %s, %s)"
# What the statement above tried to end, after it has failed.
_NEXT: Final = """
    SELECT id FROM inventory_hold
    WHERE status = 'active' AND held_for = 'direct' AND shop_id = %s AND expires_at <= %s AND id <> ALL (%s::uuid[])
    ORDER BY expires_at LIMIT %s
"""
_THESE: Final = """
    SELECT id FROM inventory_hold
    WHERE status = 'active' AND held_for = 'direct' AND id = ANY (%s::uuid[]) AND expires_at <= %s
    FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class FailedHold:
    """A hold that could not be given back. It stays active and is tried again by the next run."""

    hold_id: UUID
    shop_id: str
    error: str


@dataclass(frozen=True, slots=True)
class ReapReport:
    """One run. `found` and `expired` count direct holds; `checkout` is the guard's part, None when the guard failed."""

    found: int
    expired: int
    per_shop: dict[str, int]
    failed: tuple[FailedHold, ...]
    checkout: GuardReport | None
    seconds: float

    @property
    def healthy(self) -> bool:
        return not self.failed and self.checkout is not None and not self.checkout.failed

    def as_json(self) -> dict[str, Any]:
        checkout = self.checkout
        return {
            "found": self.found,
            "expired": self.expired,
            "perShop": self.per_shop,
            "failed": [{"holdId": str(f.hold_id), "shopId": f.shop_id, "error": f.error} for f in self.failed],
            "checkout": None if checkout is None else asdict(checkout),
            "seconds": round(self.seconds, 3),
        }


def run_once(*, now: datetime, limit: int = 100, pause_seconds: float | None = None) -> ReapReport:
    """Gives back every hold that is overdue at `now`, in batches of `limit`; any number of reapers may run at once.

    `pause_seconds` between batches; None lets customers go first (`RESTS`).

    A shop's batches are transactions of its own, and shops take turns, so that one shop's backlog or trouble delays no
    other. Writes an InventoryRun. Raises only when the database is out of reach.
    """
    refuse_transaction("run_once")
    began = time.monotonic()
    started_at = timezone.now()
    expired: Counter[str] = Counter()
    failed: list[FailedHold] = []
    barren: Counter[str] = Counter()
    shops = _shops(now)
    while shops:
        for shop_id in list(shops):
            poisoned = [failure.hold_id for failure in failed if failure.shop_id == shop_id]
            started = time.monotonic()
            with as_shop(shop_id):
                batch = _reap_batch(shop_id, now=now, limit=limit, leave_out=poisoned)
            expired[shop_id] += batch.expired
            failed += batch.failed
            barren[shop_id] = 0 if batch.expired or batch.failed else barren[shop_id] + 1
            if batch.drained or barren[shop_id] >= BARREN_AT_MOST:
                shops.remove(shop_id)
            if shops:
                took = time.monotonic() - started
                time.sleep(RESTS * took if pause_seconds is None else pause_seconds)
    report = ReapReport(
        found=expired.total() + len(failed),
        expired=expired.total(),
        per_shop={shop_id: count for shop_id, count in sorted(expired.items()) if count},
        failed=tuple(failed),
        checkout=_reap_checkouts(now=now, limit=limit),
        seconds=time.monotonic() - began,
    )
    _remember(report, started_at)
    return report


def _shops(now: datetime) -> list[str]:
    """Shops with something overdue, in no order, so that reapers side by side begin at different ones."""
    with connection.cursor() as cursor:
        cursor.execute(_SHOPS, [now])
        shops = [row[0] for row in cursor.fetchall()]
    random.shuffle(shops)
    return shops


@dataclass(frozen=True, slots=True)
class _Batch:
    """What became of one batch. `drained`: the shop has no more that anybody could end now."""

    expired: int
    failed: list[FailedHold]
    drained: bool


def _reap_batch(shop_id: str, *, now: datetime, limit: int, leave_out: Sequence[UUID]) -> _Batch:
    """One batch of one shop, one statement and its own transaction."""
    spared = list(leave_out)
    wait = settings.INVENTORY_LOCK_TIMEOUT_MS
    try:
        with connection.cursor() as cursor:
            cursor.execute(_REAP, [shop_id, now, limit, spared, TIME_WAS_UP, str(REAPER), wait])
            (ended,) = cursor.fetchone()
    except DatabaseError as error:
        if not connection.is_usable():
            raise
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, [shop_id, now, spared, limit])
            batch = [row[0] for row in cursor.fetchall()]
        # Few that end say nothing here: reapers side by side skip what others have locked, and lock it in vain.
        return _Batch(*_reap_halves(shop_id, batch, now=now, error=error), drained=not batch)
    metrics.HOLDS_EXPIRED.labels(shop_id).inc(ended)
    return _Batch(ended, [], drained=ended < limit)


def _reap_halves(
    shop_id: str, holds: Sequence[UUID], *, now: datetime, error: DatabaseError
) -> tuple[int, list[FailedHold]]:
    """After a batch has failed: halves until the holds that do it are alone; the others end."""
    if not holds:  # another reaper has ended them meanwhile
        return 0, []
    if len(holds) == 1:
        log.error("hold_not_reaped", shop_id=shop_id, hold_id=str(holds[0]), error=str(error))
        return 0, [FailedHold(holds[0], shop_id, str(error).partition("\n")[0])]
    done, failed = 0, []
    middle = len(holds) // 2
    for half in (holds[:middle], holds[middle:]):
        try:
            with shop_tx(shop_id), connection.cursor() as cursor:
                cursor.execute(_THESE, [list(half), now])
                done += _expire([row[0] for row in cursor.fetchall()], now)
        except DatabaseError as again:
            if not connection.is_usable():
                raise
            ended, failures = _reap_halves(shop_id, half, now=now, error=again)
            done += ended
            failed += failures
    return done, failed


def _expire(holds: Sequence[UUID], now: datetime) -> int:
    return len(finish_holds_within(hold_ids=holds, outcome="expired", reason=TIME_WAS_UP, acting=REAPER, now=now))


def _reap_checkouts(*, now: datetime, limit: int) -> GuardReport | None:
    """The guard's part, until it finds no more or the time is up. Whatever it raises must not undo or hide ours."""
    until = time.monotonic() + CHECKOUTS_SECONDS
    total = GuardReport()
    try:
        while True:
            part = release_guard().reap_overdue(now=now, limit=limit)
            total = total + part
            if part.found < limit or time.monotonic() >= until:
                return total
    except Exception:
        log.exception("checkout_holds_not_reaped")
        return None


def _remember(report: ReapReport, started_at: datetime) -> None:
    finished_at = timezone.now()
    InventoryRun.objects.create(
        kind=InventoryRun.Kind.REAP,
        started_at=started_at,
        finished_at=finished_at,
        healthy=report.healthy,
        report=report.as_json(),
    )
    InventoryRun.objects.filter(kind=InventoryRun.Kind.REAP, finished_at__lt=finished_at - RUNS_KEPT).delete()
    log.info(
        "holds_reaped",
        found=report.found,
        expired=report.expired,
        failed=len(report.failed),
        seconds=round(report.seconds, 3),
    )

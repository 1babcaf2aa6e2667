"""The reaper: how fast it gives back a backlog, beside row by row with the ORM, and what that leaves to those who buy.

The classic way is measured on a few hundred holds and told as a rate; the reaper ends all of them. Creation is measured
in turns, alone and while a part of another backlog is drained, so that what the machine and the growing tables do to it
meets both: its ratio to the floor is the share of its rate that it keeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from config.bench.hold_callers import Callers, Took, Turn, started
from config.bench.hold_stage import PAST, SHOP_ID, SKUS, counted, prove, stage
from config.bench.report import Row, percentile
from inventory.models import Hold, HoldItem, InventoryRun, StockRow
from inventory.reaper import BACKLOG_LIMIT, run_once
from tenants.database import as_system

LINES: Final = 2
AT_FULL_SPEED: Final[dict[str, Any]] = {"limit": BACKLOG_LIMIT, "pause_seconds": 0.0}
"""For a shop that nobody buys from just now; as it runs by itself, the reaper leaves most of the time to customers."""
_BACKLOG: Final = """
    WITH stock AS (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM inventory_stockrow WHERE owner_id = %(shop)s),
    late AS (
        INSERT INTO inventory_hold (id, shop_id, status, held_for, idempotency_key, active_idempotency_key,
                lines_digest, ttl_seconds, expires_at, created_at, finish_reason, finished_by, request_id)
            SELECT uuidv7(), %(shop)s, 'active', 'direct', key, key, repeat('0', 64), 60, now() - interval '1 hour',
                now() - interval '2 hours', '', '', ''
            FROM (SELECT 'late-' || gen_random_uuid() AS key FROM generate_series(1, %(holds)s)) AS keys
            RETURNING id),
    numbered AS (SELECT id, row_number() OVER () AS n FROM late),
    items AS (
        INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity)
            SELECT %(shop)s, numbered.id, stock.id, 1 FROM numbered, generate_series(0, %(lines)s - 1) AS line
            JOIN stock ON true WHERE stock.n = (numbered.n * %(lines)s + line) %% %(skus)s
            RETURNING stock_row_id)
    UPDATE inventory_stockrow s SET held = held + t.units
        FROM (SELECT stock_row_id, count(*) AS units FROM items GROUP BY stock_row_id) AS t WHERE s.id = t.stock_row_id
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: some three minutes as it is. `rounds`: the parts of a backlog that customers meet."""

    holds: int = 100_000
    classic_holds: int = 300
    rounds: int = 5
    alone_seconds: float = 4.0
    turn_seconds: float = 0.5
    skus: int = SKUS
    past: int = PAST
    callers: tuple[int, int] = (2, 4)


def run(size: Size | None = None) -> list[Row]:
    """Raises RuntimeError when stock isn't conserved or holds stay behind."""
    size = size or Size()
    first = InventoryRun.objects.order_by("-id").values_list("id", flat=True).first() or 0
    try:
        with stage(skus=size.skus, past=size.past), started(*size.callers) as callers:
            return _rows(callers, size)
    finally:
        InventoryRun.objects.filter(id__gt=first).delete()


def _rows(callers: Callers, size: Size) -> list[Row]:
    empty = counted()
    _fall_behind(size, size.holds + size.classic_holds)
    classic = _classic(size.classic_holds)
    alone = _reap(size.holds)
    _fall_behind(size, size.holds)
    backlog = _reap(size.holds, **AT_FULL_SPEED)
    prove(empty, placed=0, lines=LINES)

    before = counted()
    creating = Turn("verb", LINES, hot=False, skus=size.skus, seconds=size.turn_seconds)
    callers.take(creating)  # warm
    quiet, busy, reaped = Took(), Took(), Took()
    for _ in range(size.rounds):
        _fall_behind(size, size.holds // size.rounds)
        _add(quiet, _take_while(callers, creating, _for_seconds(size.alone_seconds)))
        meanwhile, reaping = _take_while_reaped(callers, creating, size.holds // size.rounds)
        _add(busy, meanwhile)
        _add(reaped, reaping)
    now = counted()
    if (now.on_hand, now.held, now.items) != (before.on_hand, now.units, now.holds * LINES):
        raise RuntimeError(f"Stock is not conserved: {now} after {before}.")

    many = size.callers[0] * size.callers[1]
    return [
        _row("classic", 1, classic, classic=classic),
        _row("reaper", 1, alone, classic=classic),
        _row("reaper_full_speed", 1, backlog, classic=classic),
        _row("reaper_busy", 1, reaped, classic=classic),
        _row("verb_alone", many, quiet, floor=quiet),
        _row("verb_meanwhile", many, busy, floor=quiet),
    ]


def _fall_behind(size: Size, holds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG, {"shop": SHOP_ID, "holds": holds, "lines": LINES, "skus": size.skus})
    connection.connection.execute("ANALYZE inventory_hold, inventory_holditem")


def _classic(holds: int) -> Took:
    """As most shops on Django do it: one hold after the other, its rows locked, changed in Python and saved.

    Whole rows, which a shop's scope has no right to: in the platform's, without policies.
    """
    took = Took()
    with as_system():
        late = Hold.objects.for_shop(SHOP_ID).overdue(timezone.now())
        for hold_id in list(late.values_list("pk", flat=True)[:holds]):
            asked = time.perf_counter()
            _end(hold_id, timezone.now())
            took.times.append(time.perf_counter() - asked)
    took.placed, took.seconds = len(took.times), sum(took.times)
    return took


@transaction.atomic
def _end(hold_id: UUID, now: datetime) -> None:
    hold = Hold.objects.for_shop(SHOP_ID).select_for_update().get(pk=hold_id)
    for item in HoldItem.objects.filter(hold=hold).order_by("stock_row_id"):
        row = StockRow.objects.select_for_update().get(owner_id=SHOP_ID, pk=item.stock_row_id)
        row.held -= item.quantity
        row.save()
    hold.status, hold.finished_at, hold.active_idempotency_key = Hold.Status.EXPIRED, now, None
    hold.save()


def _reap(holds: int, **pace: Any) -> Took:
    """One run of the product's reaper, at its own pace unless told otherwise.

    Raises RuntimeError when it doesn't end all `holds`.
    """
    try:
        with as_system():
            report = run_once(now=timezone.now(), **pace)
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()
    if report.expired != holds:
        raise RuntimeError(f"{report.expired} of {holds} holds were reaped.")
    return Took(placed=report.expired, seconds=report.seconds, times=[report.seconds / report.expired])


def _take_while_reaped(callers: Callers, turn: Turn, holds: int) -> tuple[Took, Took]:
    """What customers got while a backlog was drained, and what the reaper did. Raises RuntimeError when it failed."""
    reaped: list[Took] = []
    work = threading.Thread(target=lambda: reaped.append(_reap(holds)))
    work.start()
    got = _take_while(callers, turn, work.is_alive)
    work.join()
    if not reaped:
        raise RuntimeError("The reaper failed; the lines above say why.")
    return got, reaped[0]


def _add(total: Took, part: Took) -> None:
    total.placed += part.placed
    total.seconds += part.seconds
    total.times += part.times


def _take_while(callers: Callers, turn: Turn, going_on: Callable[[], bool]) -> Took:
    total = Took()
    while True:
        _add(total, callers.take(turn))
        if not going_on():
            return total


def _for_seconds(seconds: float) -> Callable[[], bool]:
    over = time.monotonic() + seconds
    return lambda: time.monotonic() < over


def _row(case: str, callers: int, took: Took, *, classic: Took | None = None, floor: Took | None = None) -> Row:
    def ratio(other: Took | None) -> float | None:
        return None if other is None else (took.placed / took.seconds) / (other.placed / other.seconds)

    times = sorted(took.times)
    return Row(
        case=case,
        lines=LINES,
        callers=callers,
        per_second=took.placed / took.seconds,
        ratio_to_floor=ratio(floor),
        ratio_to_classic=ratio(classic),
        p50_ms=percentile(times, 0.50) * 1000,
        p95_ms=percentile(times, 0.95) * 1000,
        p99_ms=percentile(times, 0.99) * 1000,
    )

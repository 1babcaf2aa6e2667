"""What a worker does for an import: read, apply or take back, a bounded time at a time, from wherever it stands."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from django.conf import settings
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from inventory.bulk.applying import apply_rows_within, staff_or_system, undo_rows_within
from inventory.bulk.batches import counts
from inventory.bulk.fates import failed, write_fates
from inventory.bulk.intake import read_import
from inventory.bulk.rows import Code
from inventory.locks import bound_lock_waits, is_contention, owner_scope, owner_tx
from inventory.models import StockImport, StockImportRow
from tenants.audit import record_audit

log = structlog.get_logger(__name__)

CHUNK: Final = 400
"""Rows per transaction. Customers wait for its locks, so it ends well within INVENTORY_LOCK_TIMEOUT_MS."""
TRIES: Final = 8
"""How often a single row is tried that others keep locked, before it is left with its reason."""
# Well under a worker's time limit: then somebody else goes on, and other tasks have had their turn.
SECONDS: Final = 120.0
PAUSE_SECONDS: Final = 0.005

Step = Callable[[StockImport, int, int], int | None]
"""`(import, most rows, after which position)` → the last position dealt with."""

Status = StockImport.Status
State = StockImportRow.State


def work_on(*, shop_id: str, import_id: int, seconds: float = SECONDS) -> bool:
    """Does what the import waits for; False when time was up before the end. Repeats, and workers beside each other,
    are harmless: every step takes what is left to do under the import's lock.
    """
    with owner_scope(shop_id):
        return _work(shop_id, import_id, time.monotonic() + seconds)


def _work(shop_id: str, import_id: int, until: float) -> bool:
    while time.monotonic() < until:
        batch = StockImport.objects.for_shop(shop_id).filter(pk=import_id).first()
        if batch is None:
            return True
        match batch.status:
            case Status.RECEIVED:
                done = read_import(shop_id=shop_id, import_id=import_id, until=until)
            case Status.APPLYING:
                done = _drain(batch, _apply_some, until)
            case Status.UNDOING:
                done = _drain(batch, _undo_some, until)
            case _:
                return True
        if done:
            return True
    return False


def _drain(batch: StockImport, step: Step, until: float) -> bool:
    """Steps until none is left. What others keep locked is tried in ever smaller portions, and then alone."""
    limit, tries, after = CHUNK, 0, 0
    while time.monotonic() < until:
        try:
            reached = step(batch, limit, after)
        except OperationalError as error:
            if not is_contention(error):
                raise
            tries += 1
        except Exception:
            log.exception("stock_import_step_failed", import_id=batch.pk, limit=limit)
            if limit == 1:
                _give_up(batch, Code.ERROR, "An error of ours; it is in the log.")
                tries = 0
                continue
            tries += 1
        else:
            if reached is None:
                return True
            # Rows before this one are dealt with: looking for them again would read every one of them each time.
            after = reached
            limit, tries = min(limit * 2, CHUNK), 0
            time.sleep(PAUSE_SECONDS)
            continue
        if limit == 1 and tries >= TRIES:
            _give_up(batch, Code.BUSY, "Others kept the stock locked; try again.")
            tries = 0
        limit = max(1, limit // 4)
        time.sleep(random.uniform(0.5, 1.5) * 0.001 * settings.INVENTORY_LOCK_TIMEOUT_MS)  # noqa: S311
    return False


def _apply_some(batch: StockImport, limit: int, after: int) -> int | None:
    """Applies the next rows in one transaction; the last one's position. None: the end, or another worker is at it."""
    with owner_tx(batch.owner_id):
        own = _taken(batch, Status.APPLYING)
        if own is None:
            return None
        rows = list(_pending(own).filter(position__gt=after)[:limit])
        now = timezone.now()
        acting = staff_or_system(own.confirmed_by)
        if not rows and after:
            return 0  # once more from the first row, in case that one was left
        if not rows:
            _finish(own, Status.APPLIED, "applied", own.confirmed_by, own.reason, now)
            return None
        apply_rows_within(own, rows, acting=acting, note=own.reason, now=now)
        StockImport.objects.filter(pk=own.pk).update(worked_at=now)
    return rows[-1].position


def _undo_some(batch: StockImport, limit: int, after: int) -> int | None:
    """As `_apply_some`, the other way. Rows that were refused have a code and aren't asked again."""
    with owner_tx(batch.owner_id):
        own = _taken(batch, Status.UNDOING)
        if own is None:
            return None
        rows = list(_applied(own).filter(position__gt=after)[:limit])
        now = timezone.now()
        if not rows and after:
            return 0
        if not rows:
            kept = StockImportRow.objects.for_shop(own.owner_id).filter(batch_id=own.pk, state=State.APPLIED).exists()
            _finish(own, Status.APPLIED if kept else Status.UNDONE, "undone", own.undone_by, own.undo_reason, now)
            return None
        note = f"Undo of import {own.pk}: {own.undo_reason}"
        undo_rows_within(own, rows, acting=staff_or_system(own.undone_by), note=note, now=now)
        StockImport.objects.filter(pk=own.pk).update(worked_at=now)
    return rows[-1].position


def _taken(batch: StockImport, status: StockImport.Status) -> StockImport | None:
    """The import, locked, if it is still there to be worked on and nobody else works on it at this moment."""
    bound_lock_waits()
    rows = StockImport.objects.for_shop(batch.owner_id).select_for_update(skip_locked=True)
    return rows.filter(pk=batch.pk, status=status).first()


def _pending(batch: StockImport) -> QuerySet[StockImportRow]:
    rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk, state=State.PENDING)
    return rows.order_by("position")


def _applied(batch: StockImport) -> QuerySet[StockImportRow]:
    rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk, state=State.APPLIED, code="")
    return rows.order_by("position")


def _give_up(batch: StockImport, code: Code, problem: str) -> None:
    """Leaves the row that comes next with its reason: one poisoned row doesn't stop the rest."""
    with owner_tx(batch.owner_id):
        own = StockImport.objects.for_shop(batch.owner_id).select_for_update().get(pk=batch.pk)
        undoing = own.status == Status.UNDOING
        row = (_applied(own) if undoing else _pending(own)).first()
        if row is None:
            return
        if undoing:
            row.code, row.problem = code, problem
            row.save(update_fields=["code", "problem"])
        else:
            write_fates(shop_id=own.owner_id, fates=[(row.pk, failed(code, problem))])


def _finish(batch: StockImport, status: StockImport.Status, what: str, actor: str, reason: str, now: datetime) -> None:
    batch.status, batch.finished_at, batch.worked_at = status, now, now
    batch.save(update_fields=["status", "finished_at", "worked_at"])
    record_audit(
        shop_id=batch.shop_id,
        acting=staff_or_system(actor),
        action=f"stock_import.{what}",
        object_type="stock_import",
        object_id=batch.pk,
        reason=reason,
        data={"counts": counts(batch)},
    )

"""Imports that stand still are handed to a worker again; what nobody needs any more is purged.

Failed rows of imports that were applied are never purged: somebody applies them, or dismisses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from inventory.bulk.batches import ask_for_work
from inventory.locks import owner_tx
from inventory.models import StockImport, StockImportPart, StockImportRow

STANDSTILL: Final = timedelta(minutes=2)
"""A worker reports several times a second; one that hasn't for this long is gone, or was never asked."""
FILES_KEPT: Final = timedelta(days=7)
UNCONFIRMED_KEPT: Final = timedelta(days=14)
ROWS_KEPT: Final = timedelta(days=90)
"""As long can an import be taken back."""
AT_ONCE: Final = 100
ROWS_AT_ONCE: Final = 20_000

Status = StockImport.Status
State = StockImportRow.State

_PURGE: Final = """
    DELETE FROM inventory_stockimportrow WHERE id IN (
        SELECT id FROM inventory_stockimportrow WHERE owner_id = %s AND batch_id = %s AND state = ANY (%s) LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a run did: imports handed on, previews that grew too old, parts of files and rows purged."""

    asked: int = 0
    lapsed: int = 0
    parts: int = 0
    rows: int = 0


def run_once(*, now: datetime, limit: int = AT_ONCE) -> SweepReport:
    """One run: a bounded number of imports each. Repeatable, and harmless beside another."""
    at_work = Q(status__in=[Status.RECEIVED, Status.APPLYING, Status.UNDOING])
    still = StockImport.objects.filter(at_work, worked_at__lt=now - STANDSTILL).order_by("worked_at")
    asked = list(still.values_list("owner_id", "pk")[:limit])
    for owner_id, import_id in asked:
        ask_for_work(owner_id, import_id)
    old = StockImport.objects.filter(status=Status.READY, uploaded_at__lt=now - UNCONFIRMED_KEPT)
    lapsed = old.update(status=Status.DISCARDED, finished_at=now)
    files = StockImportPart.objects.exclude(batch__status__in=[Status.RECEIVED])
    ids = list(files.filter(batch__uploaded_at__lt=now - FILES_KEPT).values_list("pk", flat=True)[:limit])
    parts, _ = StockImportPart.objects.filter(pk__in=ids).delete()
    return SweepReport(asked=len(asked), lapsed=lapsed, parts=parts, rows=_purge_rows(now))


def _purge_rows(now: datetime) -> int:
    """Rows of imports that ended long ago. What was never confirmed goes whole, its failed rows too."""
    rows = StockImportRow.objects.filter(owner_id=OuterRef("owner_id"), batch_id=OuterRef("pk"))
    thrown = Q(status__in=[Status.DISCARDED, Status.UNREADABLE])
    left = (thrown & Exists(rows)) | (~thrown & Exists(rows.exclude(state=State.FAILED)))
    ended = StockImport.objects.filter(left, finished_at__lt=now - ROWS_KEPT)
    purged = 0
    for owner_id, import_id, status in ended.values_list("owner_id", "pk", "status")[:AT_ONCE]:
        states = [State.PENDING, State.UNCHANGED, State.APPLIED, State.UNDONE, State.DISMISSED]
        if status in {Status.DISCARDED, Status.UNREADABLE}:
            states.append(State.FAILED)
        with owner_tx(owner_id), connection.cursor() as cursor:
            cursor.execute(_PURGE, [owner_id, import_id, [str(state) for state in states], ROWS_AT_ONCE])
            purged += cursor.rowcount
    return purged

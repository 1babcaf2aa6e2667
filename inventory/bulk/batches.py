"""Imports as staff see them: a file received, its preview confirmed with a reason or discarded, what it did taken back.

The work itself is a worker's (inventory/bulk/working.py), asked for when the transaction that wants it is through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Final

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from inventory.bulk.formats import FileRefused, Format, sniff
from inventory.bulk.rows import Code, Mode
from inventory.locks import owner_tx
from inventory.models import Pool, StockImport, StockImportPart, StockImportRow, StockOwner
from inventory.models.stock import is_pool, shop_of_owner
from tenants.audit import Actor, record_audit
from tenants.errors import HoldfastError, InvalidRequest, NotFound
from tenants.models import Shop

PART_BYTES: Final = 1024 * 1024
# What looking again can change. The other rows need another text.
WORTH_A_RETRY: Final = (Code.HELD, Code.STALE, Code.RANGE, Code.NO_ROW, Code.BUSY, Code.ERROR, Code.UNKNOWN_SKU)

Status = StockImport.Status
State = StockImportRow.State


class WrongState(HoldfastError):
    """The import isn't where this can be done to it. `detail` says where it is."""

    code = "wrong_state"

    def __init__(self, batch: StockImport) -> None:
        super().__init__(f"The import is in the state “{batch.get_status_display()}”.")


def receive_import_within(
    *,
    shop_id: str,
    file_name: str,
    data: bytes,
    mode: Mode,
    acting: Actor,
    unknown_skus: bool = False,
    reference: str = "",
    now: datetime | None = None,
) -> StockImport:
    """Keeps a file for the shop, in the caller's transaction, and has it read afterwards; nothing is moved.

    `shop_id` may be the id of a pool, here and in the other verbs; whoever calls knows that it is for the platform's
    staff alone. The same file that still waits for its confirmation is answered instead of a second one. Raises
    FileRefused for content that is no stock file, and for a delivery that was added before under the same reference,
    and NotFound for a pool that doesn't exist.
    """
    kind = look_at(shop_id=shop_id, data=data, mode=mode, reference=reference)
    same = _same(shop_id, data, mode, reference)
    if waiting := same.filter(status__in=[Status.RECEIVED, Status.READY], unknown_skus=unknown_skus).first():
        return waiting
    now = now or timezone.now()
    batch = StockImport.objects.create(
        owner_id=_owner(shop_id),
        shop_id=shop_of_owner(shop_id),
        file_name=_kept_name(file_name),
        format=kind,
        size_bytes=len(data),
        digest=_digest(data),
        mode=mode,
        unknown_skus=unknown_skus,
        reference=reference,
        uploaded_by=str(acting),
        uploaded_at=now,
        worked_at=now,
    )
    StockImportPart.objects.bulk_create(
        StockImportPart(
            owner_id=batch.owner_id,
            shop_id=batch.shop_id,
            batch=batch,
            number=number,
            data=data[start : start + PART_BYTES],
        )
        for number, start in enumerate(range(0, len(data), PART_BYTES))
    )
    _audit(batch, acting, "received", "", {"file": batch.file_name, "bytes": batch.size_bytes, "mode": mode})
    work_after_commit(batch)
    return batch


def look_at(*, shop_id: str, data: bytes, mode: Mode, reference: str) -> Format:
    """What `receive_import_within` would refuse, before it is asked: the format, or FileRefused."""
    kind = sniff(data)
    twins = _same(shop_id, data, mode, reference).filter(status__in=_COUNTS)
    if mode is Mode.DELTA and (twin := twins.first()):
        raise _applied_before(twin)
    return kind


def confirm_import(*, shop_id: str, import_id: int, reason: str, acting: Actor) -> StockImport:
    """Has the previewed rows applied. Raises NotFound, WrongState, and FileRefused for a delivery added before."""
    try:
        with owner_tx(shop_id):
            batch = _locked(shop_id, import_id, Status.READY)
            now = timezone.now()
            _move(batch, Status.APPLYING, confirmed_by=str(acting), confirmed_at=now, reason=reason, worked_at=now)
            _audit(batch, acting, "confirmed", reason, {"counts": counts(batch)})
            work_after_commit(batch)
    except IntegrityError as error:
        if "stock_import_delta_once" not in str(error):
            raise
        own = StockImport.objects.for_shop(shop_id).get(pk=batch.pk)
        twins = StockImport.objects.for_shop(shop_id).filter(digest=own.digest, reference=own.reference)
        raise _applied_before(twins.filter(mode=Mode.DELTA, status__in=_COUNTS).first() or own) from error
    return batch


def discard_import(*, shop_id: str, import_id: int, reason: str, acting: Actor) -> None:
    """Closes an import that was never confirmed; its rows are purged in time. Raises NotFound, WrongState."""
    with owner_tx(shop_id):
        batch = _locked(shop_id, import_id, Status.RECEIVED, Status.READY, Status.UNREADABLE)
        _move(batch, Status.DISCARDED, finished_at=timezone.now())
        _audit(batch, acting, "discarded", reason, {})


def retry_failed(*, shop_id: str, import_id: int, reason: str, acting: Actor) -> int:
    """Has an applied import's failed rows tried again, whatever is on hand by now; answers how many.

    Rows that can't be read are left: they need another text. Raises NotFound, WrongState, InvalidRequest for none.
    """
    with owner_tx(shop_id):
        batch = _locked(shop_id, import_id, Status.APPLIED)
        failed = StockImportRow.objects.for_shop(shop_id).filter(batch_id=batch.pk, state=State.FAILED)
        tried = failed.filter(code__in=WORTH_A_RETRY).update(state=State.PENDING, seen_on_hand=None)
        if not tried:
            raise InvalidRequest("No failed row of this import is worth another try as it is; correct them one by one.")
        _move(batch, Status.APPLYING, finished_at=None, worked_at=timezone.now())
        _audit(batch, acting, "retried", reason, {"rows": tried})
        work_after_commit(batch)
    return tried


def undo_import(*, shop_id: str, import_id: int, reason: str, acting: Actor) -> None:
    """Has counter-movements made for every applied row; rows that can't go back stay as they are and say why.

    Raises NotFound, WrongState.
    """
    with owner_tx(shop_id):
        batch = _locked(shop_id, import_id, Status.APPLIED)
        applied = StockImportRow.objects.for_shop(shop_id).filter(batch_id=batch.pk, state=State.APPLIED)
        applied.exclude(code="").update(code="", problem="")  # refused by an earlier undo: asked again
        now = timezone.now()
        _move(batch, Status.UNDOING, undone_by=str(acting), undo_reason=reason, finished_at=None, worked_at=now)
        _audit(batch, acting, "undo_begun", reason, {"counts": counts(batch)})
        work_after_commit(batch)


def has_stock(owner_id: str) -> bool:
    """Whether there is such a shop, or such a pool, to import for."""
    return (Pool if is_pool(owner_id) else Shop).objects.filter(pk=owner_id).exists()


def counts(batch: StockImport) -> dict[str, int]:
    """Rows per state, and of the pending ones per effect as `pending_new`, …: one query over one index."""
    found = dict[str, int]()
    rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk).order_by()
    for state, effect, number in _counted(rows):
        found[state] = found.get(state, 0) + number
        if state == State.PENDING:
            found[f"{state}_{effect}"] = number
    return found


def work_after_commit(batch: StockImport) -> None:
    """Asks a worker once the transaction is through. A broker that is away is logged; the sweep asks again."""
    transaction.on_commit(partial(ask_for_work, batch.owner_id, batch.pk), robust=True)


def ask_for_work(shop_id: str, import_id: int) -> None:
    from inventory.tasks import work_on_import, work_on_pool_import  # late: they call the verbs that lead here

    if is_pool(shop_id):
        work_on_pool_import.delay(pool_id=shop_id, import_id=import_id)
    else:
        work_on_import.delay(shop_id=shop_id, import_id=import_id)


_COUNTS: Final = (Status.APPLYING, Status.APPLIED, Status.UNDOING)


def _owner(owner_id: str) -> str:
    """Its id, once it is there. Raises NotFound for a pool that isn't."""
    if not is_pool(owner_id):
        StockOwner.objects.get_or_create(pk=owner_id, defaults={"shop_id": owner_id})
    elif not has_stock(owner_id):
        raise NotFound("There is no such pool.")
    return owner_id


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _same(shop_id: str, data: bytes, mode: Mode, reference: str) -> models.QuerySet[StockImport]:
    """Imports of this very file, meant in this way."""
    return StockImport.objects.for_shop(shop_id).filter(digest=_digest(data), mode=mode, reference=reference)


def _counted(rows: models.QuerySet[StockImportRow]) -> Collection[tuple[str, str, int]]:
    return list(rows.values_list("state", "effect").annotate(number=models.Count("pk")))


def _locked(shop_id: str, import_id: int, *allowed: str) -> StockImport:
    batch = StockImport.objects.for_shop(shop_id).select_for_update().filter(pk=import_id).first()
    if batch is None:
        raise NotFound("There is no such import.")
    if batch.status not in allowed:
        raise WrongState(batch)
    return batch


def _move(batch: StockImport, status: StockImport.Status, **fields: object) -> None:
    batch.status = status
    for name, value in fields.items():
        setattr(batch, name, value)
    batch.save(update_fields=["status", *fields])


def _applied_before(twin: StockImport) -> FileRefused:
    return FileRefused(
        f"This very file was added before, as import {twin.pk}. If the same goods came once more, give it another "
        "reference, such as the number of the delivery note."
    )


def _kept_name(name: str) -> str:
    """A name to show: without folders, controls and excess."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in base if sign.isprintable())[:200] or "file"


def _audit(batch: StockImport, acting: Actor, what: str, reason: str, data: dict[str, object]) -> None:
    record_audit(
        shop_id=batch.shop_id,
        acting=acting,
        action=f"stock_import.{what}",
        object_type="stock_import",
        object_id=batch.pk,
        reason=reason,
        data=data,
    )

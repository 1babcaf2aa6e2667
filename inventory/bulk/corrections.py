"""Rows that couldn't be applied: corrected and tried again one by one, or put aside, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import timezone

from inventory.bulk.applying import apply_rows_within
from inventory.bulk.batches import WORTH_A_RETRY, WrongState
from inventory.bulk.catalog import unknown_variant
from inventory.bulk.fates import Fate, failed, write_fates
from inventory.bulk.intake import known_of, preview
from inventory.bulk.moving import stock_by_key
from inventory.bulk.rows import NUMBERS, Code, Mode, RawRow, RowRefused, WantedRow, wanted_row
from inventory.locks import bound_lock_waits, busy_on_lock_timeout, owner_tx
from inventory.models import StockImport, StockImportRow
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound

Status = StockImport.Status
State = StockImportRow.State


def retry_row(
    *, shop_id: str, row_id: int, reason: str, acting: Actor, corrected: Mapping[str, str] | None = None
) -> StockImportRow:
    """Reads a failed row again, with `corrected` cells (`key`, `quantity`, `threshold`; empty: as they were), and
    judges it by the stock that is there. Before the import is confirmed it joins the preview, afterwards it is applied
    at once.

    What was corrected stays, also when the row is refused again: InvalidRequest says why. Raises NotFound, WrongState,
    InventoryBusy.
    """
    with busy_on_lock_timeout(shop_id=shop_id), owner_tx(shop_id):
        bound_lock_waits()
        batch, row = _locked_failed(shop_id, row_id)
        before = {"variantKey": row.variant_key, "number": row.number, "threshold": row.threshold}
        texts = {name: text for name, text in (corrected or {}).items() if text.strip()}
        fate = _read_again(batch, row, texts)
        if fate is None and batch.status == Status.APPLIED:
            row.seen_on_hand = None
            ((_, fate),) = apply_rows_within(batch, [row], acting=acting, note=reason, now=timezone.now())
        elif fate is None:
            wanted = WantedRow(row.sku, row.variant_key, row.number, row.threshold)
            stock = stock_by_key(shop_id=shop_id, keys=[row.variant_key])
            fate = preview({0: wanted}, batch=batch, known=None, stock=stock)[0]
        write_fates(shop_id=shop_id, fates=[(row.pk, fate)])
        after = {"variantKey": row.variant_key, "number": row.number, "threshold": row.threshold}
        _audit(row, acting, "row_retried", reason, {"before": before, "after": after, "state": str(fate.state)})
    row.refresh_from_db()
    if row.state == State.FAILED:
        raise InvalidRequest(row.problem)
    return row


def dismiss_row(*, shop_id: str, row_id: int, reason: str, acting: Actor) -> None:
    """Puts a failed row aside for good: somebody decided that it needn't be applied. Raises NotFound, WrongState."""
    with owner_tx(shop_id):
        _, row = _locked_failed(shop_id, row_id)
        row.state = State.DISMISSED
        row.save(update_fields=["state"])
        _audit(row, acting, "row_dismissed", reason, {"line": row.line, "problem": row.problem})


def _locked_failed(shop_id: str, row_id: int) -> tuple[StockImport, StockImportRow]:
    """The failed row and its import, which is locked: nobody reads, applies or corrects it meanwhile."""
    found = StockImportRow.objects.for_shop(shop_id).filter(pk=row_id).first()
    if found is None:
        raise NotFound("There is no such row.")
    batch = StockImport.objects.for_shop(shop_id).select_for_update().get(pk=found.batch_id)
    if batch.status not in {Status.READY, Status.APPLIED}:
        raise WrongState(batch)
    row = StockImportRow.objects.for_shop(shop_id).get(pk=row_id)
    if row.state != State.FAILED:
        raise InvalidRequest(f"The row is not one that failed: {row.get_state_display().lower()}.")
    return batch, row


def _read_again(batch: StockImport, row: StockImportRow, corrected: dict[str, str]) -> Fate | None:
    """Stores on the row what it asks for by now; the fate of one that still can't be judged, None for one that can."""
    replaced = {"sku", "attributes"} if "key" in corrected else set[str]()
    if "quantity" in corrected:
        replaced |= {"on_hand", "delta"}
    cells = {name: text for name, text in _cells(batch, row).items() if name not in replaced} | corrected
    if not corrected and row.code not in WORTH_A_RETRY and row.code != Code.DUPLICATE:
        return failed(Code(row.code or Code.MALFORMED), row.problem)
    try:
        wanted = wanted_row(RawRow(row.line, cells), mode=Mode(batch.mode), shop_id=batch.owner_id)
    except RowRefused as error:
        return failed(error.code, error.problem)
    row.sku, row.variant_key = wanted.sku, wanted.variant_key
    row.number, row.threshold, row.code = wanted.number, wanted.threshold, ""
    row.save(update_fields=["sku", "variant_key", "number", "threshold", "code"])
    others = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk, variant_key=row.variant_key)
    if twin := others.exclude(pk=row.pk).exclude(state=State.DISMISSED).first():
        return failed(Code.DUPLICATE, f"Line {twin.line} names the same variant; dismiss one of the two.")
    known = known_of(batch, [row.variant_key])
    if known is not None and row.variant_key not in known:
        return failed(Code.UNKNOWN_SKU, unknown_variant(batch.owner_id))
    return None


def _cells(batch: StockImport, row: StockImportRow) -> dict[str, str]:
    """The row as a file would have it."""
    if not row.variant_key:
        return {str(name): str(text) for name, text in (row.raw or {}).items() if name not in {"ignored", "shop"}}
    cells = {"key": row.variant_key}
    if row.number is not None:
        cells[NUMBERS[Mode(batch.mode)][-1]] = str(row.number)
    if row.threshold is not None:
        cells["threshold"] = str(row.threshold)
    return cells


def _audit(row: StockImportRow, acting: Actor, what: str, reason: str, data: dict[str, object]) -> None:
    record_audit(
        shop_id=row.shop_id,
        acting=acting,
        action=f"stock_import.{what}",
        object_type="stock_import_row",
        object_id=row.pk,
        reason=reason,
        data={"import": row.batch_id, **data},
    )

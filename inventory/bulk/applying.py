"""Applying previewed rows, and taking applied ones back: some hundreds per transaction, each row once.

A row's fate is written in the transaction that moves its stock. So whoever comes after a crash, or at the same time,
finds what is left to do, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from inventory.bulk.catalog import known_variants, unknown_variant
from inventory.bulk.fates import Fate, State, failed, fate_of, refused, write_fates
from inventory.bulk.judging import Effect, Plan, Stock, judge
from inventory.bulk.moving import Move, Reason, locked_stock, move_locked, open_rows, stock_by_key, who_holds
from inventory.bulk.rows import Code, Mode, RowRefused
from inventory.models import StockImport, StockImportRow
from tenants.audit import Actor


def staff_or_system(name: str) -> Actor:
    """The actor that a stored `kind:name` means."""
    kind, _, who = name.partition(":")
    return Actor(kind, who)


def apply_rows_within(
    batch: StockImport, rows: Sequence[StockImportRow], *, acting: Actor, note: str, now: datetime
) -> list[tuple[StockImportRow, Fate]]:
    """Judges `rows` by what is on hand now, under lock, moves what can be moved and writes each row's fate."""
    shop_id, mode = batch.owner_id, Mode(batch.mode)
    fates = dict[int, Fate]()
    moves = list[Move]()
    unknown = _no_longer_refused(batch, rows)
    present = stock_by_key(shop_id=shop_id, keys=[row.variant_key for row in rows])
    wanted = [row for row in rows if row.pk not in unknown]
    for row in rows:
        if row.pk in unknown:
            fates[row.pk] = failed(Code.UNKNOWN_SKU, unknown_variant(shop_id))
        elif row.variant_key not in present and isinstance(plan := _judged(mode, row, None), Fate):
            fates[row.pk] = plan
    absent = [
        (row.sku, row.variant_key) for row in wanted if row.variant_key not in present and row.pk not in fates
    ]  # fmt: skip
    opened = open_rows(shop_id=shop_id, variants=absent, now=now)
    if absent:
        present |= stock_by_key(shop_id=shop_id, keys=[key for _, key in absent])
    judged = [row for row in wanted if row.pk not in fates]
    stock = locked_stock(shop_id=shop_id, row_ids={present[row.variant_key].row_id for row in judged}, now=now)
    for row in judged:
        own = stock[present[row.variant_key].row_id]
        is_new = row.variant_key in opened
        plan = _judged(mode, row, None if is_new else own)
        if isinstance(plan, Fate):
            fates[row.pk] = _with_holders(plan, shop_id, own)
            continue
        fates[row.pk] = fate_of(plan, own, State.APPLIED)
        if plan.effect is not Effect.NOTHING:
            moves.append(Move(own.row_id, plan.delta, plan.threshold, _reason(mode, plan, is_new=is_new)))
    move_locked(
        shop_id=shop_id, moves=moves, reference=batch.movement_reference, note=note, acting=acting, now=now
    )  # fmt: skip
    write_fates(shop_id=shop_id, fates=list(fates.items()))
    return [(row, fates[row.pk]) for row in rows]


def undo_rows_within(
    batch: StockImport, rows: Sequence[StockImportRow], *, acting: Actor, note: str, now: datetime
) -> list[tuple[StockImportRow, Fate]]:
    """Takes applied rows back by counter-movements. A row of which too much is sold or held by now stays applied, with
    the reason in its problem. A threshold goes back if it still is the import's.
    """
    shop_id = batch.owner_id
    row_ids = {row.stock_row_id for row in rows if row.stock_row_id is not None}
    stock = locked_stock(shop_id=shop_id, row_ids=row_ids, now=now)
    fates, moves = dict[int, Fate](), list[Move]()
    for row in rows:
        own = stock[row.stock_row_id or 0]
        kept = Fate(State.UNDONE, row.effect, "", "", own.row_id, row.seen_on_hand, row.seen_threshold, row.delta)
        plan = _plan(mode=Mode.DELTA, number=-row.delta or None, threshold=None, stock=own, seen=None)
        if isinstance(plan, Fate):
            plan = _with_holders(plan, shop_id, own)
            fates[row.pk] = Fate(
                State.APPLIED, row.effect, plan.code, plan.problem, own.row_id,
                row.seen_on_hand, row.seen_threshold, row.delta,
            )  # fmt: skip
            continue
        fates[row.pk] = kept
        ours = row.threshold is not None and row.seen_threshold is not None and own.threshold == row.threshold
        threshold = row.seen_threshold if ours and row.seen_threshold is not None else own.threshold
        if row.delta or threshold != own.threshold:
            moves.append(Move(own.row_id, -row.delta, threshold, Reason.ADJUSTMENT))
    move_locked(
        shop_id=shop_id, moves=moves, reference=batch.movement_reference, note=note, acting=acting, now=now
    )  # fmt: skip
    write_fates(shop_id=shop_id, fates=list(fates.items()))
    return [(row, fates[row.pk]) for row in rows]


def _judged(mode: Mode, row: StockImportRow, stock: Stock | None) -> Plan | Fate:
    return _plan(mode=mode, number=row.number, threshold=row.threshold, stock=stock, seen=row.seen_on_hand)


def _plan(
    *, mode: Mode, number: int | None, threshold: int | None, stock: Stock | None, seen: int | None
) -> Plan | Fate:
    """What `judge` says, a refusal as the fate that it leads to."""
    try:
        return judge(mode=mode, number=number, threshold=threshold, stock=stock, seen=seen)
    except RowRefused as error:
        return refused(error, stock)


def _no_longer_refused(batch: StockImport, rows: Sequence[StockImportRow]) -> set[int]:
    """Rows that were refused for a variant that nobody knew, are tried again, and still are not known."""
    asked = [row for row in rows if row.code == Code.UNKNOWN_SKU and not batch.unknown_skus]
    if not asked:
        return set()
    known = known_variants(owner_id=batch.owner_id, keys=[row.variant_key for row in asked])
    return {row.pk for row in asked if row.variant_key not in known}


def _with_holders(fate: Fate, shop_id: str, stock: Stock) -> Fate:
    if fate.code != Code.HELD:
        return fate
    return failed(Code.HELD, fate.problem + who_holds(shop_id=shop_id, stock_row_id=stock.row_id), stock)


def _reason(mode: Mode, plan: Plan, *, is_new: bool) -> Reason:
    if is_new:
        return Reason.OPENING
    if mode is Mode.SET:
        return Reason.RECOUNT
    return Reason.RECEIPT if plan.delta > 0 else Reason.ADJUSTMENT

"""Stock rows: opening, adjusting, recounting, and taking or returning units without a hold.

Every change of `on_hand` is written together with the movement that explains it. `…_within` verbs join the caller's
transaction; the others own theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F
from django.utils import timezone
from uuid_utils.compat import uuid7

from inventory.errors import Holder, InsufficientStock, Shortage, StockBooked, StockHeld
from inventory.holds import (
    MIN_TTL_SECONDS,
    Line,
    bound_request_id,
    combined,
    finish_holds_within,
    place_hold_within,
)
from inventory.locks import bound_lock_waits, busy_on_lock_timeout, lock_stock_rows, owner_tx
from inventory.models import HoldItem, Pool, StockMovement, StockOwner, StockRow
from inventory.models.stock import is_pool
from inventory.periods import bookings_of, most_booked
from inventory.sources import lock_sources
from inventory.variants import parse_variant_key
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound

Reason = StockMovement.Reason
# Far from the column's end, so that no sum of movements comes near it.
MAX_ON_HAND: Final = 1_000_000_000
MOST_BUFFER_DAYS: Final = 30
ADJUSTING: Final = frozenset({Reason.RECEIPT, Reason.ADJUSTMENT, Reason.RETURN})


@dataclass(frozen=True, slots=True)
class StockChange:
    """A row after a verb. `delta` is what was moved: 0 when a recount found what was expected."""

    stock_row_id: int
    on_hand: int
    held: int
    delta: int


def create_stock_row(
    *,
    shop_id: str,
    sku: str,
    variant_key: str,
    on_hand: int,
    acting: Actor,
    note: str,
    low_stock_threshold: int = 0,
    now: datetime | None = None,
) -> StockRow:
    """Opens a row of the shop's own stock with its first movement. Raises InvalidRequest, also when the row exists."""
    with owner_tx(shop_id):
        return create_stock_row_within(
            shop_id=shop_id,
            sku=sku,
            variant_key=variant_key,
            on_hand=on_hand,
            acting=acting,
            note=note,
            low_stock_threshold=low_stock_threshold,
            now=now or timezone.now(),
        )


def create_stock_row_within(
    *,
    shop_id: str,
    sku: str,
    variant_key: str,
    on_hand: int,
    acting: Actor,
    note: str,
    low_stock_threshold: int,
    now: datetime,
) -> StockRow:
    """As create_stock_row, in the caller's transaction. `shop_id` may be the id of a pool that exists."""
    named, _ = parse_variant_key(variant_key)
    if named != sku:
        raise InvalidRequest("The variant key names another SKU.", {"variantKey": [f"Begins with {named}."]})
    _count(on_hand, "onHand")
    _count(low_stock_threshold, "lowStockThreshold")
    if not is_pool(shop_id):
        StockOwner.objects.get_or_create(pk=shop_id, defaults={"shop_id": shop_id})
    elif not Pool.objects.filter(pk=shop_id).exists():
        raise NotFound("There is no such pool.")
    row, created = StockRow.objects.get_or_create(
        owner_id=shop_id,
        variant_key=variant_key,
        defaults={"sku": sku, "on_hand": on_hand, "low_stock_threshold": low_stock_threshold},
    )
    if not created:
        raise InvalidRequest("There is a stock row of this variant already.", {"variantKey": ["Not a new one."]})
    if on_hand:
        _explain([(row, on_hand)], Reason.OPENING, acting=acting, note=note, now=now)
    _audit("stock.opened", row, acting, note, {"variantKey": variant_key, "onHand": on_hand})
    return row


def adjust_stock(
    *,
    shop_id: str,
    stock_row_id: int,
    delta: int,
    reason: str,
    note: str,
    acting: Actor,
    now: datetime | None = None,
) -> StockChange:
    """Adds `delta` units, or takes them away. `reason` is receipt, adjustment or return; `note` says why.

    Raises InvalidRequest, NotFound, InventoryBusy, StockHeld when fewer units than are held would be left, and
    StockBooked when fewer than are booked on some day.
    """
    if type(delta) is not int or not delta:
        raise InvalidRequest("An adjustment moves something.", {"delta": ["A whole number other than 0."]})
    if reason not in ADJUSTING:
        raise InvalidRequest("Not a reason to adjust stock.", {"reason": [f"One of {', '.join(sorted(ADJUSTING))}."]})
    with busy_on_lock_timeout(shop_id=shop_id), owner_tx(shop_id):
        row = _locked(shop_id, stock_row_id)
        change = _move(row, delta, Reason(reason), acting=acting, note=note, now=now or timezone.now())
        _audit("stock.adjusted", row, acting, note, {"delta": delta, "onHand": change.on_hand, "reason": reason})
    return change


def recount_stock(
    *, shop_id: str, stock_row_id: int, counted: int, note: str, acting: Actor, now: datetime | None = None
) -> StockChange:
    """Makes `on_hand` what somebody counted, held units included. The difference is taken under the row's lock, so that
    sales in the meantime aren't undone.

    Raises InvalidRequest, NotFound, InventoryBusy, StockHeld when fewer units than are held were counted, and
    StockBooked when fewer than are booked on some day.
    """
    _count(counted, "counted")
    with busy_on_lock_timeout(shop_id=shop_id), owner_tx(shop_id):
        row = _locked(shop_id, stock_row_id)
        delta = counted - row.on_hand
        change = StockChange(row.pk, row.on_hand, row.held, 0)
        if delta:
            change = _move(row, delta, Reason.RECOUNT, acting=acting, note=note, now=now or timezone.now())
        _audit("stock.recounted", row, acting, note, {"delta": delta, "onHand": change.on_hand})
    return change


def set_low_stock_threshold(*, shop_id: str, stock_row_id: int, threshold: int, note: str, acting: Actor) -> None:
    """Units at and below which the row counts as low; 0: never. Raises InvalidRequest, NotFound, InventoryBusy."""
    _count(threshold, "lowStockThreshold")
    with busy_on_lock_timeout(shop_id=shop_id), owner_tx(shop_id):
        row = _locked(shop_id, stock_row_id)
        before, row.low_stock_threshold = row.low_stock_threshold, threshold
        row.save(update_fields=["low_stock_threshold"])
        _audit("stock.threshold_set", row, acting, note, {"before": before, "after": threshold})


def set_buffer_days(*, shop_id: str, stock_row_id: int, days: int, note: str, acting: Actor) -> None:
    """Days after each rental on which its units are cleaned, 0 to 30, for bookings from now on; those that are there
    keep theirs. Raises InvalidRequest, NotFound, InventoryBusy.
    """
    if type(days) is not int or not 0 <= days <= MOST_BUFFER_DAYS:
        raise InvalidRequest("Not a number of days.", {"bufferDays": [f"A whole number from 0 to {MOST_BUFFER_DAYS}."]})
    with busy_on_lock_timeout(shop_id=shop_id), owner_tx(shop_id):
        row = _locked(shop_id, stock_row_id)
        before, row.buffer_days = row.buffer_days, days
        row.save(update_fields=["buffer_days"])
        _audit("stock.buffer_set", row, acting, note, {"before": before, "after": days})


def take_stock_within(*, shop_id: str, lines: Sequence[Line], reference: str, acting: Actor, now: datetime) -> None:
    """Sells units that nobody holds: all lines or none, one movement each with `reference`; by route, as holds do.

    For payments that no hold covers: a late one, or a shop that holds nothing. Whether `reference` took its units
    before is the caller's to know. Raises InsufficientStock and InventoryUnavailable with nothing written, and
    InventoryBusy; contention is an OperationalError.
    """
    wanted = combined(lines)
    sources = lock_sources(shop_id=shop_id, wanted=wanted)
    if short := [
        Shortage(line.sku, line.variant_key, line.quantity, sources.available(line.variant_key))
        for line in wanted
        if sources.available(line.variant_key) < line.quantity
    ]:
        raise InsufficientStock(short)
    deltas = [(sources.rows[line.variant_key], -line.quantity) for line in wanted]
    _apply(deltas, Reason.SALE, reference=reference, acting=acting, note="", now=now, for_shop=shop_id)
    sources.sold({line.variant_key: line.quantity for line in wanted})
    sources.count_fallback()


def book_periods_within(*, shop_id: str, lines: Sequence[Line], reference: str, acting: Actor, now: datetime) -> None:
    """Books days that nobody holds, for good: as take_stock_within does units. A hold of its own, committed at once,
    keeps them. Raises RentalUnavailable and InventoryUnavailable with nothing written, and InventoryBusy.
    """
    placed = place_hold_within(
        shop_id=shop_id,
        hold_id=uuid7(),
        key=f"paid:{reference}",
        lines=lines,
        ttl_seconds=MIN_TTL_SECONDS,
        held_for="direct",
        now=now,
        request_id=bound_request_id(),
    )
    finish_holds_within(hold_ids=[placed.hold_id], outcome="committed", reason="Paid", acting=acting, now=now)


def return_stock_within(
    *, shop_id: str, lines: Sequence[Line], reference: str, acting: Actor, now: datetime, note: str = ""
) -> None:
    """Puts sold units back, one movement each with `reference`, into the rows that the shop sells from now. Units of a
    pool return to the shop's allocation. Raises NotFound when a variant has no stock row.
    """
    wanted = combined(lines)
    sources = lock_sources(shop_id=shop_id, wanted=wanted, returning=True)
    if missing := [line.variant_key for line in wanted if line.variant_key not in sources.rows]:
        raise NotFound(f"There is no stock row of {', '.join(missing)}.")
    deltas = [(sources.rows[line.variant_key], line.quantity) for line in wanted]
    _apply(deltas, Reason.RETURN, reference=reference, acting=acting, note=note, now=now, for_shop=shop_id)
    sources.sold({line.variant_key: -line.quantity for line in wanted})


def holders_of(*, owner_id: str, stock_row_id: int, limit: int = 50) -> list[Holder]:
    """Who holds the row's units now, the first to end first."""
    items = (
        HoldItem.objects.filter(stock_row_id=stock_row_id, stock_row__owner_id=owner_id, hold__status="active")
        .order_by("hold__expires_at", "hold_id")
        .values_list("hold_id", "shop_id", "hold__held_for", "quantity", "hold__expires_at")
    )
    return [Holder(*item) for item in items[:limit]]


def _locked(shop_id: str, stock_row_id: int) -> StockRow:
    bound_lock_waits()
    rows = lock_stock_rows(owner_id=shop_id, row_ids=[stock_row_id])
    if not rows:
        raise NotFound("There is no such stock row.")
    return rows[0]


def _move(
    row: StockRow, delta: int, reason: StockMovement.Reason, *, acting: Actor, note: str, now: datetime
) -> StockChange:
    """Changes one locked row, and explains it."""
    if row.on_hand + delta < row.held:
        holders = holders_of(owner_id=row.owner_id, stock_row_id=row.pk)
        raise StockHeld(on_hand=row.on_hand, held=row.held, holders=holders)
    if delta < 0:
        _refuse_booked(row, row.on_hand + delta, now=now)
    _count(row.on_hand + delta, "onHand")
    _apply([(row, delta)], reason, reference="", acting=acting, note=note, now=now)
    return StockChange(row.pk, row.on_hand, row.held, delta)


def _refuse_booked(row: StockRow, left: int, *, now: datetime) -> None:
    """Raises StockBooked when a day from now on has more units booked than would be left of the locked row."""
    booked = most_booked(owner_id=row.owner_id, row_ids=[row.pk], now=now).get(row.pk, 0)
    if left < booked:
        bookings = bookings_of(owner_id=row.owner_id, stock_row_id=row.pk, now=now)
        raise StockBooked(on_hand=row.on_hand, booked=booked, bookings=bookings)


def _apply(
    deltas: Sequence[tuple[StockRow, int]],
    reason: StockMovement.Reason,
    *,
    reference: str,
    acting: Actor,
    note: str,
    now: datetime,
    for_shop: str = "",
) -> None:
    """Changes locked rows, in order of id, and explains it. Of a pool's row it is told which shop it was for."""
    for row, delta in sorted(deltas, key=lambda change: change[0].pk):
        StockRow.objects.filter(pk=row.pk).update(on_hand=F("on_hand") + delta)
        row.on_hand += delta
    _explain(deltas, reason, reference=reference, acting=acting, note=note, now=now, for_shop=for_shop)


def _explain(
    deltas: Sequence[tuple[StockRow, int]],
    reason: StockMovement.Reason,
    *,
    acting: Actor,
    note: str,
    now: datetime,
    reference: str = "",
    for_shop: str = "",
) -> None:
    """One movement per change; the rows carry `on_hand` as it is afterwards."""
    request_id = bound_request_id()
    StockMovement.objects.bulk_create(
        StockMovement(
            owner_id=row.owner_id,
            stock_row=row,
            for_shop_id=for_shop if for_shop and is_pool(row.owner_id) else None,
            delta=delta,
            on_hand_after=row.on_hand,
            reason=reason,
            reference=reference,
            actor=str(acting),
            note=note,
            request_id=request_id,
            at=now,
        )
        for row, delta in deltas
    )


def _count(number: object, field: str) -> None:
    if type(number) is not int or not 0 <= number <= MAX_ON_HAND:
        raise InvalidRequest("Not a number of units.", {field: [f"A whole number from 0 to {MAX_ON_HAND:,}."]})


def _audit(action: str, row: StockRow, acting: Actor, note: str, data: dict[str, int | str]) -> None:
    record_audit(
        shop_id=None if is_pool(row.owner_id) else row.owner_id,
        acting=acting,
        action=action,
        object_type="stock_row",
        object_id=row.pk,
        reason=note,
        data=data,
    )

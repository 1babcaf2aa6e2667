"""Rented units as they come and go: counted out and in, kept booked when they are late, written off when they are lost.

Bare verbs: they join the caller's transaction. `out` is where units are, days are when they are wanted; an overdue unit
is out without a day where somebody else has booked it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import F, Max, Q

from inventory.errors import Booking, Shortage, StockBooked, UnitsAway
from inventory.holds import MIN_TTL_SECONDS, bound_request_id
from inventory.locks import bound_lock_waits, lock_stock_rows, queue_for_rows
from inventory.models import Hold, HoldPeriod, StockDay, StockMovement, StockRow
from inventory.periods import bookings_of, first_day
from tenants.audit import Actor
from tenants.errors import NotFound

# What the keys of such holds begin with: they are no customer's.
KEPT: Final = "kept:"
_BOOK: Final = """
    INSERT INTO inventory_stockday (owner_id, stock_row_id, day, booked, capacity)
    SELECT %s, t.stock_row_id, t.day, t.units, t.capacity
    FROM unnest(%s::bigint[], %s::date[], %s::integer[], %s::integer[]) AS t (stock_row_id, day, units, capacity)
    ON CONFLICT (owner_id, stock_row_id, day) DO UPDATE SET booked = inventory_stockday.booked + excluded.booked
"""


@dataclass(frozen=True, slots=True)
class UnitsOnDay:
    """Units of one variant on one day."""

    variant_key: str
    day: date
    units: int


def count_out_within(*, shop_id: str, units: Mapping[str, int]) -> None:
    """Units by variant go out, or with a negative number come in. Raises UnitsAway, nothing written, when more were to
    go out than are here; NotFound without a stock row.
    """
    rows = _locked(shop_id, units)
    away = [
        Shortage(row.sku, key, units[key], row.on_hand - row.out)
        for key, row in sorted(rows.items())
        if row.out + units[key] > row.on_hand
    ]
    if away:
        raise UnitsAway(away)
    for key, row in rows.items():
        StockRow.objects.for_shop(shop_id).filter(pk=row.pk).update(out=F("out") + units[key])


def lose_units_within(
    *, shop_id: str, units: Mapping[str, int], reference: str, note: str, acting: Actor, now: datetime
) -> None:
    """Units that were out leave the stock for good, a movement each; their own days have been given back before.

    Raises StockBooked when fewer would be left than are booked on some day: those bookings come first.
    """
    rows = _locked(shop_id, units)
    for key, row in sorted(rows.items()):
        gone = units[key]
        days = StockDay.objects.for_shop(shop_id).filter(stock_row=row, day__gte=first_day(now))
        booked = max(days.aggregate(most=Max("booked"))["most"] or 0, row.held)
        if row.on_hand - gone < booked:
            bookings = bookings_of(owner_id=shop_id, stock_row_id=row.pk, now=now)
            raise StockBooked(on_hand=row.on_hand, booked=booked, bookings=bookings)
        StockRow.objects.for_shop(shop_id).filter(pk=row.pk).update(on_hand=F("on_hand") - gone, out=F("out") - gone)
        StockMovement.objects.create(
            owner_id=shop_id,
            stock_row=row,
            delta=-gone,
            on_hand_after=row.on_hand - gone,
            reason=StockMovement.Reason.LOSS,
            reference=reference,
            actor=str(acting),
            note=note,
            request_id=bound_request_id(),
            at=now,
        )


def book_where_free_within(
    *,
    shop_id: str,
    reference: str,
    wanted: Iterable[UnitsOnDay],
    instead: bool,
    acting: Actor,
    now: datetime,
    reason: str,
) -> list[UnitsOnDay]:
    """Books single days for units that are away unasked, as far as they are free; answers what wasn't.

    The bookings are those of a committed hold under `reference`; with `instead` they replace what it had. Never takes a
    day from anybody: what is missing is told.
    """
    bound_lock_waits()
    wishes = [wish for wish in wanted if wish.units > 0]
    hold_id = _hold(shop_id, reference, make=bool(wishes), acting=acting, now=now, reason=reason)
    if hold_id is None:
        return []
    found = StockRow.objects.for_shop(shop_id).filter(
        Q(variant_key__in={wish.variant_key for wish in wishes}) | Q(hold_periods__hold_id=hold_id)
    )
    queue_for_rows(set(found.values_list("pk", flat=True)))
    if instead:
        _give_up(shop_id, hold_id)
    rows = {row.variant_key: row for row in found.distinct()}
    left = _left(shop_id, rows.values(), {wish.day for wish in wishes})
    missing, got = [], Counter[tuple[int, date]]()
    for wish in wishes:
        row = rows[wish.variant_key]
        here = left.get((row.pk, wish.day), row.available)
        units = min(max(here, 0), wish.units)
        left[row.pk, wish.day] = here - units
        got[row.pk, wish.day] += units
        if units < wish.units:
            missing.append(UnitsOnDay(wish.variant_key, wish.day, wish.units - units))
    _book(shop_id, hold_id, +got, {row.pk: row.on_hand for row in rows.values()})
    return missing


def bookings_without_units(
    *, shop_id: str, missing: Sequence[UnitsOnDay], after: date, but: Sequence[UUID]
) -> list[tuple[str, Booking]]:
    """Whose days the missing units are needed for: bookings that begin after `after`, by variant. One query."""
    if not missing:
        return []
    days = defaultdict[str, list[date]](list)
    for part in missing:
        days[part.variant_key].append(part.day)
    found = HoldPeriod.objects.for_shop(shop_id).filter(
        stock_row__variant_key__in=list(days),
        starts__gt=after,
        starts__lte=max(part.day for part in missing),
        hold__status__in=[Hold.Status.ACTIVE, Hold.Status.COMMITTED],
    )
    others = found.exclude(hold_id__in=list(but)).exclude(hold__idempotency_key__startswith=KEPT)
    told = []
    for period in others.select_related("hold", "stock_row").order_by("starts", "pk"):
        key, hold = period.stock_row.variant_key, period.hold
        if any(period.starts <= day <= period.blocked_until for day in days[key]):
            span = (period.starts, period.ends, period.blocked_until)
            told.append((key, Booking(hold.pk, hold.status, hold.held_for, period.quantity, *span)))
    return told


def _locked(shop_id: str, units: Mapping[str, int]) -> dict[str, StockRow]:
    bound_lock_waits()
    known = StockRow.objects.for_shop(shop_id).filter(variant_key__in=list(units)).values_list("variant_key", "pk")
    ids = dict(known)
    if lacking := sorted(set(units) - set(ids)):
        raise NotFound(f"There is no stock row of {', '.join(lacking)}.")
    return {row.variant_key: row for row in lock_stock_rows(owner_id=shop_id, row_ids=ids.values())}


def _hold(shop_id: str, reference: str, *, make: bool, acting: Actor, now: datetime, reason: str) -> UUID | None:
    key = f"{KEPT}{reference}"
    found = Hold.objects.for_shop(shop_id).filter(active_idempotency_key=key).values_list("pk", flat=True).first()
    if found is not None or not make:
        return found
    made = Hold.objects.create(
        shop_id=shop_id,
        status=Hold.Status.COMMITTED,
        idempotency_key=key,
        active_idempotency_key=key,
        lines_digest="",
        ttl_seconds=MIN_TTL_SECONDS,
        expires_at=now,
        created_at=now,
        finished_at=now,
        finish_reason=reason[:200],
        finished_by=str(acting),
        request_id=bound_request_id()[:64],
    )
    return made.pk


def _give_up(shop_id: str, hold_id: UUID) -> None:
    """All days of the hold, past ones too: what is over explains nothing any more."""
    periods = HoldPeriod.objects.for_shop(shop_id).filter(hold_id=hold_id)
    for period in periods:
        days = StockDay.objects.for_shop(shop_id).filter(stock_row_id=period.stock_row_id, day=period.starts)
        days.update(booked=F("booked") - period.quantity)
    periods.delete()


def _left(shop_id: str, rows: Iterable[StockRow], days: set[date]) -> dict[tuple[int, date], int]:
    """What is left of these days where they are booked; a day that nobody has booked is absent."""
    units = {row.pk: row.available for row in rows}
    found = StockDay.objects.for_shop(shop_id).filter(stock_row_id__in=list(units), day__in=list(days))
    return {
        (row_id, day): units[row_id] - booked
        for row_id, day, booked in found.values_list("stock_row_id", "day", "booked")
    }


def _book(shop_id: str, hold_id: UUID, got: Counter[tuple[int, date]], capacity: Mapping[int, int]) -> None:
    if not got:
        return
    keys = sorted(got)
    with connection.cursor() as cursor:
        cursor.execute(
            _BOOK,
            [
                shop_id, [row for row, _ in keys], [day for _, day in keys], [got[key] for key in keys],
                [capacity[row] for row, _ in keys],
            ],
        )  # fmt: skip
    for row_id, day in keys:
        period, made = HoldPeriod.objects.for_shop(shop_id).get_or_create(
            shop_id=shop_id, hold_id=hold_id, stock_row_id=row_id, starts=day, ends=day,
            defaults={"blocked_until": day, "quantity": got[row_id, day]},
        )  # fmt: skip
        if not made:
            HoldPeriod.objects.for_shop(shop_id).filter(pk=period.pk).update(quantity=F("quantity") + got[row_id, day])

"""Booked days that aren't needed any more: a rental that was called off, came back early, or won't come back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db.models import F

from inventory.locks import bound_lock_waits, lock_hold, queue_for_rows
from inventory.models import Hold, HoldPeriod, StockDay, StockRow
from tenants.errors import NotFound


@dataclass(frozen=True, slots=True)
class BookedDays:
    """Units of one variant that a hold has booked from `starts` to `ends`. `until` is the last day that stays booked;
    None: as for units that are here today.
    """

    hold_id: UUID
    variant_key: str
    quantity: int
    starts: date
    ends: date
    until: date | None = None


def free_days_within(*, shop_id: str, booked: Sequence[BookedDays], today: date, also: Collection[str] = ()) -> int:
    """Gives back what is left of the bookings, in the caller's transaction; answers how many unit-days were freed.

    A booking that hasn't begun goes whole. Of one that has, today stays booked, and the days for cleaning after it. The
    holds must be committed: active ones are released instead. Raises NotFound when a hold hasn't booked as much.
    `today` is the shop's. The rows' queues are the caller's until it commits; `also` names variants that it will book
    next, as all queues of a transaction are taken in one order.
    """
    bound_lock_waits()
    holds = sorted({wanted.hold_id for wanted in booked})
    if any(lock_hold(shop_id=shop_id, hold_id=hold_id).status != Hold.Status.COMMITTED for hold_id in holds):
        raise NotFound("There is no booking of these days.")
    periods = list(HoldPeriod.objects.for_shop(shop_id).filter(hold_id__in=holds).select_related("stock_row"))
    next_rows = StockRow.objects.for_shop(shop_id).filter(variant_key__in=also).values_list("pk", flat=True)
    queue_for_rows({period.stock_row_id for period in periods} | set(next_rows if also else ()))
    freed = 0
    for wanted in booked:
        key = (wanted.hold_id, wanted.variant_key, wanted.starts, wanted.ends)
        period = next((p for p in periods if (p.hold_id, p.stock_row.variant_key, p.starts, p.ends) == key), None)
        if period is None or period.quantity < wanted.quantity:
            raise NotFound(f"There is no such booking of {wanted.variant_key}.")
        freed += _free(period, wanted.quantity, last=wanted.until or _last_day(period, today))
    return freed


def _last_day(period: HoldPeriod, today: date) -> date:
    """Units that are here today are cleaned first; those that never went out needn't be."""
    return today + (period.blocked_until - period.ends) if period.starts <= today else date.min


def _free(period: HoldPeriod, quantity: int, *, last: date) -> int:
    """Takes units out of a booking whose row is queued for, and books what they were used for, up to `last`, apart."""
    if last >= period.blocked_until:
        return 0
    begun = last >= period.starts
    days = StockDay.objects.for_shop(period.shop_id).filter(
        stock_row_id=period.stock_row_id,
        day__gt=last if begun else period.starts - timedelta(days=1),
        day__lte=period.blocked_until,
    )
    freed = quantity * days.update(booked=F("booked") - quantity)
    period.quantity -= quantity
    if period.quantity:
        period.save(update_fields=["quantity"])
    else:
        period.delete()
    if begun:
        cleaning = period.blocked_until - period.ends
        used, made = HoldPeriod.objects.for_shop(period.shop_id).get_or_create(
            shop_id=period.shop_id,
            hold_id=period.hold_id,
            stock_row_id=period.stock_row_id,
            starts=period.starts,
            ends=max(period.starts, min(period.ends, last - cleaning)),
            defaults={"blocked_until": last, "quantity": quantity},
        )
        if not made:
            HoldPeriod.objects.for_shop(used.shop_id).filter(pk=used.pk).update(quantity=F("quantity") + quantity)
    return freed

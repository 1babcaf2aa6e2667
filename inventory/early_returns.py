"""Booked days that aren't needed any more: a rental that was called off, or came back early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db.models import F, Q

from inventory.locks import bound_lock_waits, lock_hold, queue_for_rows
from inventory.models import Hold, HoldPeriod, StockDay
from tenants.errors import NotFound


@dataclass(frozen=True, slots=True)
class BookedDays:
    """Units of one variant that a hold has booked from `starts` to `ends`."""

    variant_key: str
    quantity: int
    starts: date
    ends: date


def free_days_within(
    *, shop_id: str, hold_id: UUID | None, reference: str, booked: Sequence[BookedDays], today: date
) -> int:
    """Gives back what is left of the bookings, in the caller's transaction; answers how many unit-days were freed.

    A booking that hasn't begun goes whole. Of one that has, today stays booked, and the days for cleaning after it. The
    hold is `hold_id`, or the one that book_periods_within made for `reference`; it must be committed: an active one is
    released instead. Raises NotFound when the hold hasn't booked as much. `today` is the shop's.
    """
    bound_lock_waits()
    by_reference = Q(active_idempotency_key=f"paid:{reference}")
    found = Hold.objects.for_shop(shop_id).filter(Q(pk=hold_id) | by_reference, status=Hold.Status.COMMITTED).first()
    if found is None:
        raise NotFound("There is no booking of these days.")
    hold = lock_hold(shop_id=shop_id, hold_id=found.pk)
    periods = list(HoldPeriod.objects.for_shop(shop_id).filter(hold=hold).select_related("stock_row"))
    queue_for_rows({period.stock_row_id for period in periods})
    freed = 0
    for wanted in booked:
        key = (wanted.variant_key, wanted.starts, wanted.ends)
        period = next((p for p in periods if (p.stock_row.variant_key, p.starts, p.ends) == key), None)
        if period is None or period.quantity < wanted.quantity:
            raise NotFound(f"There is no such booking of {wanted.variant_key}.")
        freed += _free(period, wanted.quantity, today=today)
    return freed


def _free(period: HoldPeriod, quantity: int, *, today: date) -> int:
    """Takes units out of a booking whose row is queued for, and books what they were used for apart."""
    cleaning = period.blocked_until - period.ends
    begun = period.starts <= today
    last = min(period.blocked_until, today + cleaning) if begun else period.starts - timedelta(days=1)
    days = StockDay.objects.for_shop(period.shop_id).filter(
        stock_row_id=period.stock_row_id, day__gt=last, day__lte=period.blocked_until
    )
    freed = quantity * days.update(booked=F("booked") - quantity)
    period.quantity -= quantity
    if period.quantity:
        period.save(update_fields=["quantity"])
    else:
        period.delete()
    if begun:
        used, made = HoldPeriod.objects.for_shop(period.shop_id).get_or_create(
            shop_id=period.shop_id,
            hold_id=period.hold_id,
            stock_row_id=period.stock_row_id,
            starts=period.starts,
            ends=min(period.ends, today),
            defaults={"blocked_until": last, "quantity": quantity},
        )
        if not made:
            HoldPeriod.objects.for_shop(used.shop_id).filter(pk=used.pk).update(quantity=F("quantity") + quantity)
    return freed

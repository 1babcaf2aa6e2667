"""Units that go out, come back, are lost or exchanged: each counted, with the days that it frees or needs.

Effects on a case whose rows are locked (cases.py); holds, queues and stock rows come after them, in that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

from uuid_utils.compat import uuid7

from commerce.orders.models import Order
from commerce.rentals.cases import BAD, Case, Picked, pick
from commerce.rentals.charging import charge_within
from commerce.rentals.models import Rental, RentalUnits
from commerce.rentals.overdue import follow_overdue_within, keep_cleaning_within
from inventory.early_returns import BookedDays, free_days_within
from inventory.holds import MIN_TTL_SECONDS, Line, bound_request_id, finish_holds_within, place_hold_within
from inventory.models import StockRow
from inventory.periods import first_day
from inventory.rented import count_out_within, lose_units_within
from inventory.variants import variant_key
from tenants.errors import InvalidRequest

Status = Rental.Status


def hand_out(case: Case) -> None:
    """Units go to the customer, in their period and no sooner: the days before it may be somebody else's.

    Raises RentalWrongState, UnitsAway when others still have them.
    """
    if case.order.status != Order.Status.CONFIRMED:
        raise case.wrong(f"Order {case.order.number} is {case.order.get_status_display().lower()}.")
    chosen = pick(case, out=False)
    if case.command.units is None:
        chosen = [picked for picked in chosen if picked.units.starts_on <= case.day]
    if not chosen:
        raise case.wrong(f"There is nothing to hand out; the rental begins on {case.rental.starts_on.isoformat()}.")
    for picked in chosen:
        if case.day < picked.units.starts_on:
            raise case.wrong(f"{picked.units.variant_key} begins on {picked.units.starts_on.isoformat()}.")
        if case.day > picked.units.ends_on:
            raise case.wrong(f"{picked.units.variant_key} ended on {picked.units.ends_on.isoformat()}.")
    _count_out(case, chosen, +1)
    for picked in chosen:
        picked.units.out += picked.quantity
        picked.line.handed_out += picked.quantity
        case.tell(picked.line, picked.quantity, picked.units.variant_key, condition=picked.condition)
    case.rental.handed_out_at = case.rental.handed_out_at or case.at


def give_back(case: Case) -> None:
    """Units are here again: what is left of their days is free but for cleaning, and lateness is counted.

    Raises RentalWrongState.
    """
    chosen = pick(case, out=True)
    if not chosen:
        raise case.wrong("Nothing of it is out.")
    if case.rental.handed_out_at and case.at < case.rental.handed_out_at:
        raise InvalidRequest(BAD, {"at": ["It went out after that."]})
    take_back_within(case, chosen)


def take_back_within(case: Case, chosen: Sequence[Picked]) -> None:
    """As `give_back`, of units that were chosen."""
    free_days_within(shop_id=case.shop.shop_id, booked=[booked_days(picked) for picked in chosen], today=case.day)
    _count_out(case, chosen, -1)
    for picked in chosen:
        line, late = picked.line, (case.day - picked.line.due_on).days
        line.returned += picked.quantity
        line.late_unit_days += picked.quantity * max(0, late)
        line.returned_on = max(case.day, line.returned_on or case.day)
        picked.units.quantity -= picked.quantity
        picked.units.out -= picked.quantity
        case.tell(line, picked.quantity, picked.units.variant_key, condition=picked.condition)
    follow_overdue_within(case)
    keep_cleaning_within(case, chosen)


def lose(case: Case) -> None:
    """Units won't come back: they leave the stock, with a movement, and their days with them.

    Raises RentalWrongState, StockBooked when later bookings need them: those come first.
    """
    if case.command.units is None:
        raise InvalidRequest(BAD, {"items": ["Say which units are lost."]})
    chosen = pick(case, out=True)
    # Capacity follows the stock from that day on, and the day before is nobody's to rent any more.
    until = first_day(case.now) - timedelta(days=1)
    free_days_within(
        shop_id=case.shop.shop_id, booked=[booked_days(picked, until=until) for picked in chosen], today=case.today
    )
    for picked in chosen:
        picked.line.lost += picked.quantity
        picked.units.quantity -= picked.quantity
        picked.units.out -= picked.quantity
        case.tell(picked.line, picked.quantity, picked.units.variant_key, condition=picked.condition)
    follow_overdue_within(case)
    lose_units_within(
        shop_id=case.shop.shop_id,
        units=_by_variant(chosen),
        reference=str(case.rental.pk),
        note=case.command.note,
        acting=case.acting,
        now=case.now,
    )
    charge_within(case)


def exchange(case: Case) -> None:
    """Other units for the rest of the period: of the same variant, or another of the same product.

    What was out is cleaned first, so another unit must be free from today. Raises RentalWrongState, RentalUnavailable,
    UnitsAway.
    """
    if case.command.units is None:
        raise InvalidRequest(BAD, {"items": ["Say which units are exchanged."]})
    if case.command.at is not None:
        raise InvalidRequest(BAD, {"at": ["An exchange is noted when it is made."]})
    named = {wish.line_id for wish in case.command.units}
    lines = {line.pk for line in case.lines if line.order_line_id in named}
    chosen = pick(case, out=any(row.out for row in case.units if row.line_id in lines), targets=True)
    if late := next((picked for picked in chosen if picked.units.ends_on < case.today), None):
        raise case.wrong(f"{late.units.variant_key} was due on {late.units.ends_on.isoformat()}: take it back.")
    out = any(picked.units.out for picked in chosen)
    instead = [_target(case, picked) for picked in chosen]
    free_days_within(
        shop_id=case.shop.shop_id,
        booked=[booked_days(picked) for picked in chosen],
        today=case.today,
        also=[row.variant_key for row in instead],
    )
    placed = place_hold_within(
        shop_id=case.shop.shop_id,
        hold_id=uuid7(),
        key=f"exchange:{case.event_id}",
        lines=[Line(row.sku, row.variant_key, row.quantity, row.starts_on, row.ends_on) for row in instead],
        ttl_seconds=MIN_TTL_SECONDS,
        held_for="direct",
        now=case.now,
        request_id=bound_request_id(),
    )
    finish_holds_within(
        hold_ids=[placed.hold_id], outcome="committed", reason="Exchanged", acting=case.acting, now=case.now
    )
    if out:
        moved = Counter({row.variant_key: 0 for row in instead})
        for picked, row in zip(chosen, instead, strict=True):
            moved[picked.units.variant_key] -= picked.quantity
            moved[row.variant_key] += picked.quantity
        count_out_within(shop_id=case.shop.shop_id, units={key: units for key, units in moved.items() if units})
    for picked, row in zip(chosen, instead, strict=True):
        row.hold_id, row.out = placed.hold_id, picked.quantity if out else 0
        picked.units.quantity -= picked.quantity
        picked.units.out -= row.out
        case.tell(
            picked.line, picked.quantity, picked.units.variant_key, instead=row.variant_key, condition=picked.condition
        )
        _add(case, row)


def booked_days(picked: Picked, *, until: date | None = None) -> BookedDays:
    """The days of the booking behind some units."""
    row = picked.units
    return BookedDays(row.hold_id, row.variant_key, picked.quantity, row.starts_on, row.ends_on, until)


def _target(case: Case, picked: Picked) -> RentalUnits:
    row, named = picked.units, picked.named
    key = variant_key(row.sku, named.attributes) if named and named.attributes is not None else row.variant_key
    if not StockRow.objects.for_shop(case.shop.shop_id).filter(variant_key=key).exists():
        raise InvalidRequest(BAD, {"items": [f"There is no {key}."]})
    return RentalUnits(
        shop_id=row.shop_id,
        line_id=row.line_id,
        sku=row.sku,
        variant_key=key,
        starts_on=max(case.today, row.starts_on),
        ends_on=row.ends_on,
        quantity=picked.quantity,
    )


def _add(case: Case, row: RentalUnits) -> None:
    """Beside the others, or to those of the same kind: one line's units may come from two rows."""
    for other in case.units:
        if (other.line_id, other.hold_id, other.variant_key) == (row.line_id, row.hold_id, row.variant_key):
            other.quantity += row.quantity
            other.out += row.out
            return
    case.units.append(row)


def _count_out(case: Case, chosen: Sequence[Picked], sign: int) -> None:
    units = {key: sign * units for key, units in _by_variant(chosen).items()}
    count_out_within(shop_id=case.shop.shop_id, units=units)


def _by_variant(chosen: Sequence[Picked]) -> dict[str, int]:
    units = Counter[str]()
    for picked in chosen:
        units[picked.units.variant_key] += picked.quantity
    return dict(units)

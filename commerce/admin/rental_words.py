"""What staff read of rentals: what is next, what a step would do, what was done."""

from __future__ import annotations

from datetime import date
from typing import Final

from commerce.admin.display import shop_amount, shop_moment
from commerce.admin.timeline import Moment, Step
from commerce.models import Charge, Collection, Order, Rental, RentalEvent
from commerce.rentals.periods import zone_today
from commerce.rentals.preview import Preview
from commerce.returns.claiming import balance_of
from commerce.returns.models import CAME_BACK
from tenants.backoffice import link_to
from tenants.display import Tone

Status, Action = Rental.Status, RentalEvent.Action

TONES: Final[dict[str, Tone]] = {
    Status.RESERVED: "info",
    Status.HANDED_OUT: "warn",
    Status.RETURNED: "info",
    Status.INSPECTED: "good",
    Status.CLOSED: "plain",
    Status.CANCELED: "plain",
}
# What may be done in which state, the likeliest first; the verb has the last word.
STEPS: Final[dict[str, tuple[str, ...]]] = {
    Status.RESERVED: (Action.HAND_OUT, Action.EXCHANGE, Action.CLOSE),
    Status.HANDED_OUT: (
        Action.RETURN, Action.HAND_OUT, Action.EXCHANGE, Action.LOSE, Action.DAMAGE, Action.INSPECT,
    ),
    Status.RETURNED: (Action.INSPECT, Action.DAMAGE),
    Status.INSPECTED: (Action.CLOSE, Action.DAMAGE),
    Status.CLOSED: (),
    Status.CANCELED: (),
}  # fmt: skip
TOLD: Final = 200
LABELS: Final[dict[str, str]] = {
    Action.HAND_OUT: "Hand out",
    Action.RETURN: "Take back",
    Action.INSPECT: "Inspect",
    Action.DAMAGE: "Note damage",
    Action.LOSE: "Note as lost",
    Action.EXCHANGE: "Exchange",
    Action.CLOSE: "Close",
}


def today_of(rental: Rental) -> date:
    return zone_today(rental.shop.settings.time_zone)


def days_late(rental: Rental) -> int:
    """Of the units that are out longest; 0 when none is late."""
    return max(0, (today_of(rental) - rental.next_due_on).days) if rental.next_due_on else 0


def days_given_away(order: Order) -> str:
    """What to say of an order whose rental was called off with a refund that came back; empty for any other."""
    rental = Rental.objects.for_shop(order.shop_id).filter(order=order, status=Status.CANCELED)
    if balance_of(order).left <= 0 or not order.refunds.filter(CAME_BACK).exists() or not rental.exists():
        return ""
    return (
        "A refund came back: its money is here again, its days are given away. "
        "Refund it another way, or book anew with the customer."
    )


def next_step(rental: Rental) -> str:
    """What to do now, in a sentence."""
    today, late = today_of(rental), days_late(rental)
    if rental.status == Status.CANCELED and (told := days_given_away(rental.order)):
        return told
    if rental.status == Status.RESERVED:
        if rental.starts_on > today:
            return f"Hand out on {rental.starts_on:%a %d %b %Y}."
        if rental.ends_on < today:
            return "Its period is over and nobody came: close it, and the deposit goes back."
        return "Hand out: its period has begun."
    if rental.status == Status.HANDED_OUT:
        if late:
            return f"Overdue by {late} day{'s' if late > 1 else ''}: ask for it, then take it back."
        if rental.next_due_on is None:
            return "What went out is back; the rest is still to go out."
        return f"Due back on {rental.next_due_on:%a %d %b %Y}."
    return {
        Status.RETURNED: "Look at what came back: note damage, then inspect.",
        Status.INSPECTED: "Close it: what is left of the deposit goes back.",
        Status.CLOSED: "Nothing: it is over.",
        Status.CANCELED: "Nothing: it was called off.",
    }[Status(rental.status)]


def deposit_on_card(order: Order) -> str:
    """Where a deposit that is only authorised stands."""
    sum_ = shop_amount(order.shop, order.deposit_authorised_amount, order.currency)
    held = order.charges.filter(purpose=Charge.Purpose.DEPOSIT).order_by("id").last()
    if held is None:
        return f"{sum_}, not held yet"
    if held.status == Charge.Status.HELD:
        return f"{sum_}, held until {shop_moment(order.shop, held.capture_before)}"
    if held.captured_amount:
        taken = shop_amount(order.shop, held.captured_amount, held.currency)
        return f"{sum_} were held, of which {taken} were taken"
    return f"{sum_}: {held.get_status_display().lower()}"


def told_sources(one: Collection) -> str:
    """Where an amount that was owed was taken from."""
    parts = (("the deposit", one.from_deposit), ("what is held", one.from_hold), ("the saved card", one.from_card))
    named = [f"{shop_amount(one.order.shop, part, one.currency)} off {name}" for name, part in parts if part]
    return f"{', '.join(named)}. {one.reason}"


def told_preview(rental: Rental, action: str, preview: Preview) -> list[str]:
    """What a step will do, a sentence each."""

    def amount(minor: int) -> str:
        return shop_amount(rental.shop, minor, rental.order.currency)

    told = [_of_units(action, *unit) for unit in preview.units]
    if action == Action.HAND_OUT and rental.order.deposit_authorised_amount:
        told.append(f"Deposit: {deposit_on_card(rental.order)}.")
    if preview.late_unit_days:
        told.append(f"That is {preview.late_unit_days} unit-days late in all, which a late fee is computed from.")
    if preview.kept:
        told.append(f"{amount(preview.kept)} of the deposit are kept.")
    if preview.owed:
        told.append(f"{amount(preview.owed)} are more than the deposit: the customer owes them.")
    if preview.deposit_back:
        told.append(f"{amount(preview.deposit_back)} of the deposit go back to the customer.")
    elif action == Action.CLOSE:
        told.append("Nothing of a deposit is left to give back.")
    if preview.endangered:
        told.append(f"{preview.endangered} later bookings stay in danger: their units are overdue.")
    told.append(f"The rental is then: {Status(preview.status).label.lower()}.")
    return told


def rental_moments(order: Order) -> list[Moment]:
    """What was done to the order's rental, for the order's story."""
    events = RentalEvent.objects.for_shop(order.shop_id).filter(rental__order=order).select_related("rental")
    return [
        Moment(
            event.at,
            Step.RENTAL,
            link_to(event.rental, f"Rental: {event.get_action_display().lower()}"),
            " · ".join(filter(None, (told_units(event), event.note))),
        )
        for event in events.order_by("id")[:TOLD]
    ]


def told_units(event: RentalEvent) -> str:
    """The units of an event in words."""
    return "; ".join(
        f"{part['quantity']} × {part['variantKey']}"
        + (f" for {part['instead']}" if part.get("instead") else "")
        + (f" ({part['condition']})" if part.get("condition") else "")
        for part in event.units
    )


def _of_units(action: str, quantity: int, variant: str, instead: str) -> str:
    units = f"{quantity} × {variant}"
    return {
        Action.HAND_OUT: f"{units} go to the customer.",
        Action.RETURN: f"{units} are here again: what is left of their days is free, but for cleaning.",
        Action.DAMAGE: f"{units} count as damaged.",
        Action.LOSE: f"{units} leave the stock, and the calendar.",
        Action.EXCHANGE: f"{units} come back and {quantity} × {instead or variant} go out for the rest of the period.",
    }.get(Action(action), f"{units} were never collected: their days are free.")

"""What staff find when units are back: the look at them, what is broken, and the end. Effects on a locked case."""

from __future__ import annotations

from commerce.rentals.calling_off import call_off_within
from commerce.rentals.cases import BAD, Case, Picked, line_of
from commerce.rentals.charging import charge_within
from commerce.rentals.models import Rental
from tenants.errors import InvalidRequest

Status = Rental.Status
SOONEST_END = "Not all of it has gone out, and the period isn't over: it ends on {}."


def inspect(case: Case) -> None:
    """Everything that went out is back or lost, and has been looked at. Units that were never collected are called off
    once the period is over. Raises RentalWrongState.
    """
    if case.rental.status not in {Status.HANDED_OUT, Status.RETURNED}:
        raise case.wrong(f"The rental is {case.rental.get_status_display().lower()}: there is nothing to inspect.")
    refuse_out(case)
    _conditions(case)
    _call_off_rest(case)
    case.rental.returned_at = case.rental.returned_at or case.at
    case.rental.inspected_at = case.at


def damage(case: Case) -> None:
    """Units that came back damaged, and what that costs. Raises RentalWrongState, InvalidRequest."""
    if case.rental.status in {Status.CLOSED, Status.CANCELED}:
        raise case.wrong(f"The rental is {case.rental.get_status_display().lower()}.")
    if case.command.units is None:
        raise InvalidRequest(BAD, {"items": ["Say which units are damaged."]})
    for number, named in enumerate(case.command.units):
        line = line_of(case, named, number)
        whole = line.returned - line.damaged
        if named.quantity > whole:
            raise case.wrong(f"{line.order_line.title}: {whole} came back undamaged, not {named.quantity}.")
        line.damaged += named.quantity
        case.tell(line, named.quantity, line.order_line.variant_key, condition=named.condition)
    charge_within(case)


def refuse_close(case: Case) -> None:
    """Raises RentalWrongState unless it is inspected, or was never collected and its period is over."""
    if case.rental.status == Status.INSPECTED:
        return
    if case.rental.status == Status.RESERVED and case.rental.ends_on < case.today:
        return
    next_step = {
        Status.RESERVED: f"it can be closed without a hand-out after {case.rental.ends_on.isoformat()}",
        Status.HANDED_OUT: "it is still out",
        Status.RETURNED: "inspect it first",
    }.get(Status(case.rental.status), "there is nothing left to do")
    raise case.wrong(f"The rental is {case.rental.get_status_display().lower()}: {next_step}.")


def close(case: Case) -> None:
    """The end; what was never collected is called off. The deposit is given back before (life.py)."""
    refuse_close(case)
    _call_off_rest(case)
    case.rental.closed_at = case.at


def refuse_out(case: Case) -> None:
    out = sum(line.out for line in case.lines)
    if out:
        raise case.wrong(f"{out} of its units are still out.")
    if any(line.to_go_out for line in case.lines) and case.rental.ends_on >= case.today:
        raise case.wrong(SOONEST_END.format(case.rental.ends_on.isoformat()))


def _conditions(case: Case) -> None:
    for number, named in enumerate(case.command.units or ()):
        line = line_of(case, named, number)
        if named.quantity > line.returned:
            raise case.wrong(f"{line.order_line.title}: {line.returned} came back, not {named.quantity}.")
        case.tell(line, named.quantity, line.order_line.variant_key, condition=named.condition)


def _call_off_rest(case: Case) -> None:
    lines = case.lines_by_id
    here = [Picked(row, lines[row.line_id], row.quantity - row.out, None) for row in case.units]
    call_off_within(case, [picked for picked in here if picked.quantity])

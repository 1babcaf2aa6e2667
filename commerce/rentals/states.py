"""What a rental's counts say about it: its status, and the days that staff look for. The only place that decides it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from commerce.rentals.models import Rental, RentalLine, RentalUnits

Status = Rental.Status


def status_by_counts(*, lines: Sequence[RentalLine], inspected: bool, closed: bool) -> str:
    """Reserved until a unit goes out, returned once all that were to go out have, and are back or lost."""
    if closed:
        return Status.CLOSED
    if inspected:
        return Status.INSPECTED
    if not any(line.handed_out for line in lines):
        return Status.RESERVED if any(line.to_go_out for line in lines) else Status.CANCELED
    if any(line.to_go_out or line.out for line in lines):
        return Status.HANDED_OUT
    return Status.RETURNED


def follow_counts(*, rental: Rental, lines: Sequence[RentalLine], units: Iterable[RentalUnits]) -> None:
    """Brings the rental's own columns to what its lines and units say; the caller saves."""
    rental.status = status_by_counts(
        lines=lines, inspected=rental.inspected_at is not None, closed=rental.closed_at is not None
    )
    due = {line.pk: line.due_on for line in lines}
    rows = list(units)
    rental.next_out_on = _first(row.starts_on for row in rows if row.quantity > row.out)
    rental.next_due_on = _first(due[row.line_id] for row in rows if row.out)


def _first(days: Iterable[date]) -> date | None:
    return min(days, default=None)

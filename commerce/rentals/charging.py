"""What damage and loss cost the customer: of the deposit first, and what is more than it is owed."""

from __future__ import annotations

from commerce.money import require_minor
from commerce.rentals.cases import BAD, Case
from commerce.returns.claiming import balance_of
from commerce.returns.deposits import keep_deposit_within
from tenants.errors import InvalidRequest


def charge_within(case: Case) -> None:
    """Keeps the command's amount of the deposit that is left; the rest is the rental's `owed_amount`, which whoever
    collects it reads. Nothing without an amount. The order is locked. Raises InvalidRequest.
    """
    if case.command.amount is None:
        return
    if require_minor(case.command.amount) <= 0:
        raise InvalidRequest(BAD, {"amount": ["A whole number above 0."]})
    case.kept = min(case.command.amount, max(0, balance_of(case.order).deposit_left))
    if case.kept:
        keep_deposit_within(
            order=case.order,
            amount=case.kept,
            reason=case.command.note or case.command.action.capitalize(),
            key=f"rental:{case.event_id}",
            acting=case.acting,
            now=case.now,
        )
    case.rental.owed_amount += case.command.amount - case.kept

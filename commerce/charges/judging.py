"""What Stripe's word on a payment intent means for the charge behind it: a closed table, without a database."""

from __future__ import annotations

from typing import Final

from commerce.charges.models import Charge
from commerce.gateway.intents import PaymentFacts

Status = Charge.Status

# Cancellations that nobody asked for: the time of an authorisation was up.
# Source: Stripe's PaymentIntent object, `cancellation_reason`.
LAPSED: Final = frozenset({"automatic", "expired"})
WANTS_CUSTOMER: Final = frozenset({"authentication_required"})


def judge_payment(facts: PaymentFacts, *, was: str, release: bool) -> str:
    """The charge's status after a reading. `was` is the one before, `release` whether it was to be let go.

    What isn't listed says nothing that could be acted on, and changes nothing.
    """
    if facts.status == "succeeded":
        return Status.SUCCEEDED
    if facts.status == "requires_capture":
        return Status.HELD
    if facts.status == "processing":
        return Status.PROCESSING
    if facts.status == "requires_action" or facts.error_code in WANTS_CUSTOMER:
        return Status.CUSTOMER if facts.status != "canceled" else _ended(facts, was=was, release=release)
    if facts.status in {"requires_payment_method", "requires_confirmation"}:
        return Status.DECLINED
    return _ended(facts, was=was, release=release) if facts.status == "canceled" else was


def _ended(facts: PaymentFacts, *, was: str, release: bool) -> str:
    """Of an intent that ended without money: what was held has lapsed or was let go; what is owed stays owed, and is
    paid in another way, until staff let it go too.
    """
    if not release and was in Charge.OWED:
        return was
    return Status.EXPIRED if facts.canceled_because in LAPSED else Status.CANCELED

"""Errors of returns, by the contract's codes."""

from __future__ import annotations

from typing import Any

from tenants.errors import HoldfastError, WrongState


class RefundExceedsPayment(HoldfastError):
    """More than what is left of what was paid. `left` in minor units of `currency`, `of` says of which part."""

    code = "refund_exceeds_payment"

    def __init__(self, left: int, currency: str, *, of: str = "payment") -> None:
        super().__init__(f"More than what is left of the {of} to refund.")
        self.left, self.currency, self.of = left, currency, of

    def members(self) -> dict[str, Any]:
        return {"remainingAmount": self.left, "currency": self.currency, "of": self.of}


class ReturnKeyConflict(HoldfastError):
    """The idempotency key was used before for another return."""

    code = "idempotency_conflict"


class RefundRejected(HoldfastError):
    """Stripe refused definitively: no money was sent, and what was asked for counts as not returned."""

    code = "payment_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__("The payment provider refused the refund.")
        self.reason = reason

    def members(self) -> dict[str, Any]:
        return {"reason": self.reason}


class RefundUnknown(HoldfastError):
    """Stripe hasn't said what became of it. Repeating the same request, or waiting, finds out."""

    code = "payment_unknown"

    def __init__(self, retry_after_ms: int = 1_000) -> None:
        super().__init__("The payment provider has not answered yet. Repeat the same request.")
        self.retry_after_ms = retry_after_ms

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": self.retry_after_ms}


class MoneyReserved(WrongState):
    """Stripe has refunded elsewhere what a refund of ours, not answered yet, still reserves. It is found out within
    minutes; the event is handled again then.
    """


class RefundWithoutOrder(Exception):
    """A refund at Stripe of a payment that is no order's: kept with its event, for staff."""

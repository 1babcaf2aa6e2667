"""Errors of operations on subscriptions, by the contract's codes."""

from __future__ import annotations

from typing import Any

from tenants.errors import HoldfastError


class OperationKeyConflict(HoldfastError):
    """The idempotency key was used before for another operation."""

    code = "idempotency_conflict"


class OperationRejected(HoldfastError):
    """Stripe refused definitively: the subscription is as it was."""

    code = "payment_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__("The payment provider refused to change the subscription.")
        self.reason = reason

    def members(self) -> dict[str, Any]:
        return {"reason": self.reason}


class OperationUnknown(HoldfastError):
    """Stripe hasn't said what became of it. Repeating the same request, or waiting, finds out."""

    code = "payment_unknown"

    def __init__(self, retry_after_ms: int = 1_000) -> None:
        super().__init__("The payment provider has not answered yet. Repeat the same request.")
        self.retry_after_ms = retry_after_ms

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": self.retry_after_ms}

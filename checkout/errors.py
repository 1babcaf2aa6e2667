"""Errors of the checkout, by the contract's codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkout.contracts import PriceChange
from tenants.errors import HoldfastError


class PriceChanged(HoldfastError):
    """Drift above the tolerance in a shop that refuses it. Nothing was held."""

    code = "PRICE_CHANGED"

    def __init__(self, changes: Sequence[PriceChange], currency: str) -> None:
        super().__init__("Prices have changed since they were shown.")
        self.changes, self.currency = changes, currency

    def members(self) -> dict[str, Any]:
        items = [{"sku": c.sku, "was": c.was, "now": c.now} for c in self.changes]
        return {"items": items, "currency": self.currency}


class AmountTooSmall(HoldfastError):
    """Below what Stripe charges in this currency. Minor units."""

    code = "amount_too_small"

    def __init__(self, currency: str, minimum: int) -> None:
        super().__init__("The total is below the smallest amount that can be charged.")
        self.currency, self.minimum = currency, minimum

    def members(self) -> dict[str, Any]:
        return {"currency": self.currency, "minimum": self.minimum}


class AmountTooLarge(HoldfastError):
    """More than Stripe charges at once in this currency. Minor units. The contract has no code of its own for it."""

    code = "invalid_request"

    def __init__(self, currency: str, maximum: int) -> None:
        super().__init__("The total is above the largest amount that can be charged.")
        self.currency, self.maximum = currency, maximum

    def members(self) -> dict[str, Any]:
        return {"currency": self.currency, "maximum": self.maximum}


class ClientKeyConflict(HoldfastError):
    """An `Idempotency-Key` was used before for another request."""

    code = "idempotency_conflict"


class PaymentRejected(HoldfastError):
    """Stripe refused definitively; the hold has been given back."""

    code = "payment_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__("The payment provider refused to open a payment.")
        self.reason = reason

    def members(self) -> dict[str, Any]:
        return {"reason": self.reason}


class PaymentUnknown(HoldfastError):
    """The outcome at Stripe is unknown; the hold stays, and repeating the same request reaches the same session."""

    code = "payment_unknown"

    def __init__(self, retry_after_ms: int = 1000) -> None:
        super().__init__("The payment provider has not answered yet. Repeat the same request.")
        self.retry_after_ms = retry_after_ms

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": self.retry_after_ms}


class WrongState(HoldfastError):
    """An operation that the attempt's state doesn't allow."""

    code = "wrong_state"


class CouponRejected(HoldfastError):
    """A coupon that can't be used; `reason` is machine-readable."""

    code = "coupon_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__("This coupon can't be used.")
        self.reason = reason

    def members(self) -> dict[str, Any]:
        return {"reason": self.reason}


class SessionUnknown(Exception):
    """A session that no attempt of the shop stands behind: money without an order, kept by the caller."""

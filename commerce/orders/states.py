"""The order's states move forwards only; what may follow what is this table.

`canceled` and `failed` may still become `confirmed` or `review`: a payment can land after its session expired, and it
is never lost (W6).
"""

from __future__ import annotations

from commerce.orders.models import Order

S = Order.Status

FORWARD: dict[str, frozenset[str]] = {
    S.PENDING: frozenset({S.PROCESSING, S.AUTHORISED, S.CONFIRMED, S.REVIEW, S.FAILED, S.CANCELED}),
    S.PROCESSING: frozenset({S.AUTHORISED, S.CONFIRMED, S.REVIEW, S.FAILED}),
    S.AUTHORISED: frozenset({S.CONFIRMED, S.REVIEW, S.CANCELED}),
    S.CANCELED: frozenset({S.CONFIRMED, S.REVIEW}),
    S.FAILED: frozenset({S.CONFIRMED, S.REVIEW}),
    S.REVIEW: frozenset({S.CONFIRMED, S.REFUNDED}),
    S.CONFIRMED: frozenset({S.REFUNDED}),
    S.REFUNDED: frozenset(),
}


def may_move(current: str, to: str) -> bool:
    """Whether an order in state `current` may go to `to`."""
    return to in FORWARD[current]

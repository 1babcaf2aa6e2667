"""The order's states move forwards only; what may follow what is this table.

`canceled` and `failed` may still become `confirmed` or `review`: a payment can land after its session expired, and it
is never lost (W6). One state is no step but a sum: an order is `refunded` while all of its money has gone back. A bank
may send a refund back days later, and then the order is again what it was before.
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


def without_refund(*, was_confirmed: bool) -> str:
    """What an order is whose money didn't go back after all: the two states that lead to `refunded`, told apart by
    whether its stock was ever taken.
    """
    return S.CONFIRMED if was_confirmed else S.REVIEW

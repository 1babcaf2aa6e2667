"""What must hold in every state, between two states, and where nothing can happen any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from commerce.orders.states import may_move
from tests.checkout.attempt_model.world import (
    ACTIVE,
    CAN_CLOSE,
    CANCELED,
    CLOSING,
    COMMITTED,
    CONFIRMED,
    FAILED,
    OPEN,
    PAID,
    PENDING,
    RELEASED,
    REVIEW,
    SESSION_EXPIRED,
    SESSION_OPEN,
    UNPAID,
    VALID,
    Attempt,
    Bounds,
    World,
)

TWO_PAYABLE: Final = "two payable sessions of one cart"
PAYABLE_AFTER_COMPLETE: Final = "payable although a session of this or a later generation is complete"
PAYABLE_WITHOUT_HOLD: Final = "payable without an active hold"
PAYABLE_AND_STALE: Final = "payable although its lines have left the cart for another order"
GIVEN_BACK_TOO_SOON: Final = "hold given back while its session is open or complete"
ORDER_MOVED_BACK: Final = "an order moved otherwise than forwards"
EXPIRED_WHILE_OPEN: Final = "session of an open attempt expired before its hold is overdue"
CLOSED_WITHOUT_CAUSE: Final = "checkout of the cart as it is was closed, and nobody asked for it"
STOCK_WRONG: Final = "stock differs from what is held and sold"
HOLD_LEFT: Final = "at rest: an active hold without open or unpaid session"
ORDER_LEFT: Final = "at rest: an order is still pending"
PAID_AND_LOST: Final = "at rest: paid, and neither confirmed from stock nor in review"
NEVER_AT_REST: Final = "can never come to rest"

FINAL_ORDERS: Final = frozenset({CONFIRMED, REVIEW, FAILED, CANCELED})


def violations(world: World, bounds: Bounds) -> Iterator[str]:
    """What is wrong with a state."""
    for index, attempt in enumerate(world.attempts):
        if attempt.session == SESSION_OPEN:
            yield from _wrong_while_payable(world, index, attempt, bounds)
    held = sum(a.hold == ACTIVE for a in world.attempts) + (world.other_buyer == "holds")
    sold = sum(a.order == CONFIRMED for a in world.attempts) + (world.other_buyer == "bought")
    if not (0 <= world.held <= world.on_hand and world.held == held and world.on_hand == bounds.on_hand - sold):
        yield STOCK_WRONG


def violations_of_step(before: World, after: World, bounds: Bounds) -> Iterator[str]:
    """What is wrong with a change of attempts."""
    for index, attempt in enumerate(before.attempts):
        changed = after.attempts[index]
        if changed is not attempt:
            yield from _wrong_change(attempt, changed, bounds)
            if attempt.state in CAN_CLOSE and changed.state == CLOSING:
                yield from _wrong_closing(before, after, changed)


def _wrong_while_payable(world: World, index: int, attempt: Attempt, bounds: Bounds) -> Iterator[str]:
    if attempt.hold != ACTIVE:
        yield PAYABLE_WITHOUT_HOLD
    if attempt.stale and attempt.state != CLOSING:
        yield PAYABLE_AND_STALE
    for other_index, other in enumerate(world.attempts):
        if other_index == index:
            continue
        if other.session == SESSION_OPEN:
            yield TWO_PAYABLE
        # A payment that was in flight when its session expired can't be foreseen; its rivals are ended when it is seen.
        if other.session in {PAID, UNPAID} and attempt.generation <= other.generation and not bounds.late_pay:
            yield PAYABLE_AFTER_COMPLETE


def _wrong_change(before: Attempt, after: Attempt, bounds: Bounds) -> Iterator[str]:
    ended_well = {SESSION_OPEN, UNPAID} if bounds.late_pay else {SESSION_OPEN, UNPAID, PAID}
    if before.hold == ACTIVE and after.hold == RELEASED and after.session in ended_well:
        yield GIVEN_BACK_TOO_SOON
    if before.order != after.order:
        late = bounds.late_pay and before.order == CANCELED
        if not may_move(before.order, after.order) or (before.order in FINAL_ORDERS and not late):
            yield ORDER_MOVED_BACK
    expired = before.session == SESSION_OPEN and after.session == SESSION_EXPIRED
    if expired and after.state == OPEN and after.clock == VALID:
        yield EXPIRED_WHILE_OPEN


def _wrong_closing(before: World, after: World, attempt: Attempt) -> Iterator[str]:
    """Closing has a cause: staff, an overdue hold, or a cart that has moved on."""
    as_it_is = attempt.generation == after.generation and not after.empty and not attempt.stale
    if as_it_is and attempt.clock == VALID and before.cancels == after.cancels:
        yield CLOSED_WITHOUT_CAUSE


def violations_at_rest(world: World) -> Iterator[str]:
    """What is wrong with a state in which nothing can happen any more."""
    for attempt in world.attempts:
        if attempt.hold == ACTIVE and attempt.session not in {SESSION_OPEN, UNPAID}:
            yield HOLD_LEFT
        if attempt.order == PENDING:
            yield ORDER_LEFT
        confirmed = attempt.order == CONFIRMED and attempt.hold == COMMITTED
        if attempt.session == PAID and not (confirmed or attempt.order == REVIEW):
            yield PAID_AND_LOST

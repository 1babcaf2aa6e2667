"""What exists: the cart, the attempts with order, hold and session, the stock, and who is at which step.

Plain values of the code's own enumerations: a renamed state breaks the model, and strings hash fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from checkout.models import CheckoutAttempt
from commerce.models import Order
from inventory.models import Hold

SENDING: Final = CheckoutAttempt.State.SENDING.value
OPEN: Final = CheckoutAttempt.State.OPEN.value
UNKNOWN: Final = CheckoutAttempt.State.UNKNOWN.value
CLOSING: Final = CheckoutAttempt.State.CLOSING.value
CLOSED: Final = CheckoutAttempt.State.CLOSED.value
WITHOUT_SESSION: Final = frozenset({SENDING, UNKNOWN, CLOSING})
CAN_CLOSE: Final = frozenset({SENDING, UNKNOWN, OPEN})

NOT_CLOSED: Final = CheckoutAttempt.Outcome.NONE.value
COMPLETED: Final = CheckoutAttempt.Outcome.COMPLETED.value
EXPIRED: Final = CheckoutAttempt.Outcome.EXPIRED.value
REFUSED: Final = CheckoutAttempt.Outcome.REFUSED.value
NEVER_MADE: Final = CheckoutAttempt.Outcome.NEVER_MADE.value

PENDING: Final = Order.Status.PENDING.value
PROCESSING: Final = Order.Status.PROCESSING.value
CONFIRMED: Final = Order.Status.CONFIRMED.value
REVIEW: Final = Order.Status.REVIEW.value
FAILED: Final = Order.Status.FAILED.value
CANCELED: Final = Order.Status.CANCELED.value

ACTIVE: Final = Hold.Status.ACTIVE.value
COMMITTED: Final = Hold.Status.COMMITTED.value
RELEASED: Final = Hold.Status.RELEASED.value

# A session at Stripe. `unpaid` is complete with a delayed payment on its way, `unpaid_failed` one whose payment failed.
NO_SESSION: Final = "no session"
SESSION_OPEN: Final = "open session"
PAID: Final = "paid"
UNPAID: Final = "complete, unpaid"
UNPAID_FAILED: Final = "complete, payment failed"
SESSION_EXPIRED: Final = "expired session"
ENDED: Final = frozenset({PAID, UNPAID_FAILED, SESSION_EXPIRED})

# Clock of an attempt: its hold is overdue; a create is refused for its expires_at; that plus the clock's margin.
VALID, OVERDUE, TOO_LATE, MARGIN_PASSED = 0, 1, 2, 3

# Sends that are not known to be refused: 0, 1, 2, and "never to be known", from which there is no way back.
NEVER_PROVEN: Final = 3


class Attempt(NamedTuple):
    """An attempt with its order, hold and session, one each. `recorded`: our row has the session's id. `stale`: its
    lines have left the cart for another order.
    """

    generation: int
    state: str = SENDING
    outcome: str = NOT_CLOSED
    unproven: int = 1
    in_network: bool = False
    order: str = PENDING
    hold: str = ACTIVE
    session: str = NO_SESSION
    recorded: bool = False
    shown: bool = False
    clock: int = VALID
    stale: bool = False


class Process(NamedTuple):
    """A tab or a worker: its next step, the attempt it works on, what it read at Stripe, the cart it priced."""

    step: str
    attempt: int = 0
    read: str = ""
    cart: int = -1


class World(NamedTuple):
    """One state of everything. `lines_left`: the generation at which lines last left the cart for an order."""

    generation: int
    empty: bool
    lines_left: int
    changes: int
    on_hand: int
    held: int
    other_buyer: str
    cancels: int
    attempts: tuple[Attempt, ...]
    tabs: tuple[Process, ...]
    workers: tuple[Process, ...]


IDLE: Final = Process("idle")
DONE: Final = Process("done")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large the world is, and what may happen in it. `by_key`: the customer has no cart and buys the same items
    under one client key.
    """

    tabs: int = 2
    workers: int = 1
    attempts: int = 2
    on_hand: int = 1
    cart_changes: int = 0
    staff_cancels: int = 0
    other_buyer: bool = False
    crashes: bool = True
    network_trouble: bool = True
    refusals: bool = True
    delayed_payments: bool = True
    late_pay: bool = False
    by_key: bool = False


def first_world(bounds: Bounds) -> World:
    return World(
        generation=0,
        empty=False,
        lines_left=0,
        changes=bounds.cart_changes,
        on_hand=bounds.on_hand,
        held=0,
        other_buyer="comes" if bounds.other_buyer else "gone",
        cancels=bounds.staff_cancels,
        attempts=(),
        tabs=(IDLE,) * bounds.tabs,
        workers=(IDLE,) * bounds.workers,
    )


def with_attempt(world: World, index: int, **changes: Any) -> World:
    """The world with one attempt changed. What can't matter any more takes one value, so that equal futures are equal
    states: a request in the network once there is a session, the count of sends once it is recorded or closed.
    """
    attempt = world.attempts[index]._replace(**changes)
    if attempt.in_network and attempt.session != NO_SESSION:
        attempt = attempt._replace(in_network=False)
    if attempt.unproven != NEVER_PROVEN and (attempt.recorded or attempt.state == CLOSED):
        attempt = attempt._replace(unproven=NEVER_PROVEN)
    if attempt.state == CLOSED and attempt.session in ENDED and not (attempt.recorded and attempt.clock == TOO_LATE):
        attempt = attempt._replace(recorded=True, clock=TOO_LATE)
    attempts = (*world.attempts[:index], attempt, *world.attempts[index + 1 :])
    return world._replace(attempts=attempts)

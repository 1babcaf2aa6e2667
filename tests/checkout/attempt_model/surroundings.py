"""What customers, other buyers, Stripe and time do, whenever they like."""

from __future__ import annotations

from collections.abc import Iterator

from tests.checkout.attempt_model.world import (
    CLOSED,
    MARGIN_PASSED,
    NO_SESSION,
    PAID,
    SESSION_EXPIRED,
    SESSION_OPEN,
    TOO_LATE,
    UNPAID,
    UNPAID_FAILED,
    WITHOUT_SESSION,
    Attempt,
    Bounds,
    World,
    with_attempt,
)


def happenings(world: World, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """Each thing that may happen next outside our processes, and the world after it."""
    if world.changes:
        changed = world._replace(changes=world.changes - 1, generation=world.generation + 1, empty=False)
        yield "the customer changes the cart", changed
    if world.other_buyer == "comes" and world.on_hand - world.held >= 1:
        yield "another buyer holds a unit", world._replace(other_buyer="holds", held=world.held + 1)
    if world.other_buyer == "holds":
        left = world._replace(held=world.held - 1)
        yield "the other buyer pays", left._replace(other_buyer="bought", on_hand=world.on_hand - 1)
        yield "the other buyer's hold is released", left._replace(other_buyer="gone")
    for index, attempt in enumerate(world.attempts):
        for what, changes in _of_session(attempt, bounds):
            yield f"{what} (session of {index})", with_attempt(world, index, **changes)
        if _time_matters(attempt):
            # A request doesn't stay under way for half an hour.
            in_network = attempt.in_network and attempt.clock == 0
            later = with_attempt(world, index, clock=attempt.clock + 1, in_network=in_network)
            yield f"time passes for {index}: {attempt.clock + 1}", later


def _of_session(attempt: Attempt, bounds: Bounds) -> Iterator[tuple[str, dict[str, object]]]:
    if attempt.session == SESSION_OPEN and attempt.shown:
        yield "the customer pays", {"session": PAID}
        if bounds.delayed_payments:
            yield "the customer completes it unpaid", {"session": UNPAID}
    if attempt.session == UNPAID:
        yield "the delayed payment succeeds", {"session": PAID}
        yield "the delayed payment fails", {"session": UNPAID_FAILED}
    if attempt.session == SESSION_EXPIRED and attempt.shown and bounds.late_pay:
        yield "a payment in flight at expiry succeeds", {"session": PAID}
    if attempt.in_network:
        arrives = attempt.session == NO_SESSION and attempt.clock < TOO_LATE
        yield "the request arrives late", {"in_network": False, "session": SESSION_OPEN if arrives else attempt.session}
    if attempt.session == SESSION_OPEN and attempt.clock >= TOO_LATE:
        yield "Stripe expires it", {"session": SESSION_EXPIRED}


def _time_matters(attempt: Attempt) -> bool:
    """Time stands still where it changes nothing any more: fewer states, the same futures."""
    if attempt.clock == MARGIN_PASSED:
        return False
    if attempt.clock == TOO_LATE:
        return attempt.state in WITHOUT_SESSION and not attempt.recorded and attempt.session != SESSION_OPEN
    return attempt.state != CLOSED or attempt.session == SESSION_OPEN or attempt.in_network

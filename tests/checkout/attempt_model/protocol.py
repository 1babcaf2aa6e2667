"""What the code does, one transaction or one call to Stripe per step. The verb of a step is the code's own name.

The protocol can be broken on purpose, one rule at a time (BREAKS): the tests show that the invariants notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from tests.checkout.attempt_model.world import (
    ACTIVE,
    CAN_CLOSE,
    CANCELED,
    CLOSED,
    CLOSING,
    COMMITTED,
    COMPLETED,
    CONFIRMED,
    DONE,
    EXPIRED,
    FAILED,
    IDLE,
    MARGIN_PASSED,
    NEVER_MADE,
    NEVER_PROVEN,
    NO_SESSION,
    NOT_CLOSED,
    OPEN,
    OVERDUE,
    PAID,
    PENDING,
    PROCESSING,
    REFUSED,
    RELEASED,
    REVIEW,
    SENDING,
    SESSION_EXPIRED,
    SESSION_OPEN,
    TOO_LATE,
    UNKNOWN,
    UNPAID,
    UNPAID_FAILED,
    WITHOUT_SESSION,
    Attempt,
    Bounds,
    Process,
    World,
    with_attempt,
)

# (verb, what it did, the world after it, the process after it)
Move: TypeAlias = tuple[str, str, World, Process]

BREAKS: Final = {
    "giveback": "closing an attempt without recorded session gives back at once: nothing to expire",
    "reap_null": "the reaper treats an overdue hold whose attempt has no recorded session as one without session",
    "local_count": "'every send was refused' looks at the own send alone, not at the stored count",
    "no_closing": "recording a session doesn't look at the attempt's state again, and answers the address",
    "release_first": "supersede releases before it expires",
    "no_resolver": "nobody takes up abandoned attempts",
    "no_t3": "an unknown outcome never ends by the clock",
    "same_session": "a sender that finds its attempt open with the very session it brings expires it",
    "one_per_cart": "attempts are unique per generation of a cart, not per cart",
    "complete_key": "a claim succeeds although a session for this generation was completed",
    "fresh_cart": "a claim succeeds although the cart has moved on since it was priced",
    "unlocked_claim": "the claim locks nothing of what it looks at, so that an earlier attempt completes meanwhile",
    "no_rivals": "a late payment leaves the cart's other session alone",
    "rivals_always": "whoever finds a session paid ends all other attempts of the cart, also those begun afterwards",
}
SEND_STEPS: Final = frozenset({"send", "unanswered", "refused"})


class Protocol:
    """The rules of tabs and workers, within bounds, less what is broken."""

    def __init__(self, bounds: Bounds, breaks: frozenset[str] = frozenset()) -> None:
        if unknown := breaks - BREAKS.keys():
            raise ValueError(f"No such breaks: {', '.join(sorted(unknown))}")
        self.bounds, self.breaks = bounds, breaks

    def moves(self, world: World, process: Process, *, tab: bool) -> Iterator[Move]:
        """Everything that one process may do next."""
        step = process.step
        if step == "done":
            return
        if step == "idle":
            yield from self._tab_begins(world) if tab else self._worker_begins(world)
            return
        end = DONE if tab else IDLE
        if self.bounds.crashes:
            # A send whose sender is gone is never known to be refused.
            left = _unprovable(world, process.attempt) if step in SEND_STEPS else world
            yield "", "crashes", left, end
        if step == "claim":
            yield from self._claim(world, process)
        elif step == "tx 1":
            yield from self._tx_1(world, process)
        elif step in {"finish", "send"}:
            yield from self._finish(world, process) if step == "finish" else self._send(world, process)
        elif step in {"answered", "unanswered", "refused", "too late"}:
            yield from self._tx_2(world, process, tab=tab, end=end)
        else:
            yield from self._at_stripe(world, process, end=end)

    # ------------------------------------------------------------ start.py
    def _tab_begins(self, world: World) -> Iterator[Move]:
        if not world.empty:
            yield "read_wanted", "reads and prices the cart", world, Process("claim", cart=world.generation)

    def _claim(self, world: World, process: Process) -> Iterator[Move]:
        """replay_or_supersede: a look at the open attempts, then what the first of them asks for."""
        for index, attempt in enumerate(world.attempts):
            if attempt.state == CLOSED:
                continue
            here = process._replace(attempt=index)
            if attempt.generation == process.cart:
                if attempt.state == OPEN:
                    yield "claimants", "replays it", world, here._replace(step="read to replay")
                elif attempt.state == CLOSING:
                    yield "mark_closing", "finds it closing", world, here._replace(step="finish")
                else:
                    yield "take_lease", "sends again", _one_more_send(world, index), here._replace(step="send")
                    yield from self._by_clock(world, index)
            elif attempt.generation > process.cart and "one_per_cart" not in self.breaks:
                yield "claimants", "the cart has moved on", world, IDLE
            else:
                if "release_first" in self.breaks and attempt.hold == ACTIVE:
                    world = with_attempt(world._replace(held=world.held - 1), index, hold=RELEASED)
                yield "mark_closing", "supersedes it", _closing(world, index), here._replace(step="finish")
            return
        if _bought(world, process.cart):
            yield "claimants", "answers the finished order", world, DONE
        else:
            yield "claimants", "finds the slot free", world, process._replace(step="tx 1")

    def _tx_1(self, world: World, process: Process) -> Iterator[Move]:
        """claim_attempt. The insert takes the slot, then it looks: both are one step, as what it looks at is locked."""
        looked = process.read == "looked"
        taken = any(
            a.state != CLOSED and (a.generation == process.cart or "one_per_cart" not in self.breaks)
            for a in world.attempts
        ) or (not looked and any(other.read == "looked" for other in world.tabs))
        if taken or (not looked and "complete_key" not in self.breaks and _bought(world, process.cart)):
            yield "claim_attempt", "loses the claim", world, IDLE
        elif not looked and "fresh_cart" not in self.breaks and (world.generation != process.cart or world.empty):
            yield "claim_attempt", "sees another generation", world, IDLE
        elif "unlocked_claim" in self.breaks and not looked:
            yield "claim_attempt", "has looked", world, process._replace(read="looked")
        elif len(world.attempts) >= self.bounds.attempts:
            yield "", "(bound on attempts)", world, DONE
        elif world.on_hand - world.held < 1:
            yield "claim_attempt", "insufficient stock", world, DONE
        else:
            bought = self.bounds.by_key and _bought(world, process.cart)
            new = Attempt(generation=process.cart, stale=bought or world.lines_left > process.cart)
            claimed = world._replace(held=world.held + 1, attempts=(*world.attempts, new))
            yield "claim_attempt", "makes it", claimed, Process("send", len(world.attempts), "", process.cart)

    # ------------------------------------------------------------ closing.py: finish_closing
    def _finish(self, world: World, process: Process) -> Iterator[Move]:
        index = process.attempt
        attempt = world.attempts[index]
        if attempt.state != CLOSING:
            yield "finish_closing", "finds it closed", world, IDLE
        elif attempt.recorded:
            yield "finish_closing", "goes to expire it", world, process._replace(step="expire")
        elif "giveback" in self.breaks:
            yield "finish_closing", "gives back", _given_back(world, index, NEVER_MADE, CANCELED), IDLE
        else:
            yield "take_lease", "sends to learn of it", _one_more_send(world, index), process._replace(step="send")
        yield from self._by_clock(world, index)

    def _by_clock(self, world: World, index: int) -> Iterator[Move]:
        """end_by_clock: what nobody was shown can't be payable any more."""
        attempt = world.attempts[index]
        ends = attempt.state in WITHOUT_SESSION and attempt.clock == MARGIN_PASSED
        if ends and not (attempt.shown or attempt.recorded or "no_t3" in self.breaks):
            yield "end_by_clock", "its time is up", _given_back(world, index, NEVER_MADE, CANCELED), IDLE

    # ------------------------------------------------------------ create_session, at Stripe
    def _send(self, world: World, process: Process) -> Iterator[Move]:
        index = process.attempt
        attempt = world.attempts[index]
        made = attempt.session != NO_SESSION
        if not made and attempt.clock >= TOO_LATE:
            yield "", "create: refused for its expires_at", world, process._replace(step="too late")
        else:
            after = world if made else with_attempt(world, index, session=SESSION_OPEN)
            yield "", "create: answered", after, process._replace(step="answered")
            if self.bounds.network_trouble:
                yield "", "create: the answer is lost", after, process._replace(step="unanswered")
            if self.bounds.network_trouble and not made:
                in_network = with_attempt(world, index, in_network=True)
                yield "", "create: times out under way", in_network, process._replace(step="unanswered")
        if self.bounds.network_trouble:
            yield "", "create: never arrives", world, process._replace(step="unanswered")
        if self.bounds.refusals:
            yield "", "create: 401", world, process._replace(step="refused")

    # ------------------------------------------------------------ attempts.py: record_session, settle_failure
    def _tx_2(self, world: World, process: Process, *, tab: bool, end: Process) -> Iterator[Move]:
        index, step = process.attempt, process.step
        attempt = world.attempts[index]
        if step == "answered":
            mine = attempt.state == OPEN and "same_session" not in self.breaks
            if attempt.state in {SENDING, UNKNOWN} or "no_closing" in self.breaks:
                world, mine = with_attempt(world, index, state=OPEN, outcome=NOT_CLOSED, recorded=True), True
            if mine:
                yield "record_session", "has its session", world, process._replace(step="answer") if tab else end
            else:
                yield "record_session", f"is {attempt.state}", world, process._replace(step="expire")
            return
        unknown = UNKNOWN if attempt.state == SENDING else attempt.state
        if step == "too late":
            known = attempt.state in WITHOUT_SESSION
            after = _given_back(world, index, NEVER_MADE, CANCELED) if known else world
            yield "settle_failure", "was never made", after, IDLE
        elif step == "unanswered":
            yield "settle_failure", "unknown", with_attempt(world, index, state=unknown, unproven=NEVER_PROVEN), end
        else:
            left = attempt.unproven if attempt.unproven == NEVER_PROVEN else attempt.unproven - 1
            if "local_count" in self.breaks:
                left = 0
            if left <= 0 and attempt.state in WITHOUT_SESSION:
                yield "settle_failure", "every send refused", _given_back(world, index, REFUSED, FAILED), end
            else:
                after = with_attempt(world, index, state=unknown, unproven=left)
                yield "settle_failure", "this send refused", after, end

    # ------------------------------------------------------------ settle.py and closing.py: expire_and_settle; replay
    def _at_stripe(self, world: World, process: Process, *, end: Process) -> Iterator[Move]:
        index, step = process.attempt, process.step
        session = world.attempts[index].session
        if step == "expire":
            expired = with_attempt(world, index, session=SESSION_EXPIRED) if session == SESSION_OPEN else world
            yield "", f"expire: finds {session}", expired, process._replace(step="read", read="")
        elif step == "read to replay" and session == SESSION_OPEN:
            yield "", "read: still open", world, process._replace(step="answer")
        elif step in {"read", "read to replay"}:
            yield "", f"read: {session}", world, process._replace(step="apply", read=session)
        elif step == "apply":
            rivals = process.read == PAID and "rivals_always" in self.breaks
            after = self.settled(world, index, process.read)
            yield "settle_session", process.read, after, process._replace(step="rivals") if rivals else IDLE
        elif step == "rivals":
            yield "mark_closing", "ends its rivals", _rivals_closing(world, index), IDLE
        elif step == "answer":
            yield "answer_open", "answers its address", with_attempt(world, index, shown=True), end

    def settled(self, world: World, index: int, read: str) -> World:
        """settle_session's transaction: the closed table. Orders move forwards only, so a late look changes nothing."""
        attempt = world.attempts[index]
        if read == PAID and attempt.order not in {CONFIRMED, REVIEW}:
            was_processing = attempt.order == PROCESSING
            order, hold = CONFIRMED, COMMITTED
            if attempt.hold == ACTIVE:
                world = world._replace(held=world.held - 1, on_hand=world.on_hand - 1)
            elif world.on_hand - world.held >= 1:
                world = world._replace(on_hand=world.on_hand - 1)  # W6: unheld stock, if there is any
            else:
                order, hold = REVIEW, attempt.hold
            world = with_attempt(world, index, state=CLOSED, outcome=COMPLETED, order=order, hold=hold)
            if was_processing:
                return world
            world = self._lines_leave(world, index)
            return world if self.breaks & {"no_rivals", "rivals_always"} else _rivals_closing(world, index)
        if read == UNPAID and attempt.order == PENDING:
            world = with_attempt(world, index, state=CLOSED, outcome=COMPLETED, order=PROCESSING)
            return self._lines_leave(world, index)
        if read == UNPAID_FAILED and attempt.order in {PENDING, PROCESSING}:
            # The lines leave and come back, so that the cart has a generation that no attempt has completed.
            world = _given_back(world, index, COMPLETED, FAILED)
            if self.bounds.by_key:
                return world
            return world._replace(empty=False, generation=world.generation + 1)
        if read == SESSION_EXPIRED and attempt.order == PENDING:
            return _given_back(world, index, EXPIRED, CANCELED)
        return world

    def _lines_leave(self, world: World, bought: int) -> World:
        """empty_bought_within: the cart as it was bought is emptied, from a changed one the bought lines are taken."""
        for index, attempt in enumerate(world.attempts):
            if index != bought and attempt.state != CLOSED:
                world = with_attempt(world, index, stale=True)
        if world.empty or self.bounds.by_key:
            return world
        whole = world.generation == world.attempts[bought].generation
        return world._replace(empty=whole, generation=world.generation + 1, lines_left=world.generation + 1)

    # ------------------------------------------------------------ resolver, reaper, events, staff
    def _worker_begins(self, world: World) -> Iterator[Move]:
        for index, attempt in enumerate(world.attempts):
            here = Process("finish", index)
            if "no_resolver" not in self.breaks:
                if attempt.state == CLOSING:
                    yield "", "resolver finds it closing", world, here
                elif attempt.state in {SENDING, UNKNOWN}:
                    yield "take_lease", "resolver sends again", _one_more_send(world, index), here._replace(step="send")
            if attempt.state in {SENDING, UNKNOWN}:
                yield from self._by_clock(world, index)
                if "reap_null" in self.breaks and attempt.clock >= OVERDUE:
                    yield "", "reaper finds no session", _given_back(world, index, EXPIRED, CANCELED), IDLE
            if attempt.state == OPEN and attempt.clock >= OVERDUE and attempt.hold == ACTIVE:
                yield "mark_closing", "reaper: overdue", _closing(world, index), here
            if self.settled(world, index, attempt.session) != world:
                yield "", "event or order status", world, here._replace(step="read")
            if attempt.state in CAN_CLOSE and world.cancels:
                canceled = world._replace(cancels=world.cancels - 1)
                yield "mark_closing", "staff cancel", _closing(canceled, index), here


def _bought(world: World, generation: int) -> bool:
    return any(a.generation == generation and a.outcome == COMPLETED for a in world.attempts)


def _one_more_send(world: World, index: int) -> World:
    return with_attempt(world, index, unproven=min(world.attempts[index].unproven + 1, NEVER_PROVEN))


def _unprovable(world: World, index: int) -> World:
    return with_attempt(world, index, unproven=NEVER_PROVEN)


def _closing(world: World, index: int) -> World:
    return with_attempt(world, index, state=CLOSING) if world.attempts[index].state in CAN_CLOSE else world


def _rivals_closing(world: World, paid: int) -> World:
    """All other unfinished attempts of the cart, in the transaction that takes its lines."""
    for index in range(len(world.attempts)):
        if index != paid:
            world = _closing(world, index)
    return world


def _given_back(world: World, index: int, outcome: str, order: str) -> World:
    """give_back_within: an order moves forwards only, a hold ends once."""
    attempt = world.attempts[index]
    hold = attempt.hold
    if hold == ACTIVE:
        world, hold = world._replace(held=world.held - 1), RELEASED
    order = order if attempt.order in {PENDING, PROCESSING} else attempt.order
    return with_attempt(world, index, state=CLOSED, outcome=outcome, order=order, hold=hold)

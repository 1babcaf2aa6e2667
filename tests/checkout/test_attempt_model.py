"""The attempt protocol: explored to the last state, broken on purpose, compared with the code that implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout import attempts
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.gateway.client import access_of, expire_session
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.models import Order
from inventory.models import StockRow
from tenants.audit import CUSTOMER
from tenants.context import load_shop
from tests.checkout.attempt_model import invariants as wrong
from tests.checkout.attempt_model.explore import Exploration, Transition, explore
from tests.checkout.attempt_model.protocol import BREAKS
from tests.checkout.attempt_model.world import Bounds
from tests.checkout.sessions import facts_of
from tests.fixtures.sampling import some
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

State = CheckoutAttempt.State

# Several small worlds rather than one of everything: together they are explored in seconds.
WORLDS = {
    "two tabs and every trouble": Bounds(),
    "a changed cart": Bounds(tabs=1, cart_changes=1),
    "two tabs and a changed cart": Bounds(
        cart_changes=1, on_hand=2, crashes=False, network_trouble=False, refusals=False, delayed_payments=False
    ),
    "staff": Bounds(tabs=1, staff_cancels=1),
    "another buyer": Bounds(tabs=1, other_buyer=True),
    "late payments": Bounds(on_hand=2, late_pay=True, crashes=False, refusals=False),
    "late payments under a client key": Bounds(on_hand=2, late_pay=True, by_key=True, crashes=False, refusals=False),
}

# (verb, state before, state after, outcome after). Only what an attempt can really meet: a verb refuses the rest.
TRANSITIONS: frozenset[Transition] = frozenset({
    ("claim_attempt", "", "sending", ""),
    ("record_session", "sending", "open", ""),
    ("record_session", "unknown", "open", ""),
    ("settle_failure", "sending", "unknown", ""),
    ("settle_failure", "sending", "closed", "refused"),
    ("settle_failure", "unknown", "closed", "refused"),
    ("settle_failure", "closing", "closed", "refused"),
    ("settle_failure", "sending", "closed", "never_made"),
    ("settle_failure", "unknown", "closed", "never_made"),
    ("settle_failure", "closing", "closed", "never_made"),
    ("end_by_clock", "sending", "closed", "never_made"),
    ("end_by_clock", "unknown", "closed", "never_made"),
    ("end_by_clock", "closing", "closed", "never_made"),
    ("mark_closing", "sending", "closing", ""),
    ("mark_closing", "unknown", "closing", ""),
    ("mark_closing", "open", "closing", ""),
    ("settle_session", "sending", "closed", "expired"),
    ("settle_session", "unknown", "closed", "expired"),
    ("settle_session", "open", "closed", "expired"),
    ("settle_session", "closing", "closed", "expired"),
    ("settle_session", "open", "closed", "completed"),
    ("settle_session", "closing", "closed", "completed"),
    ("settle_session", "closed", "closed", "completed"),  # a payment that landed after the expiry
})  # fmt: skip
# A payment also ends the other attempts of its cart or key: they sell the same lines once more.
RIVALS: frozenset[Transition] = frozenset(
    ("settle_session", state, "closing", "") for state in ("sending", "unknown", "open")
)
# Nobody can pay what nobody was shown. Should it happen all the same, the money is not lost.
UNHEARD_OF: frozenset[Transition] = frozenset(
    ("settle_session", state, "closed", "completed") for state in ("sending", "unknown")
)


# Between them they make every transition there is: looked at by the test of the table below.
TELLING = ("staff", "late payments")


def flawless(world: str) -> Exploration:
    found = explore(WORLDS[world])
    assert (found.complete, found.violated) == (True, {}), world
    assert found.at_rest > 0
    return found


@pytest.mark.parametrize("world", some([name for name in WORLDS if name not in TELLING], 3))
def test_nothing_is_violated_in(world: str) -> None:
    flawless(world)


# ---------------------------------------------------------------- each rule is needed
@dataclass(frozen=True)
class Broken:
    """What has to be broken, in which small world, and what the model must say then."""

    breaks: tuple[str, ...]
    says: str
    bounds: Bounds = field(default_factory=Bounds)


CALM = {"crashes": False, "network_trouble": False, "refusals": False, "delayed_payments": False}
CHANGED_CART = Bounds(cart_changes=1, on_hand=2, **CALM)
LATE_PAY = Bounds(on_hand=2, late_pay=True, **CALM)
LATE_PAY_BY_KEY = Bounds(on_hand=2, late_pay=True, by_key=True, **CALM)

BROKEN = (
    Broken(("giveback",), wrong.PAYABLE_WITHOUT_HOLD, CHANGED_CART),
    Broken(("reap_null",), wrong.GIVEN_BACK_TOO_SOON, Bounds(tabs=1)),
    Broken(("local_count",), wrong.GIVEN_BACK_TOO_SOON, Bounds(tabs=1)),
    Broken(("no_closing",), wrong.EXPIRED_WHILE_OPEN, CHANGED_CART),
    Broken(("release_first",), wrong.GIVEN_BACK_TOO_SOON, CHANGED_CART),
    Broken(("no_resolver",), wrong.HOLD_LEFT, Bounds(tabs=1, staff_cancels=1)),
    # While anybody may still ask Stripe, the clock isn't needed; it is the way out when nobody can.
    Broken(("no_t3", "no_resolver"), wrong.ORDER_LEFT, Bounds(tabs=1)),
    Broken(("same_session",), wrong.EXPIRED_WHILE_OPEN, Bounds(tabs=1)),
    Broken(("one_per_cart",), wrong.CLOSED_WITHOUT_CAUSE, CHANGED_CART),
    # A cart has moved on when a session for it was completed; a client key never does.
    Broken(("complete_key",), wrong.PAYABLE_AFTER_COMPLETE, Bounds(on_hand=2, by_key=True, **CALM)),
    Broken(("fresh_cart",), wrong.PAYABLE_AND_STALE, CHANGED_CART),
    Broken(("unlocked_claim",), wrong.PAYABLE_AND_STALE, LATE_PAY),
    Broken(("unlocked_claim",), wrong.PAYABLE_AND_STALE, LATE_PAY_BY_KEY),
    Broken(("no_rivals",), wrong.PAYABLE_AND_STALE, LATE_PAY),
    Broken(("no_rivals",), wrong.PAYABLE_AND_STALE, LATE_PAY_BY_KEY),
    Broken(("rivals_always",), wrong.CLOSED_WITHOUT_CAUSE, CHANGED_CART),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{'+'.join(b.breaks)}{'-key' if b.bounds.by_key else ''}")
def test_the_model_notices(broken: Broken) -> None:
    found = explore(broken.bounds, broken.breaks, stop_at_first=True)
    assert broken.says in found.violated
    assert found.violated[broken.says]


def test_every_break_is_shown() -> None:
    assert {name for broken in BROKEN for name in broken.breaks} == set(BREAKS)


def test_without_a_resolver_the_clock_ends_what_is_unknown() -> None:
    """The counterpart of `no_t3`: with the clock, the same small world always comes to rest in order."""
    found = explore(Bounds(tabs=1), ["no_resolver"])
    assert (found.complete, found.violated) == (True, {})


# ---------------------------------------------------------------- the model's words are the code's
def test_states_and_transitions_are_those_of_the_table() -> None:
    transitions = set[Transition]().union(*(flawless(world).transitions for world in TELLING))
    assert transitions == TRANSITIONS | RIVALS
    assert {after for _, _, after, _ in transitions} == set(State.values)
    assert {outcome for *_, outcome in transitions} == set(CheckoutAttempt.Outcome.values)


@dataclass
class Bench:
    """Puts attempts into any state, lets one verb loose on them, and notes what it changed."""

    trade: Trade
    standin: StandIn
    seen: set[Transition] = field(default_factory=set)

    def attempt_in(self, state: str) -> CheckoutAttempt:
        """A new checkout, its row as in `state`; its session is open at Stripe and recorded where a state has one."""
        answer: Any = self.trade.buyer_with_cart().checkout()
        session_id = answer.json()["sessionId"]
        attempt = CheckoutAttempt.objects.get(session_id=session_id)
        attempt.state = state
        if state in {State.SENDING, State.UNKNOWN, State.CLOSING}:
            attempt.session_id, attempt.url_answered = None, False
            Order.objects.filter(pk=attempt.order_id).update(session_id=None)
        if state == State.CLOSED:
            attempt.outcome, attempt.closed_at = CheckoutAttempt.Outcome.EXPIRED, timezone.now()
            Order.objects.filter(pk=attempt.order_id).update(status=Order.Status.CANCELED)
        attempt.save()
        return attempt

    def try_in_every_state(self, verb: str, act: Callable[[CheckoutAttempt, str], object]) -> None:
        for state in State.values:
            attempt = self.attempt_in(state)
            before = (attempt.state, attempt.outcome)
            session_id = self.standin.requests("/v1/checkout/sessions")[-1]["answer"]["id"]
            act(attempt, session_id)
            attempt.refresh_from_db()
            if (attempt.state, attempt.outcome) != before:
                self.seen.add((verb, state, attempt.state, attempt.outcome))


@pytest.fixture
def bench(trade: Trade, standin: StandIn) -> Iterator[Bench]:
    StockRow.objects.update(on_hand=1000)
    yield Bench(trade, standin)


def failure(verdict: Verdict, *, param: str = "") -> StripeFailure:
    return StripeFailure(verdict=verdict, kind="of a test", http_status=400, code="", param=param, message="")


def test_the_verbs_do_what_the_table_says_and_nothing_else(bench: Bench) -> None:
    """Every verb on a real row in every state. `claim_attempt` and the rivals have tests of their own."""
    shop = load_shop("band")

    def fails(attempt: CheckoutAttempt, why: StripeFailure) -> None:
        attempts.settle_failure(attempt=attempt, failure=why, classify=True)

    def refused_too_late(attempt: CheckoutAttempt, session_id: str) -> None:
        CheckoutAttempt.objects.filter(pk=attempt.pk).update(session_expires_at=timezone.now() + timedelta(minutes=20))
        fails(attempt, failure(Verdict.REFUSED, param="expires_at"))

    def paid(attempt: CheckoutAttempt, session_id: str) -> None:
        bench.standin.pay(session_id)
        settle_session(shop=shop, session_id=session_id)

    def expired(attempt: CheckoutAttempt, session_id: str) -> None:
        expire_session(access_of(shop), session_id)
        settle_session(shop=shop, session_id=session_id)

    bench.try_in_every_state(
        "record_session",
        lambda a, session_id: attempts.record_session(attempt=a, session=facts_of(id=session_id), livemode=False),
    )
    bench.try_in_every_state("settle_failure", lambda a, _: fails(a, failure(Verdict.UNKNOWN)))
    bench.try_in_every_state("settle_failure", lambda a, _: fails(a, failure(Verdict.REFUSED)))
    bench.try_in_every_state("settle_failure", refused_too_late)
    bench.try_in_every_state(
        "end_by_clock",
        lambda a, _: attempts.end_by_clock(attempt=a, now=a.session_expires_at + attempts.CLOCK_MARGIN),
    )
    bench.try_in_every_state(
        "mark_closing",
        lambda a, _: attempts.mark_closing(shop_id="band", attempt_id=a.pk, reason="a test", acting=CUSTOMER),
    )
    bench.try_in_every_state("settle_session", paid)
    bench.try_in_every_state("settle_session", expired)
    assert bench.seen == TRANSITIONS - {("claim_attempt", "", "sending", "")} | UNHEARD_OF

"""Whatever comes back from Stripe: what is certain is acted on, what is not keeps hold and attempt (K4). Over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from checkout import resolver
from checkout.attempts import CLOCK_MARGIN
from checkout.models import CheckoutAttempt
from commerce.metrics import STRIPE_ERRORS
from tests.checkout.stripe_trouble import OF_EACH_KIND, REFUSALS, SESSIONS, UNKNOWNS, Trouble, in_trouble
from tests.fixtures.sampling import some
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

EACH_KIND = pytest.mark.parametrize("trouble", some(OF_EACH_KIND, 6), ids=str)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def counted(verdict: str) -> float:
    return float(STRIPE_ERRORS.labels(shop_id="band", verdict=verdict)._value.get())


@pytest.mark.parametrize("trouble", REFUSALS, ids=str)
def test_a_definitive_no_frees_the_hold(trade: Trade, standin: StandIn, settings: Any, trouble: Trouble) -> None:
    buyer, before = trade.buyer_with_cart(), counted("refused")
    with in_trouble(standin, settings, trouble, path=SESSIONS):
        answer = buyer.checkout()
    assert code_of(answer) == (502, "payment_rejected")
    assert (answer.json()["error"], answer.json()["reason"]) == ("checkout_failed", trouble.fault["code"])
    assert counted("refused") - before == 1
    assert trade.facts() == {
        "on_hand": 10, "held": 0, "orders": ["failed"], "holds": ["released"], "attempts": [("closed", "refused")],
        "sales": 0, "captured": 0,
    }  # fmt: skip
    assert buyer.checkout().status_code == 201
    assert len(standin.sessions()) == 1


@pytest.mark.parametrize("trouble", some(UNKNOWNS, 12), ids=str)
def test_anything_else_keeps_it_and_the_repeat_reaches_the_one_session(
    trade: Trade, standin: StandIn, settings: Any, trouble: Trouble
) -> None:
    buyer, before = trade.buyer_with_cart(), counted("unknown")
    with in_trouble(standin, settings, trouble, path=SESSIONS):
        answer = buyer.checkout()
    assert (code_of(answer), answer.headers["Retry-After"]) == ((503, "payment_unknown"), "1")
    assert counted("unknown") - before == 1
    kept = {
        "on_hand": 10, "held": 1, "orders": ["pending"], "holds": ["active"], "attempts": [("unknown", "")],
        "sales": 0, "captured": 0,
    }  # fmt: skip
    assert trade.facts() == kept
    again = buyer.checkout()
    keys = {call["headers"]["Idempotency-Key"] for call in standin.requests(SESSIONS)}
    assert keys == {CheckoutAttempt.objects.get().stripe_key}
    if trouble.burnt:
        assert (code_of(again), trade.facts()) == ((503, "payment_unknown"), kept)
        return
    assert (again.status_code, trade.facts()) == (200, kept | {"attempts": [("open", "")]})
    assert [session["id"] for session in standin.sessions()] == [again.json()["sessionId"]]


@EACH_KIND
def test_a_session_that_may_still_be_paid_keeps_its_stock(
    trade: Trade, standin: StandIn, settings: Any, trouble: Trouble
) -> None:
    """The trouble hits the expiry of a session that a changed cart supersedes."""
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()["sessionId"]
    buyer.add(trade.variant, 1)
    with in_trouble(standin, settings, trouble, path=f"{SESSIONS}/"):
        answer = buyer.checkout()
    assert code_of(answer) == (503, "payment_unknown")
    assert (trade.facts()["attempts"], trade.facts()["held"]) == ([("closing", "")], 1)
    assert len(standin.sessions()) == 1
    again = buyer.checkout()
    assert again.status_code == 201
    assert (standin.session(first)["status"], standin.open_sessions()) == ("expired", [again.json()["sessionId"]])
    assert trade.facts()["held"] == 2


@EACH_KIND
def test_a_repeat_answers_no_address_that_was_not_looked_at(
    trade: Trade, standin: StandIn, settings: Any, trouble: Trouble
) -> None:
    """The trouble hits the look whether the session is still open."""
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()["sessionId"]
    before = trade.facts()
    with in_trouble(standin, settings, trouble, path=f"{SESSIONS}/", method="GET"):
        answer = buyer.checkout()
    assert code_of(answer) == (503, "payment_unknown")
    assert (trade.facts(), standin.open_sessions()) == (before, [first])
    assert (again := buyer.checkout()).status_code == 200
    assert again.json()["sessionId"] == first


@EACH_KIND
def test_with_classification_off_no_failure_releases(
    trade: Trade, standin: StandIn, settings: Any, trouble: Trouble
) -> None:
    """Neither the customer's request nor the resolver's; only the clock, past which nobody could pay anyhow."""
    settings.ENABLE_STRIPE_ERROR_CLASSIFICATION = False
    buyer = trade.buyer_with_cart()
    with in_trouble(standin, settings, trouble, path=SESSIONS):
        assert code_of(buyer.checkout()) == (503, "payment_unknown")
    standin.fault(path=SESSIONS, kind="status", status=401, when="before", times=1000)
    assert code_of(buyer.checkout()) == (503, "payment_unknown")
    attempt = CheckoutAttempt.objects.get()
    for moment in (timezone.now(), attempt.session_expires_at):
        resolver.run_once(now=moment)
        assert (trade.facts()["attempts"], trade.facts()["held"]) == ([("unknown", "")], 1)
    resolver.run_once(now=attempt.session_expires_at + CLOCK_MARGIN)
    assert (trade.facts()["attempts"], trade.facts()["held"]) == ([("closed", "never_made")], 0)

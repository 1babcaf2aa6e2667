"""`kill -9` in the middle of a purchase: after the restart the loop completes or unwinds, nothing twice."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.stack import Stack, Visitor, wait_for
from tests.flows.test_purchase_loop import SPORT, confirmed, proven, stock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SESSIONS = "/v1/checkout/sessions"


def buyer_with_cart(stack: Stack) -> Visitor:
    buyer = stack.visitor()
    assert buyer.add("HEADBAND-SPORT", 1, **SPORT).status == 200
    return buyer


def checkout_in_flight(stack: Stack, buyer: Visitor) -> threading.Thread:
    """A checkout whose Stripe call is answered late; returns once Stripe has made its session. Its answer may get
    lost.
    """
    stack.standin.fault(path=SESSIONS, kind="latency", seconds=1.5, when="after")
    before = set(stack.standin.open_sessions())

    def post() -> None:
        try:
            buyer.checkout()
        except (OSError, http.client.HTTPException):
            return

    thread = threading.Thread(target=post)
    thread.start()
    wait_for(lambda: set(stack.standin.open_sessions()) - before, "Stripe has a session")
    assert stack.sql("SELECT count(*) FROM checkout_checkoutattempt WHERE state = 'sending'") == [(1,)]
    return thread


def leases_end(stack: Stack) -> None:
    """As if their time had passed: whoever still has one is dead."""
    stack.sql("UPDATE checkout_checkoutattempt SET lease_until = now() WHERE lease_until > now()")


def completes(stack: Stack, buyer: Visitor, before: tuple[int, int], tmp_path: Path) -> None:
    """The same request again reaches the one session there is; paid, it becomes the one order."""

    def again() -> Any:
        answer = buyer.checkout()
        return answer.status in {200, 201} and answer.json()

    session = wait_for(again, "the repeat is answered", seconds=60)["sessionId"]
    on_hand, held = before
    assert stock(stack) == (on_hand, held + 1)
    stack.standin.pay(session)
    confirmed(buyer, session)
    assert stock(stack) == (on_hand - 1, held)
    open_sessions = stack.sql(
        "SELECT count(*) FROM checkout_checkoutattempt WHERE state <> 'closed' AND cart_id ="
        " (SELECT cart_id FROM checkout_checkoutattempt WHERE session_id = %s)", session,
    )  # fmt: skip
    assert open_sessions == [(0,)]
    assert proven(stack, tmp_path)


@pytest.mark.parametrize("victim", ["web", "postgres", "valkey", "worker", "beat"])
def test_killed_while_stripe_is_being_asked(stack: Stack, victim: str, tmp_path: Path) -> None:
    before = stock(stack)
    buyer = buyer_with_cart(stack)
    request = checkout_in_flight(stack, buyer)
    stack.kill(victim)
    request.join(timeout=60)
    leases_end(stack)
    completes(stack, buyer, before, tmp_path)


@pytest.mark.parametrize("victim", ["web", "postgres"])
def test_killed_before_the_event_is_handled(stack: Stack, victim: str, tmp_path: Path) -> None:
    on_hand, held = stock(stack)
    buyer = buyer_with_cart(stack)
    session = buyer.checkout().json()["sessionId"]
    stack.standin.deliveries("hold")
    stack.standin.pay(session)
    stack.kill(victim)
    stack.standin.deliveries("normal")
    stack.standin.call("deliveries/flush", {})
    confirmed(buyer, session)
    assert stock(stack) == (on_hand - 1, held)
    assert proven(stack, tmp_path)


def test_an_event_that_failed_is_swept_by_the_worker_after_its_death(stack: Stack, tmp_path: Path) -> None:
    """Nobody polls and Stripe sends nothing again: the inbox alone brings the order home."""
    buyer = buyer_with_cart(stack)
    session = buyer.checkout().json()["sessionId"]
    # Two events tell of the payment, the session's and its intent's, and both handlers ask Stripe.
    stack.standin.fault(path=SESSIONS, method="GET", kind="drop_before", times=2)
    stack.standin.pay(session)
    status = "SELECT status FROM webhooks_stripeevent WHERE object_id = %s AND type = 'checkout.session.completed'"
    wait_for(lambda: stack.sql(status, session) == [("failed",)], "the event failed")
    stack.kill("worker")
    stack.sql("UPDATE webhooks_stripeevent SET next_attempt_at = now() WHERE status = 'failed'")
    wait_for(lambda: stack.sql(status, session) == [("processed",)], "the sweep handled it", seconds=90)
    assert stack.sql("SELECT status FROM commerce_order WHERE session_id = %s", session) == [("confirmed",)]
    assert proven(stack, tmp_path)


def test_a_killed_sender_without_a_returning_customer_is_resolved(stack: Stack) -> None:
    """The customer is gone for good: the resolver learns the session, and the hold ends with it like any other."""
    on_hand, held = stock(stack)
    buyer = buyer_with_cart(stack)
    request = checkout_in_flight(stack, buyer)
    stack.kill("web")
    request.join(timeout=60)
    leases_end(stack)
    attempt = stack.sql("SELECT id, hold_id FROM checkout_checkoutattempt WHERE state = 'sending'")[0]
    wait_for(
        lambda: stack.sql("SELECT state FROM checkout_checkoutattempt WHERE id = %s", attempt[0]) == [("open",)],
        "the resolver has recorded the session",
        seconds=60,
    )
    stack.sql("UPDATE inventory_hold SET expires_at = now() - interval '1 second' WHERE id = %s", attempt[1])
    stack.sql("UPDATE checkout_checkoutattempt SET checked_at = NULL WHERE id = %s", attempt[0])
    result = stack.manage("reap_holds")
    assert result.returncode == 0, result.stdout + result.stderr
    assert stock(stack) == (on_hand, held)

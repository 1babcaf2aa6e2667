"""Interleavings that once went wrong, each by name of what it must not do. Over HTTP, against the stand-in."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from checkout import resolver, start
from checkout.closing import close_checkout
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.cart.carts import empty_cart
from commerce.gateway.onboarding import connect_account
from commerce.models import Cart
from inventory import reaper
from inventory.models import Hold, StockRow
from tenants.audit import REAPER, Actor
from tenants.context import load_shop
from tests.fixtures.stack import wait_for
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, in_threads
from tests.webhooks.deliver import deliver, event

SESSIONS = "/v1/checkout/sessions"


def items(quantity: int) -> dict[str, Any]:
    return {"items": [{"sku": "BAND", "quantity": quantity, "variantAttributes": {"size": "M"}}]}


def settle(session_id: str) -> None:
    settle_session(shop=load_shop("band"), session_id=session_id)


def overdue() -> None:
    Hold.objects.filter(status="active").update(expires_at=timezone.now() - timedelta(seconds=1))


def expired_with_payment_under_way(standin: StandIn, buyer: Buyer, **request: Any) -> str:
    """A session that the reaper ended while the customer's bank was still thinking."""
    session_id = str(buyer.checkout(**request).json()["sessionId"])
    standin.pay(session_id, card="4000002760003184", threeDS="abandon")
    overdue()
    reaper.run_once(now=timezone.now())
    assert standin.session(session_id)["status"] == "expired"
    return session_id


def test_a_late_event_leaves_the_next_checkout_alone(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    standin.pay(first)
    settle(first)
    buyer.add(trade.variant, 2)
    second = buyer.checkout().json()["sessionId"]
    settle(first)
    assert standin.session(second)["status"] == "open"


def test_a_delayed_success_leaves_the_next_checkout_alone(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    standin.pay(first, method="bank_debit")
    settle(first)
    buyer.add(trade.variant, 2)
    second = buyer.checkout().json()["sessionId"]
    standin.call(f"sessions/{first}/settle_async", {"outcome": "succeeded"})
    settle(first)
    assert standin.session(second)["status"] == "open"
    assert trade.facts()["orders"] == ["confirmed", "pending"]


@pytest.mark.parametrize("other", ["items", "cart"])
def test_one_key_never_answers_two_requests(trade: Trade, standin: StandIn, other: str) -> None:
    standin.fault(path=SESSIONS, kind="latency", seconds=0.3, times=2)
    rival = trade.buyer_with_cart(2) if other == "cart" else trade.buyer()
    body = {} if other == "cart" else items(3)
    answers = in_threads(
        [
            lambda: trade.buyer().checkout(items(1), Idempotency_Key="key-1"),
            lambda: rival.checkout(body, Idempotency_Key="key-1"),
        ]
    )
    assert sorted(a.status_code for a in answers) == [201, 409]
    assert next(a for a in answers if a.status_code == 409).json()["code"] == "idempotency_conflict"


def test_a_late_payment_under_a_key_ends_the_keys_other_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer()
    request = {"body": items(1), "Idempotency_Key": "key-1"}
    first = expired_with_payment_under_way(standin, buyer, **request)
    second = buyer.checkout(**request).json()["sessionId"]
    standin.call(f"sessions/{first}/late_pay", {})
    settle(first)
    assert standin.session(second)["status"] == "expired"
    assert trade.facts()["held"] == 0


def test_a_late_payment_is_heard_by_its_intent_alone(trade: Trade, standin: StandIn) -> None:
    """Stripe documents no event of an expired session whose payment succeeds after all; the intent has one."""
    session_id = expired_with_payment_under_way(standin, trade.buyer_with_cart())
    standin.call(f"sessions/{session_id}/late_pay", {})
    session = standin.session(session_id)
    intent = {"id": session["payment_intent"], "object": "payment_intent", "metadata": session["metadata"]}
    answer = deliver(event("payment_intent.succeeded", intent), host=trade.host)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "processed")
    assert trade.facts()["orders"] == ["confirmed"]


@pytest.mark.parametrize("order_id", ["", "rubbish", "01a1fbae-e19c-7021-939a-5ee943ab9ded", 7, None])
def test_an_intent_of_nobodys_order_is_done_with(trade: Trade, standin: StandIn, order_id: Any) -> None:
    intent = {"id": "pi_1", "object": "payment_intent", "metadata": {"shop_id": "band", "order_id": order_id}}
    answer = deliver(event("payment_intent.succeeded", intent), host=trade.host)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "processed")


def test_a_late_payment_takes_nothing_from_a_new_cart(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = expired_with_payment_under_way(standin, buyer)
    second = buyer.checkout().json()["sessionId"]
    standin.pay(second)
    settle(second)
    buyer.add(trade.variant, 1)
    standin.call(f"sessions/{first}/late_pay", {})
    settle(first)
    assert trade.cart_quantity() == 1
    assert trade.facts()["orders"] == ["confirmed", "confirmed"]


@pytest.mark.parametrize("answer_lost", [True, False])
def test_a_checkout_stays_with_the_account_it_was_made_in(trade: Trade, standin: StandIn, answer_lost: bool) -> None:
    buyer = trade.buyer_with_cart()
    if answer_lost:
        standin.fault(path=SESSIONS, kind="drop_after")
    buyer.checkout()
    connect_account(shop_id="band", account="acct_other", reason="Joined", acting=Actor("staff", "olga"))
    resolver.run_once(now=timezone.now() + timedelta(minutes=1))
    session_id = CheckoutAttempt.objects.get().session_id
    assert session_id is not None
    assert {c["answer"]["id"] for c in standin.requests(SESSIONS)} == {session_id}
    standin.pay(session_id)
    settle(session_id)
    assert trade.facts()["orders"] == ["confirmed"]


def test_polling_keeps_no_worker_away(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    overdue()
    for _ in range(3):
        buyer.status(session_id)
    reaper.run_once(now=timezone.now())
    assert trade.facts()["held"] == 0


def test_a_lost_event_without_a_hold_is_found(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.inventory_mode = "validate_only"
    trade.shop.settings.save()
    standin.pay(trade.buyer_with_cart().checkout().json()["sessionId"])
    resolver.run_once(now=timezone.now() + timedelta(minutes=30))
    assert trade.facts()["orders"] == ["pending"]
    resolver.run_once(now=timezone.now() + timedelta(hours=2))
    assert trade.facts()["orders"] == ["confirmed"]


def test_a_delayed_payment_whose_event_was_lost_is_found(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    settle(session_id)
    resolver.run_once(now=timezone.now())
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "succeeded"})
    resolver.run_once(now=timezone.now() + timedelta(minutes=30))
    assert trade.facts()["orders"] == ["processing"]
    resolver.run_once(now=timezone.now() + timedelta(hours=2))
    assert trade.facts()["orders"] == ["confirmed"]


def test_waiting_too_long_is_busy_and_never_a_defect(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    buyer.checkout()
    buyer.add(trade.variant, 1)
    locked, answered = threading.Event(), threading.Event()

    def somebody_at_it() -> None:
        with transaction.atomic():
            list(CheckoutAttempt.objects.select_for_update())
            locked.set()
            answered.wait(timeout=10)

    def superseding() -> Any:
        locked.wait(timeout=5)
        try:
            return buyer.checkout()
        finally:
            answered.set()

    _, answer = in_threads([somebody_at_it, superseding])
    assert (answer.status_code, answer.json()["code"]) == (429, "inventory_busy")


def test_an_extended_hold_is_not_reaped(trade: Trade, standin: StandIn) -> None:
    """The reaper's list may be older than the extension: what counts is what the hold says under the lock."""
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    attempt = CheckoutAttempt.objects.get()
    close_checkout(
        shop=load_shop("band"), attempt_id=attempt.pk, reason="Overdue", acting=REAPER, overdue_at=timezone.now()
    )
    assert standin.session(session_id)["status"] == "open"
    assert trade.facts()["attempts"] == [("open", "")]


def test_an_emptied_cart_is_empty_whatever_was_bought_before(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    standin.pay(first)
    settle(first)
    buyer.add(trade.variant, 2)
    buyer.checkout()
    empty_cart(shop_id="band", cart_id=Cart.objects.get().pk)
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_making_room_waits_for_a_slow_stripe_only_so_long(
    trade: Trade, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory.holds.FREE_WITHIN_SECONDS", 1.0)
    trade.buyer_with_cart(10).checkout()
    overdue()
    standin.fault(path=f"{SESSIONS}/", kind="latency", seconds=3, when="before", times=1)
    answer = trade.buyer_with_cart(1).checkout()
    # Answered while Stripe still thinks; the call is recorded when it ends, and must not end in another test.
    assert (answer.status_code, answer.json()["code"]) == (409, "inventory_insufficient")
    assert standin.requests(f"{SESSIONS}/") == []
    assert trade.facts()["attempts"] == [("closing", "")]
    wait_for(lambda: standin.requests(f"{SESSIONS}/"), "the slow call has ended")


def test_a_refusal_outlives_a_busy_stock_row(trade: Trade, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Stripe refused once isn't refused twice: forgetting it would hold the stock until the clock ends it."""
    sending, locked, answered = threading.Event(), threading.Event(), threading.Event()
    real = start.create_session

    def refused_when_locked(*args: Any, **more: Any) -> Any:
        sending.set()
        assert locked.wait(timeout=5)
        return real(*args, **more)

    def somebody_at_it() -> None:
        assert sending.wait(timeout=5)
        with transaction.atomic():
            list(StockRow.objects.select_for_update())
            locked.set()
            answered.wait(timeout=10)

    def checkout() -> Any:
        try:
            return buyer.checkout()
        finally:
            answered.set()

    monkeypatch.setattr(start, "create_session", refused_when_locked)
    standin.fault(path=SESSIONS, kind="status", status=400, times=2)
    buyer = trade.buyer_with_cart()
    _, answer = in_threads([somebody_at_it, checkout])
    assert (answer.status_code, answer.json()["code"]) == (429, "inventory_busy")
    assert trade.facts()["attempts"] == [("unknown", "")]
    resolver.run_once(now=timezone.now())
    assert (trade.facts()["attempts"], trade.facts()["held"]) == ([("closed", "refused")], 0)


def test_stripe_is_not_asked_again_and_again_to_end_a_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    buyer.checkout()
    buyer.add(trade.variant, 1)
    standin.fault(path=f"{SESSIONS}/", kind="status", status=500, times=1000)
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unknown")
    assert len(standin.requests(f"{SESSIONS}/")) == 1
    standin.call("faults", method="DELETE")
    assert buyer.checkout().status_code == 201


def test_unsettled_attempts_take_turns(trade: Trade, standin: StandIn) -> None:
    for _ in range(2):
        trade.buyer_with_cart().checkout()
    oldest, newest = CheckoutAttempt.objects.order_by("created_at")
    CheckoutAttempt.objects.filter(pk=oldest.pk).update(session_expires_at=oldest.created_at)
    later = timezone.now() + timedelta(hours=2)
    standin.fault(path=f"{SESSIONS}/", kind="status", status=500, method="GET", times=1)
    resolver.run_once(now=later, limit=1)
    standin.pay(str(newest.session_id))
    resolver.run_once(now=later + timedelta(minutes=1), limit=1)
    assert trade.facts()["orders"] == ["confirmed", "pending"]


def test_delayed_payments_stand_in_nobodys_way(trade: Trade, standin: StandIn) -> None:
    """Their holds stay overdue for days; behind five of them an abandoned session is still found and ended."""
    for _ in range(5):
        session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
        standin.pay(session_id, method="bank_debit")
        settle(session_id)
    trade.buyer_with_cart(5).checkout()
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert trade.buyer_with_cart(3).checkout().status_code == 201
    assert trade.facts()["held"] == 8


def test_a_session_that_stripe_has_not_got_is_asked_for_once_an_hour(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart().checkout()
    CheckoutAttempt.objects.update(session_id="cs_test_gone")
    now = timezone.now() + timedelta(hours=3)
    assert resolver.run_once(now=now).failed == 1
    assert resolver.run_once(now=now + timedelta(minutes=30)).found == 0
    assert resolver.run_once(now=now + timedelta(hours=3)).found == 1
    assert trade.facts()["held"] == 1

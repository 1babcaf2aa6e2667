"""Coupons at Stripe: made once under a key of their own, whatever becomes of the call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout import resolver
from checkout.models import CheckoutAttempt
from checkout.new_attempt import LEASE, LEASE_WITH_COUPON
from commerce.models import Order
from tests.checkout.couponing import COUPONS, SESSIONS, coupon, settle, states, use
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "drop_after"},
        {"kind": "html"},
        {"kind": "rate_limit"},
        {"kind": "status", "status": 500, "when": "before"},
        {"kind": "status", "status": 409, "when": "before"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
@pytest.mark.parametrize("who", ["customer", "resolver"])
def test_an_unknown_coupon_keeps_the_hold_and_the_repeat_reaches_one_session(
    trade: Trade, standin: StandIn, fault: dict[str, Any], who: str
) -> None:
    coupon(trade, limit_total=1)
    buyer = trade.buyer_with_cart()
    if fault["kind"] == "status":
        fault = {**fault, "save": False}
    standin.fault(path=COUPONS, **fault)
    lost = use(buyer)
    assert (lost.status_code, lost.json()["code"]) == (503, "payment_unknown")
    assert (trade.facts()["held"], states(), standin.requests(SESSIONS)) == (1, (["reserved"], 1), [])
    if who == "resolver":
        assert resolver.run_once(now=timezone.now()).resolved == 1
    again = use(buyer)
    assert again.status_code == 200
    assert len(standin.requests(SESSIONS)) == 1
    assert {call["headers"]["Idempotency-Key"] for call in standin.requests(COUPONS)} == {
        CheckoutAttempt.objects.get().coupon_key
    }
    assert standin.session(again.json()["sessionId"])["amount_total"] == 2250
    assert states() == (["reserved"], 1)


def test_a_failed_answer_that_stripe_keeps_is_seen_through(trade: Trade, standin: StandIn) -> None:
    """A 500 is saved under its key for a day, whether the coupon was made or not; its id tells."""
    coupon(trade)
    standin.fault(path=COUPONS, kind="status", status=500, when="after")
    answer = use(trade.buyer_with_cart())
    assert (answer.status_code, answer.json()["amounts"]["total"]) == (201, 2250)


def test_a_coupon_that_is_there_already_is_taken(trade: Trade, standin: StandIn) -> None:
    coupon(trade)
    standin.fault(path=COUPONS, kind="drop_after")
    buyer = trade.buyer_with_cart()
    assert use(buyer).status_code == 503
    # Its key is forgotten, as after a day: Stripe executes the request anew, and says that the id is taken.
    CheckoutAttempt.objects.update(coupon_key="another")
    assert use(buyer).status_code == 200
    assert standin.requests(COUPONS)[-1]["answer"]["error"]["code"] == "resource_already_exists"


def test_the_session_failing_after_its_coupon_repeats_both(trade: Trade, standin: StandIn) -> None:
    coupon(trade)
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="drop_after")
    assert use(buyer).status_code == 503
    assert use(buyer).status_code == 200
    assert len({call["answer"]["id"] for call in standin.requests(COUPONS)}) == 1
    assert len({call["answer"]["id"] for call in standin.requests(SESSIONS)}) == 1


def test_another_discount_at_stripe_is_flagged(trade: Trade, standin: StandIn) -> None:
    coupon(trade)
    session_id = use(trade.buyer_with_cart()).json()["sessionId"]
    Order.objects.update(subtotal_amount=2450, discount_amount=200)
    standin.pay(session_id, method="bank_debit")
    settle(session_id)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "succeeded"})
    settle(session_id)
    order = Order.objects.get()
    assert (order.status, order.total_amount, order.discount_amount, order.amount_differs) == (
        "confirmed", 2250, 250, True,
    )  # fmt: skip


def test_a_sender_with_a_coupon_has_time_for_its_calls(trade: Trade, standin: StandIn, settings: Any) -> None:
    assert (
        2 * timedelta(seconds=settings.STRIPE_CONNECT_TIMEOUT + settings.STRIPE_READ_TIMEOUT)
        == LEASE_WITH_COUPON - LEASE
    )
    coupon(trade)
    standin.fault(path=COUPONS, kind="drop_before")
    buyer = trade.buyer_with_cart()
    use(buyer)
    standin.fault(path=COUPONS, kind="latency", seconds=1)

    def leased() -> timedelta:
        while (attempt := CheckoutAttempt.objects.get()).lease_until is None:
            pass
        return attempt.lease_until - timezone.now()

    _, left = in_threads([lambda: use(buyer), leased])
    assert left > LEASE

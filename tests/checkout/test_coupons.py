"""Coupons in the checkout: reserved with the hold, an amount to Stripe, redeemed or given back with the order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.models import Coupon, CouponRedemption, Order, OrderLine
from tests.checkout.couponing import COUPONS, SESSIONS, coupon, settle, states, use
from tests.checkout.test_hostile_input import UNTOUCHED
from tests.checkout.test_start import statements_of
from tests.factories.commerce import ShippingOptionFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads


def test_a_coupon_is_reserved_with_the_hold_and_redeemed_with_the_order(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_total=5)
    buyer = trade.buyer_with_cart(2)
    answer = use(buyer, " spring ")
    body = answer.json()
    assert (answer.status_code, body["amounts"]) == (
        201,
        {"subtotal": 5000, "discount": 500, "shipping": 0, "tax": 0, "deposit": 0, "total": 4500},
    )
    attempt = CheckoutAttempt.objects.get()
    [sent] = standin.requests(COUPONS)
    assert sent["headers"]["Idempotency-Key"] == attempt.coupon_key == f"coupon:band:{attempt.pk}"
    assert sent["answer"] | {"created": 0} == sent["answer"] | {"created": 0} | {
        "id": f"holdfast_{attempt.pk.hex}", "name": "SPRING", "amount_off": 500, "currency": "eur", "duration": "once",
        "metadata": {"shop_id": "band", "coupon_code": "SPRING"},
    }  # fmt: skip
    assert attempt.stripe_params["discounts"] == [{"coupon": f"holdfast_{attempt.pk.hex}"}]
    session = standin.session(body["sessionId"])
    assert (session["amount_subtotal"], session["total_details"]["amount_discount"], session["amount_total"]) == (
        5000, 500, 4500,
    )  # fmt: skip
    assert states() == (["reserved"], 1)
    standin.pay(body["sessionId"])
    again = use(buyer)
    assert (again.status_code, again.json()["orderId"], again.json()["amounts"]) == (
        200,
        body["orderId"],
        body["amounts"],
    )
    order, line, redemption = Order.objects.get(), OrderLine.objects.get(), CouponRedemption.objects.get()
    assert (order.status, order.coupon_code, order.discount_amount, order.total_amount, order.amount_differs) == (
        "confirmed", "SPRING", 500, 4500, False,
    )  # fmt: skip
    assert (line.line_amount, line.discount_amount, trade.facts()["captured"]) == (5000, 500, 4500)
    assert (redemption.order_id, redemption.email, redemption.discount_amount, redemption.subtotal_amount) == (
        order.pk, "ada@example.test", 500, 5000,
    )  # fmt: skip
    assert states() == (["redeemed"], 1)
    settle(body["sessionId"])
    assert states() == (["redeemed"], 1)
    summary = buyer.call("GET", f"/api/checkout-session/{body['sessionId']}").json()
    assert summary["amounts"] == body["amounts"]


def test_deposits_and_shipping_are_not_discounted(trade: Trade, standin: StandIn) -> None:
    coupon(trade, amounts={"EUR": 100_000})
    option = ShippingOptionFactory(shop=trade.shop)
    answer = use(trade.buyer_with_cart(2), shippingOptionId=str(option.pk)).json()
    assert answer["amounts"] == {
        "subtotal": 5000, "discount": 5000, "shipping": 490, "tax": 0, "deposit": 0, "total": 490,
    }  # fmt: skip
    assert standin.session(answer["sessionId"])["amount_total"] == 490


def test_a_discount_to_nothing_needs_no_payment(trade: Trade, standin: StandIn) -> None:
    coupon(trade, basis_points=10_000)
    session_id = use(trade.buyer_with_cart(2)).json()["sessionId"]
    session = standin.session(session_id)
    assert (session["amount_total"], session["payment_intent"]) == (0, None)
    standin.pay(session_id)
    assert standin.session(session_id)["payment_status"] == "no_payment_required"
    assert settle(session_id).order_status == "confirmed"
    facts = trade.facts()
    assert (facts["captured"], facts["on_hand"], facts["holds"], states()) == (0, 8, ["committed"], (["redeemed"], 1))


def test_the_minimum_charge_is_judged_after_the_discount(trade: Trade, standin: StandIn) -> None:
    coupon(trade, amounts={"EUR": 2451})
    answer = use(trade.buyer_with_cart())
    assert (answer.status_code, answer.json()["code"], answer.json()["minimum"]) == (400, "amount_too_small", 50)
    assert (trade.facts(), standin.requests("/v1/"), states()) == (UNTOUCHED, [], ([], 0))


REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "another shop's": ({"shop": "other"}, "unknown"),
    "another code": ({"code": "SUMMER"}, "unknown"),
    "ended by staff": ({"active": False}, "window"),
    "not yet": ({"starts_at": timezone.now() + timedelta(days=1)}, "window"),
    "no more": ({"ends_at": timezone.now() - timedelta(days=1)}, "window"),
    "another currency": ({"amounts": {"USD": 100}}, "currency"),
    "below its minimum": ({"minimums": {"EUR": 2501}}, "minimum"),
    "for other products": ({"only_for": ["CAPE"]}, "products"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_rejected_with_nothing_moved(trade: Trade, other_trade: Trade, standin: StandIn, case: str) -> None:
    fields, reason = REJECTED[case]
    coupon(other_trade if "shop" in fields else trade, **{k: v for k, v in fields.items() if k != "shop"})
    answer = use(trade.buyer_with_cart())
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["reason"]) == (409, "coupon_rejected", reason)
    assert (trade.facts(), standin.requests("/v1/"), states()) == (UNTOUCHED, [], ([], 0))


def test_anothers_code_is_answered_as_nobodys(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    coupon(other_trade)
    answers = [use(trade.buyer_with_cart(), code).json() for code in ("SPRING", "NOBODYS", "no code", "ı10")]
    for answer in answers:
        del answer["requestId"]
    assert answers == [answers[0]] * 4


@pytest.mark.parametrize("code", ["x" * 201, 5, ["SPRING"], True])
def test_what_is_no_text_is_malformed(trade: Trade, standin: StandIn, code: Any) -> None:
    answer = trade.buyer_with_cart().checkout({"couponCode": code})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("code", ["", "  ", None])
def test_an_empty_field_is_no_coupon(trade: Trade, standin: StandIn, code: str | None) -> None:
    answer = trade.buyer_with_cart().checkout({"couponCode": code})
    assert (answer.status_code, answer.json()["amounts"]["discount"]) == (201, 0)


def test_guessing_codes_counts_as_beginning_checkouts(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.checkout_rate_limit_enabled, trade.shop.settings.checkout_rate_limit_per_minute = True, 3
    trade.shop.settings.save()
    buyer = trade.buyer_with_cart()
    codes = [use(buyer, f"GUESS-{number}").json()["code"] for number in range(5)]
    assert codes == ["coupon_rejected"] * 3 + ["rate_limited"] * 2


# ---------------------------------------------------------------- limits
def test_the_last_use_is_one_customers(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_total=2)
    buyers = [trade.buyer_with_cart() for _ in range(6)]
    answers = in_threads([lambda buyer=buyer: use(buyer) for buyer in buyers])
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
    assert {answer.json()["reason"] for answer in answers if answer.status_code == 409} == {"usage"}
    assert (states(), trade.facts()["held"]) == ((["reserved", "reserved"], 2), 2)


def test_one_customer_uses_it_as_often_as_one_may(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_per_email=1)
    spellings = ["ada@example.test", "ADA@example.test", "Ada@Example.Test"] * 2
    buyers = [(trade.buyer_with_cart(), email) for email in spellings]
    answers = in_threads([lambda b=buyer, e=email: use(b, email=e) for buyer, email in buyers])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert use(trade.buyer_with_cart(), email="bob@example.test").status_code == 201


def test_a_limit_per_customer_asks_who_it_is(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_per_email=1)
    answer = trade.buyer_with_cart().checkout({"couponCode": "SPRING"})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["email"])
    assert (trade.facts(), states()) == (UNTOUCHED, ([], 0))


def test_a_repeat_reserves_once(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_total=1, limit_per_email=1)
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="latency", seconds=0.3)
    answers = in_threads([lambda: use(buyer.twin()) for _ in range(6)])
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json()["sessionId"] for answer in answers}) == 1
    assert (states(), len(standin.requests(COUPONS))) == ((["reserved"], 1), 1)


def test_under_a_clients_key_it_repeats_and_conflicts(trade: Trade, standin: StandIn) -> None:
    coupon(trade, limit_total=1)
    body = {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}], "couponCode": "SPRING"}
    first = trade.buyer().checkout(body, Idempotency_Key="k-1")
    again = trade.buyer().checkout({**body, "couponCode": "spring"}, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code, again.json()["sessionId"]) == (201, 200, first.json()["sessionId"])
    other = trade.buyer().checkout({**body, "couponCode": "SUMMER"}, Idempotency_Key="k-1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("changed", ["cart", "coupon", "none"])
def test_another_purchase_supersedes_and_takes_the_only_use_along(trade: Trade, standin: StandIn, changed: str) -> None:
    coupon(trade, limit_total=1, limit_per_email=1)
    coupon(trade, code="SUMMER", basis_points=2000)
    buyer = trade.buyer_with_cart()
    first = use(buyer).json()["sessionId"]
    if changed == "cart":
        buyer.add(trade.variant)
    code, total = {"cart": ("SPRING", 4500), "coupon": ("SUMMER", 2000), "none": ("", 2500)}[changed]
    second = use(buyer, code)
    assert (second.status_code, second.json()["amounts"]["total"]) == (201, total)
    assert standin.session(first)["status"] == "expired"
    spring, summer = Coupon.objects.order_by("pk").values_list("used", flat=True)
    assert (spring, summer) == {"cart": (1, 0), "coupon": (0, 1), "none": (0, 0)}[changed]


@pytest.mark.parametrize("code", ["USED-UP", "NOBODYS"])
def test_a_refused_coupon_leaves_the_open_checkout_alone(trade: Trade, standin: StandIn, code: str) -> None:
    coupon(trade, code="USED-UP", limit_total=1)
    use(trade.buyer_with_cart(), "USED-UP")
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    assert use(buyer, code).json()["code"] == "coupon_rejected"
    assert standin.session(first)["status"] == "open"


@pytest.mark.parametrize("change", [{"active": False}, {"ends_at": timezone.now() - timedelta(days=1)}])
def test_an_open_checkout_keeps_its_coupon(trade: Trade, standin: StandIn, change: dict[str, Any]) -> None:
    coupon(trade)
    buyer = trade.buyer_with_cart()
    first = use(buyer).json()
    Coupon.objects.update(**change)
    again = use(buyer)
    assert (again.status_code, again.json()["sessionId"]) == (200, first["sessionId"])
    standin.pay(first["sessionId"])
    bought = use(buyer)
    assert (bought.status_code, bought.json()["orderId"]) == (200, first["orderId"])
    assert use(trade.buyer_with_cart()).json()["reason"] == "window"


def test_a_coupon_costs_three_statements(trade: Trade, standin: StandIn) -> None:
    """Found, locked, reserved; the counter is a trigger's."""
    coupon(trade, limit_total=9)
    buyer = trade.buyer_with_cart()
    with CaptureQueriesContext(connection) as first:
        assert use(buyer).status_code == 201
    with CaptureQueriesContext(connection) as repeat:
        assert use(buyer).status_code == 200
    assert (len(statements_of(first)), len(statements_of(repeat))) == (17, 5), statements_of(first)

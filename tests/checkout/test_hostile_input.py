"""What a browser, a script or an enemy may send to the checkout: the contract's errors, and nothing moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from checkout.models import CheckoutAttempt
from inventory import reaper
from inventory.models import Hold
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads

UNTOUCHED = {
    "on_hand": 10, "held": 0, "orders": [], "holds": [], "attempts": [], "sales": 0, "captured": 0,
}  # fmt: skip
ITEM = {"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}


def items(**changes: Any) -> dict[str, Any]:
    return {"items": [{**ITEM, **changes}]}


REFUSED = {
    "quantity 0": (items(quantity=0), 400, "invalid_request"),
    "quantity negative": (items(quantity=-1), 400, "invalid_request"),
    "quantity huge": (items(quantity=10**9), 400, "invalid_request"),
    "quantity beyond integers": (items(quantity=10**40), 400, "invalid_request"),
    "quantity true": (items(quantity=True), 400, "invalid_request"),
    "quantity fraction": (items(quantity=1.5), 400, "invalid_request"),
    "quantity text": (items(quantity="1"), 400, "invalid_request"),
    "quantity missing": ({"items": [{"sku": "BAND"}]}, 400, "invalid_request"),
    "price in a line": (items(unitAmount=1), 400, "invalid_request"),
    "price beside": ({**items(), "amount": 1}, 400, "invalid_request"),
    "another shop's sku": (items(sku="FOREIGN", variantAttributes={}), 400, "unknown_sku"),
    "sku of nobody": (items(sku="NOPE"), 400, "unknown_sku"),
    "attribute of nobody": (items(variantAttributes={"size": "XXL"}), 400, "unknown_sku"),
    "sku with NUL": (items(sku="BA\x00ND"), 400, None),
    "sku with surrogate": (b'{"items":[{"sku":"\\ud800","quantity":1}]}', 400, None),
    "sku too long": (items(sku="A" * 65), 400, "invalid_request"),
    "attributes as list": (items(variantAttributes=["M"]), 400, "invalid_request"),
    "attributes nested": (items(variantAttributes={"size": {"a": 1}}), 400, "invalid_request"),
    "no items": ({"items": []}, 400, "invalid_request"),
    "101 items": ({"items": [ITEM] * 101}, 400, "invalid_request"),
    "duplicates beyond the limit": ({"items": [{**ITEM, "quantity": 600}] * 2}, 400, "invalid_request"),
    "more than there is": (items(quantity=11), 409, "inventory_insufficient"),
    "unknown field": ({**items(), "isAdmin": True}, 400, "invalid_request"),
    "coupon of nobody": ({**items(), "couponCode": "FREE"}, 409, "coupon_rejected"),
    "shipping of nobody": ({**items(), "shippingOptionId": "1"}, 400, "invalid_request"),
    "no e-mail address": ({**items(), "email": "ada at example"}, 400, "invalid_request"),
    "e-mail with header": ({**items(), "email": "a@b.test\nBcc: c@d.test"}, 400, "invalid_request"),
    "language of nobody": ({**items(), "locale": "xx"}, 400, "invalid_request"),
    "array": (b"[]", 400, "invalid_request"),
    "null": (b"null", 400, "invalid_request"),
    "rubbish": (b"{rubbish", 400, "invalid_request"),
    "empty": (b"", 400, "invalid_request"),
    "not UTF-8": (b'{"email":"\xff"}', 400, "invalid_request"),
    "NaN": (b'{"expectedAmount":NaN}', 400, "invalid_request"),
    "infinity": (b'{"expectedAmount":1e999}', 400, "invalid_request"),
    "duplicate key": (b'{"locale":"en","locale":"de"}', 400, "invalid_request"),
    "nested deep": (b'{"items":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "invalid_request"),
    "too large": (b'{"email":"' + b"a" * (256 * 1024) + b'"}', 413, "too_large"),
}


def test_refused_with_nothing_moved(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    other_trade.variant.product.sku = "FOREIGN"
    type(other_trade.variant).objects.filter(pk=other_trade.variant.pk).update(sku="FOREIGN", variant_key="FOREIGN")
    for case, (body, status, code) in REFUSED.items():
        answer = trade.buyer().call("POST", "/api/checkout-session", body, Idempotency_Key="key-1")
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), (case, problem)
        assert problem["code"] == code or code is None, (case, problem)
        assert answer.headers["Content-Type"] == "application/problem+json", case
        assert problem["requestId"] == answer.headers["X-Request-Id"], case
        assert trade.facts() == UNTOUCHED, case
    assert standin.requests("/v1/") == []


@pytest.mark.parametrize("lie", [{"expectedAmount": 1}, {"expectedLines": [{"sku": "BAND", "unitAmount": 1}]}])
def test_a_tampered_price_changes_nothing_but_the_notice(trade: Trade, standin: StandIn, lie: dict[str, Any]) -> None:
    answer = trade.buyer_with_cart(2).checkout(lie).json()
    assert standin.session(answer["sessionId"])["amount_total"] == 5000
    assert (answer["amounts"]["total"], answer["priceChanged"]) == (5000, True)


def test_a_shop_that_rejects_drift_answers_with_the_prices(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.reprice_policy = "enforce_and_reject"
    trade.shop.settings.save()
    lie = {"expectedLines": [{"sku": "BAND", "unitAmount": 2000}]}
    answer = trade.buyer_with_cart().checkout(lie)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["currency"]) == (409, "PRICE_CHANGED", "EUR")
    assert problem["items"] == [{"sku": "BAND", "was": 2000, "now": 2500}]
    assert trade.facts() == UNTOUCHED
    within = {"expectedLines": [{"sku": "BAND", "unitAmount": 2490}]}
    assert trade.buyer_with_cart().checkout(within).json()["priceChanged"] is False


def test_a_shop_that_only_logs_says_nothing(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.reprice_policy = "log_only"
    trade.shop.settings.save()
    answer = trade.buyer_with_cart().checkout({"expectedAmount": 1}).json()
    assert (answer["priceChanged"], answer["changes"], answer["amounts"]["total"]) == (False, [], 2500)


ELSEWHERE = [
    "http://evil.test/",
    "http://band.localhost.evil.test:8000/",
    "http://band.localhost:8000@evil.test/",
    "http://evil.test#band.localhost:8000",
    "https://band.localhost:8000/",
    "http://band.localhost:9999/",
    "http://other.localhost:8000/",
    "//evil.test/",
    "/relative",
    "javascript:alert(1)",
    "http://band.localhost:8000\\@evil.test/",
    "http://band.localhost:8000/\r\nX: y",
    "http://[::1/",
    "",
]


@pytest.mark.parametrize("field", ["returnUrl", "cancelUrl"])
def test_no_open_redirect(trade: Trade, other_trade: Trade, standin: StandIn, field: str) -> None:
    buyer = trade.buyer_with_cart()
    for url in ELSEWHERE:
        answer = buyer.checkout({field: url})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [field]), url
        assert trade.facts() == UNTOUCHED, url


def test_own_addresses_are_taken(trade: Trade, standin: StandIn) -> None:
    own = "http://band.localhost:8000/done?a=1"
    answer = trade.buyer_with_cart().checkout({"returnUrl": own, "cancelUrl": own}).json()
    session = standin.session(answer["sessionId"])
    assert session["success_url"] == f"{own}&session_id={{CHECKOUT_SESSION_ID}}"
    assert session["cancel_url"] == own


@pytest.mark.parametrize("name", ["X-Shop-Id", "X-Front-Door-Token", "X-Forwarded-Host"])
def test_a_forged_header_changes_no_shop(trade: Trade, other_trade: Trade, standin: StandIn, name: str) -> None:
    buyer = trade.buyer_with_cart()
    answer = buyer.call("POST", "/api/checkout-session", {}, **{name: "other"})
    assert answer.status_code == 201
    assert (trade.facts()["held"], other_trade.facts()["held"]) == (1, 0)


def test_another_shops_cookie_is_an_empty_cart(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    buyer.host = other_trade.host
    assert buyer.checkout().json()["code"] == "invalid_request"
    assert (trade.facts(), other_trade.facts()) == (UNTOUCHED, UNTOUCHED)


def test_another_shops_session_is_not_found(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    stranger = other_trade.buyer()
    for path in (f"/api/order-status?session_id={session_id}", f"/api/checkout-session/{session_id}"):
        assert stranger.call("GET", path).status_code == 404
        assert trade.buyer().call("GET", path).status_code == 200


@pytest.mark.parametrize("session_id", ["", "%00", "cs_", "cs_test_nobody", "a" * 5000, "%F0%9F%99%82", "../../etc"])
def test_references_that_open_nothing(trade: Trade, standin: StandIn, session_id: str) -> None:
    buyer = trade.buyer()
    assert buyer.call("GET", f"/api/order-status?session_id={session_id}").status_code in {400, 404}
    assert buyer.call("GET", f"/api/checkout-session/{session_id}").status_code in {400, 404, 405}


def test_an_unknown_host(trade: Trade, standin: StandIn) -> None:
    answer = Client().post("/api/checkout-session", {}, content_type="application/json", headers={"Host": "evil.test"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_host")


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "k" * 256])
def test_a_malformed_idempotency_key(trade: Trade, standin: StandIn, key: str) -> None:
    answer = trade.buyer_with_cart().checkout({}, Idempotency_Key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_an_amount_below_stripes_minimum_is_refused_before_stripe(trade: Trade, standin: StandIn) -> None:
    trade.variant.price_amount = 49
    trade.variant.save()
    answer = trade.buyer_with_cart().checkout()
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["minimum"]) == (400, "amount_too_small", 50)
    assert standin.requests("/v1/") == []


def test_a_free_order_needs_no_payment(trade: Trade, standin: StandIn) -> None:
    trade.variant.price_amount = 0
    trade.variant.save()
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    buyer.status(session_id)
    CheckoutAttempt.objects.update(polled_at=timezone.now() - timedelta(seconds=5))
    assert buyer.status(session_id)["status"] == "confirmed"
    assert trade.facts()["captured"] == 0


def test_the_reaper_leaves_a_create_in_flight_alone(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path="/v1/checkout/sessions", kind="latency", seconds=1)

    def reap() -> None:
        while not CheckoutAttempt.objects.filter(state="sending").exists():
            pass
        Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        reaper.run_once(now=timezone.now())
        assert trade.facts()["held"] == 1

    answer, reaped = in_threads([buyer.checkout, reap])
    assert (answer.status_code, reaped) == (201, None)
    assert standin.session(answer.json()["sessionId"])["status"] == "open"
    assert trade.facts()["held"] == 1

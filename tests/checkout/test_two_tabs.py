"""Two tabs, double click, back button, two devices, retries: as the contract says, never two payable sessions (K3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from checkout import resolver
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from inventory import reaper
from inventory.verify import verify_stock
from tenants.context import load_shop
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, in_threads
from tests.webhooks.deliver import deliver, event

SESSIONS = "/v1/checkout/sessions"
TERMS = {"sessionId", "url", "uiMode", "mode", "orderId", "inventoryReservationId", "expiresAt", "amounts", "currency"}
ONE_OPEN = {
    "on_hand": 10, "held": 1, "orders": ["pending"], "holds": ["active"], "attempts": [("open", "")],
    "sales": 0, "captured": 0,
}  # fmt: skip


def terms(answer: Any) -> dict[str, Any]:
    return {name: answer.json()[name] for name in TERMS}


def told_paid(trade: Trade, standin: StandIn, session_id: str) -> None:
    """Stripe's event of the payment arrives at the shop's host."""
    answer = deliver(event("checkout.session.completed", standin.session(session_id)), host=trade.host)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "processed")


def sold_once(trade: Trade) -> None:
    facts = trade.facts()
    assert facts["orders"].count("confirmed") == 1
    assert (facts["on_hand"], facts["held"], facts["sales"], facts["captured"]) == (9, 0, 1, 2500)
    assert verify_stock().clean


# ---------------------------------------------------------------- two tabs, double click
@pytest.mark.parametrize("clicks", [2, 5])
def test_a_double_click_is_one_checkout(trade: Trade, standin: StandIn, clicks: int) -> None:
    buyer = trade.buyer_with_cart()
    answers = in_threads([buyer.twin().checkout for _ in range(clicks)])
    assert sorted(a.status_code for a in answers) == [200] * (clicks - 1) + [201]
    assert all(terms(a) == terms(answers[0]) for a in answers)
    assert trade.facts() == ONE_OPEN
    assert len(standin.requests(SESSIONS)) == 1


def test_a_double_click_under_a_key_is_one_checkout(trade: Trade, standin: StandIn) -> None:
    body = {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]}
    click = lambda: trade.buyer().checkout(body, Idempotency_Key="click-1")  # noqa: E731
    answers = in_threads([click, click])
    assert sorted(a.status_code for a in answers) == [200, 201]
    assert terms(answers[0]) == terms(answers[1])
    assert trade.facts() == ONE_OPEN


def test_two_tabs_one_after_the_other_share_the_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first, second = buyer.checkout(), buyer.twin().checkout()
    assert (first.status_code, second.status_code, terms(first) == terms(second)) == (201, 200, True)
    assert trade.facts() == ONE_OPEN


def test_two_tabs_that_want_different_things_leave_one_payable_session(trade: Trade, standin: StandIn) -> None:
    """The same cart with another e-mail is another intent: the last one wins, the first one can't be paid any more."""
    buyer = trade.buyer_with_cart()
    first = buyer.checkout({"email": "ada@example.test"})
    second = buyer.twin().checkout({"email": "ben@example.test"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert standin.open_sessions() == [second.json()["sessionId"]]
    assert trade.facts()["held"] == 1


def test_two_tabs_that_want_different_things_at_once(trade: Trade, standin: StandIn) -> None:
    """They may end each other's sessions in turn; whoever isn't answered is told to repeat."""
    buyer = trade.buyer_with_cart()
    answers = in_threads(
        [lambda n=n: buyer.twin().checkout({"email": f"tab{n}@example.test"}) for n in range(3)]  # type: ignore[misc]
    )
    assert {a.status_code for a in answers} <= {200, 201, 503}
    assert len(standin.open_sessions()) <= 1
    assert trade.facts()["holds"].count("active") <= 1
    last = buyer.checkout({"email": "last@example.test"})
    assert last.status_code == 201
    assert standin.open_sessions() == [last.json()["sessionId"]]
    assert trade.facts()["held"] == 1


def test_a_tab_from_before_the_cart_changed_gets_the_carts_own_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    old_tab = buyer.twin()
    first = old_tab.checkout().json()["sessionId"]
    buyer.add(trade.variant, 1)
    changed = buyer.checkout()
    again = old_tab.checkout()
    assert (again.status_code, terms(again)) == (200, terms(changed))
    assert (standin.session(first)["status"], standin.open_sessions()) == ("expired", [changed.json()["sessionId"]])


# ---------------------------------------------------------------- back button
def test_back_from_the_payment_page_is_the_same_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout()
    assert buyer.call("GET", "/api/cart").json()["lines"][0]["quantity"] == 1
    again = buyer.checkout()
    assert (again.status_code, terms(again)) == (200, terms(first))
    assert trade.facts() == ONE_OPEN


def test_back_to_change_the_cart_ends_the_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()["sessionId"]
    line = buyer.call("GET", "/api/cart").json()["lines"][0]["lineId"]
    buyer.call("PATCH", "/api/cart", {"lineId": line, "quantity": 3})
    second = buyer.checkout()
    assert (second.status_code, second.json()["amounts"]["total"]) == (201, 7500)
    assert (standin.session(first)["status"], standin.open_sessions()) == ("expired", [second.json()["sessionId"]])
    assert trade.facts()["held"] == 3


@pytest.mark.parametrize("heard", [True, False])
def test_back_after_paying_answers_the_order(trade: Trade, standin: StandIn, heard: bool) -> None:
    """Whether Stripe's event has arrived by then or not; no second session either way."""
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    standin.pay(first["sessionId"])
    if heard:
        told_paid(trade, standin, first["sessionId"])
    for _ in range(2):
        again = buyer.checkout()
        assert (again.status_code, again.json()["orderId"], "url" in again.json()) == (200, first["orderId"], False)
    assert len(standin.sessions()) == 1
    sold_once(trade)


def test_back_while_a_delayed_payment_is_on_its_way(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    standin.pay(first["sessionId"], method="bank_debit")
    again = buyer.checkout()
    assert (again.status_code, again.json()["orderId"]) == (200, first["orderId"])
    assert (trade.facts()["orders"], trade.facts()["held"], standin.open_sessions()) == (["processing"], 1, [])


# ---------------------------------------------------------------- two devices
def test_two_devices_are_two_customers(trade: Trade, standin: StandIn) -> None:
    """Each has a cookie and a cart of its own: two checkouts, two holds, and neither ends the other's."""
    phone, laptop = trade.buyer_with_cart(), trade.buyer_with_cart()
    first, second = in_threads([phone.checkout, laptop.checkout])
    assert (first.status_code, second.status_code) == (201, 201)
    assert len(standin.open_sessions()) == 2
    assert trade.facts()["held"] == 2


def test_two_devices_under_one_key_share_the_session(trade: Trade, standin: StandIn) -> None:
    """A storefront that knows its customer sends the same key from both."""
    body = {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]}
    answers = in_threads([lambda: Buyer(trade.host).checkout(body, Idempotency_Key="basket-7") for _ in range(2)])
    assert sorted(a.status_code for a in answers) == [200, 201]
    assert terms(answers[0]) == terms(answers[1])
    assert trade.facts() == ONE_OPEN


def test_two_devices_with_one_cart_pay_it_once(trade: Trade, standin: StandIn) -> None:
    laptop = trade.buyer_with_cart()
    phone = laptop.twin()
    first = laptop.checkout().json()
    assert phone.checkout().json()["sessionId"] == first["sessionId"]
    assert standin.pay(first["sessionId"])["state"] == "complete"
    assert standin.pay(first["sessionId"])["state"] == "already_complete"
    told_paid(trade, standin, first["sessionId"])
    for device in (laptop, phone):
        answer = device.checkout()
        assert (answer.status_code, answer.json()["orderId"]) == (200, first["orderId"])
    sold_once(trade)


# ---------------------------------------------------------------- retry after 502, after a lost answer
def test_a_retry_after_502_is_a_new_checkout_with_a_new_key(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="status", status=400, when="before", code="amount_too_large")
    refused = buyer.checkout()
    assert (refused.status_code, refused.json()["code"]) == (502, "payment_rejected")
    answer = buyer.checkout()
    assert answer.status_code == 201
    assert standin.open_sessions() == [answer.json()["sessionId"]]
    first, second = (call["headers"]["Idempotency-Key"] for call in standin.requests(SESSIONS))
    assert first != second
    assert trade.facts() == ONE_OPEN | {
        "orders": ["failed", "pending"], "holds": ["active", "released"],
        "attempts": [("closed", "refused"), ("open", "")],
    }  # fmt: skip


def test_a_client_key_outlives_a_502(trade: Trade, standin: StandIn) -> None:
    """Nothing was made under it: the same key and request begin anew."""
    body = {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]}
    standin.fault(path=SESSIONS, kind="status", status=403, when="before")
    buyer = trade.buyer()
    assert buyer.checkout(body, Idempotency_Key="k").status_code == 502
    answer = buyer.checkout(body, Idempotency_Key="k")
    assert (answer.status_code, standin.open_sessions()) == (201, [answer.json()["sessionId"]])


def test_two_tabs_retry_after_a_lost_answer_at_once(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="drop_after")
    assert buyer.checkout().status_code == 503
    answers = in_threads([buyer.twin().checkout for _ in range(3)])
    assert [a.status_code for a in answers] == [200] * 3
    assert len({a.json()["sessionId"] for a in answers}) == 1
    assert trade.facts() == ONE_OPEN


# ---------------------------------------------------------------- retry after a day
def a_day_later(standin: StandIn) -> time_machine.travel:
    standin.advance(86_400)
    return time_machine.travel(timezone.now() + timedelta(days=1), tick=True)


@pytest.mark.parametrize("cleaned_up", [True, False])
def test_a_retry_after_a_day_is_a_new_checkout(trade: Trade, standin: StandIn, cleaned_up: bool) -> None:
    """Whether reaper and resolver have run by then or the customer comes first."""
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    with a_day_later(standin):
        if cleaned_up:
            reaper.run_once(now=timezone.now())
            resolver.run_once(now=timezone.now())
            assert trade.facts()["held"] == 0
        answer = buyer.checkout()
        assert answer.status_code == 201
        assert answer.json()["orderId"] != first["orderId"]
        assert standin.open_sessions() == [answer.json()["sessionId"]]
    assert trade.facts() == ONE_OPEN | {
        "orders": ["canceled", "pending"], "holds": ["active", "expired"],
        "attempts": [("closed", "expired"), ("open", "")],
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_a_retry_a_day_after_a_lost_answer_is_a_new_checkout(trade: Trade, standin: StandIn, fault: str) -> None:
    """The key is forgotten at Stripe by then: sending it again would make a second session."""
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind=fault)
    assert buyer.checkout().status_code == 503
    stale = CheckoutAttempt.objects.get().stripe_key
    with a_day_later(standin):
        answer = buyer.checkout()
        assert answer.status_code == 201
        assert standin.open_sessions() == [answer.json()["sessionId"]]
    keys = [call["headers"]["Idempotency-Key"] for call in standin.requests(SESSIONS)]
    assert keys.count(stale) == 1
    assert trade.facts()["held"] == 1


def test_a_repost_a_day_after_paying_is_the_order(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    standin.pay(first["sessionId"])
    settle_session(shop=load_shop("band"), session_id=first["sessionId"])
    with a_day_later(standin):
        answer = buyer.checkout()
    assert (answer.status_code, answer.json()["orderId"]) == (200, first["orderId"])
    sold_once(trade)

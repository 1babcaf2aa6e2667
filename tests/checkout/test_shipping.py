"""Shipping options: the browser names one, the shop's table says what it costs, Stripe is told that one alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.models import Order, ShippingOption
from tests.checkout.test_hostile_input import UNTOUCHED
from tests.checkout.test_start import statements_of
from tests.factories.commerce import ShippingOptionFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

ADDRESS = {"name": "Ada L", "line1": "Am Markt 1", "city": "Wien", "postalCode": "1010", "country": "AT", "phone": "1"}


def way(trade: Trade, **more: Any) -> ShippingOption:
    option: ShippingOption = ShippingOptionFactory(shop=trade.shop, **more)
    return option


def test_the_cart_lists_what_shipping_costs_it(trade: Trade, other_trade: Trade) -> None:
    names = {"en": "Parcel", "de": "Paket"}
    parcel = way(trade, names=names, free_from_amount=5000, days_min=2, days_max=4, position=1)
    pick_up = way(trade, names={"de": "Abholung"}, amount=0, countries=[], position=2)
    way(trade, active=False)
    way(trade, currency="USD")
    way(other_trade)
    buyer = trade.buyer_with_cart(1)
    listed = [
        {
            "id": str(parcel.pk), "name": "Parcel", "amount": 490, "currency": "EUR", "freeFromAmount": 5000,
            "countries": ["DE", "AT"], "deliveryDays": {"min": 2, "max": 4},
        },
        {
            "id": str(pick_up.pk), "name": "Abholung", "amount": 0, "currency": "EUR", "freeFromAmount": None,
            "countries": [], "deliveryDays": None,
        },
    ]  # fmt: skip
    assert buyer.call("GET", "/api/cart").json()["shippingOptions"] == listed
    german = buyer.call("GET", "/api/cart", {"locale": "de"}).json()["shippingOptions"]
    assert [offer["name"] for offer in german] == ["Paket", "Abholung"]
    assert buyer.add(trade.variant).json()["shippingOptions"][0]["amount"] == 0
    assert trade.buyer().call("GET", "/api/cart").json()["shippingOptions"] == listed


def test_the_chosen_option_is_charged_and_told_to_stripe(trade: Trade, standin: StandIn) -> None:
    option = way(trade, days_min=2, days_max=4)
    buyer = trade.buyer_with_cart(2)
    answer = buyer.checkout({"shippingOptionId": str(option.pk)})
    body = answer.json()
    assert (answer.status_code, body["amounts"]) == (
        201,
        {"subtotal": 5000, "discount": 0, "shipping": 490, "tax": 0, "deposit": 0, "total": 5490},
    )
    attempt = CheckoutAttempt.objects.get()
    assert attempt.stripe_params["shipping_options"] == [
        {
            "shipping_rate_data": {
                "type": "fixed_amount",
                "display_name": "Standard",
                "fixed_amount": {"amount": 490, "currency": "eur"},
                "metadata": {"shipping_option_id": str(option.pk)},
                "delivery_estimate": {
                    "minimum": {"unit": "business_day", "value": 2},
                    "maximum": {"unit": "business_day", "value": 4},
                },
            }
        }
    ]
    assert attempt.stripe_params["shipping_address_collection"] == {"allowed_countries": ["DE", "AT"]}
    session = standin.session(body["sessionId"])
    assert (session["amount_total"], session["total_details"]["amount_shipping"]) == (5490, 490)
    standin.pay(body["sessionId"])
    assert buyer.checkout({"shippingOptionId": str(option.pk)}).status_code == 200
    order = Order.objects.get()
    assert (order.status, order.total_amount, order.subtotal_amount, order.shipping_amount, order.shipping_name) == (
        "confirmed", 5490, 5000, 490, "Standard",
    )  # fmt: skip
    assert (order.amount_differs, trade.facts()["captured"]) == (False, 5490)
    assert order.shipping_address is not None and order.shipping_address["address"]["country"] == "DE"


def test_what_stripe_charges_wins_and_is_flagged(trade: Trade, standin: StandIn) -> None:
    option = way(trade)
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout({"shippingOptionId": str(option.pk)}).json()["sessionId"]
    # As if another rate had been put into the session at Stripe: what we had computed is no longer what is charged.
    Order.objects.update(shipping_amount=390, total_amount=2890, expected_total_amount=2890)
    standin.pay(session_id)
    buyer.status(session_id)
    CheckoutAttempt.objects.update(polled_at=timezone.now() - timedelta(seconds=5))
    assert buyer.status(session_id)["status"] == "confirmed"
    order = Order.objects.get()
    assert (order.amount_differs, order.shipping_amount, order.total_amount, order.expected_total_amount) == (
        True, 490, 2990, 2890,
    )  # fmt: skip


def test_another_option_is_another_purchase(trade: Trade, standin: StandIn) -> None:
    standard, express = way(trade), way(trade, names={"en": "Express"}, amount=990)
    buyer = trade.buyer_with_cart()
    first = buyer.checkout({"shippingOptionId": str(standard.pk)})
    again = buyer.checkout({"shippingOptionId": str(standard.pk).upper()})
    second = buyer.checkout({"shippingOptionId": str(express.pk)})
    assert [a.status_code for a in (first, again, second)] == [201, 200, 201]
    assert first.json()["sessionId"] == again.json()["sessionId"] != second.json()["sessionId"]
    assert standin.session(first.json()["sessionId"])["status"] == "expired"
    assert standin.session(second.json()["sessionId"])["amount_total"] == 3490
    assert (trade.facts()["held"], trade.facts()["holds"]) == (1, ["active", "expired"])


def test_a_dearer_option_supersedes_and_charges_the_table(trade: Trade, standin: StandIn) -> None:
    option = way(trade)
    buyer = trade.buyer_with_cart()
    first = buyer.checkout({"shippingOptionId": str(option.pk)}).json()
    ShippingOption.objects.update(amount=590)
    second = buyer.checkout({"shippingOptionId": str(option.pk)}).json()
    assert (second["amounts"]["total"], standin.session(first["sessionId"])["status"]) == (3090, "expired")


def test_under_a_clients_key_another_option_is_another_request(trade: Trade, standin: StandIn) -> None:
    standard, express = way(trade), way(trade, amount=990)
    items = [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]
    sent = {"items": items, "shippingOptionId": str(standard.pk)}
    assert trade.buyer().checkout(sent, Idempotency_Key="key-1").status_code == 201
    assert trade.buyer().checkout(sent, Idempotency_Key="key-1").status_code == 200
    other = trade.buyer().checkout({**sent, "shippingOptionId": str(express.pk)}, Idempotency_Key="key-1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    "case", ["unknown", "inactive", "another shop's", "another currency", "wrong country", "no id", "number", "none"]
)
def test_refused_with_nothing_moved(trade: Trade, other_trade: Trade, standin: StandIn, case: str) -> None:
    offered = way(trade)
    named: Any = {
        "unknown": lambda: uuid4(),
        "inactive": lambda: way(trade, active=False).pk,
        "another shop's": lambda: way(other_trade).pk,
        "another currency": lambda: way(trade, currency="USD").pk,
        "wrong country": lambda: offered.pk,
        "no id": lambda: "standard' OR 1=1 --",
        "number": lambda: 1,
        "none": lambda: None,
    }[case]()
    body: dict[str, Any] = {"shippingOptionId": named if isinstance(named, int | None) else str(named)}
    if case == "wrong country":
        body["shippingAddress"] = {**ADDRESS, "country": "US"}
    answer = trade.buyer_with_cart().checkout(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.json()
    assert list(answer.json()["fields"]) == ["shippingOptionId"]
    assert trade.facts() == UNTOUCHED
    assert standin.requests("/v1/") == []


@pytest.mark.parametrize("free", [{"amount": 0}, {"free_from_amount": 5000}])
def test_naming_none_is_no_way_around_the_charge(trade: Trade, standin: StandIn, free: dict[str, int]) -> None:
    """Where each way costs something one must be named; where one is free, leaving it out saves nothing."""
    way(trade)
    assert trade.buyer_with_cart(2).checkout().status_code == 400
    way(trade, **free)
    answer = trade.buyer_with_cart(2).checkout()
    assert (answer.status_code, answer.json()["amounts"]["total"]) == (201, 5000)
    dearer = trade.buyer_with_cart(1).checkout()
    assert dearer.status_code == (201 if "amount" in free else 400)


def test_an_address_that_we_have_goes_to_stripe_instead_of_being_asked_for(trade: Trade, standin: StandIn) -> None:
    option = way(trade)
    buyer = trade.buyer_with_cart()
    body = {"shippingOptionId": str(option.pk), "shippingAddress": ADDRESS}
    session_id = buyer.checkout(body).json()["sessionId"]
    params = CheckoutAttempt.objects.get().stripe_params
    assert "shipping_address_collection" not in params
    assert params["payment_intent_data"]["shipping"] == {
        "name": "Ada L",
        "phone": "1",
        "address": {"line1": "Am Markt 1", "city": "Wien", "postal_code": "1010", "country": "AT"},
    }
    standin.pay(session_id)
    assert buyer.checkout(body).status_code == 200
    assert Order.objects.get().shipping_address == ADDRESS


def test_without_options_nothing_is_asked_and_nothing_charged(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart().checkout({"shippingAddress": {k: v for k, v in ADDRESS.items() if k != "name"}})
    params = CheckoutAttempt.objects.get().stripe_params
    assert not {"shipping_options", "shipping_address_collection"} & set(params)
    assert "shipping" not in params["payment_intent_data"]


def test_a_chosen_option_costs_one_statement(trade: Trade, standin: StandIn) -> None:
    option = way(trade)
    buyer = trade.buyer_with_cart()
    with CaptureQueriesContext(connection) as first:
        assert buyer.checkout({"shippingOptionId": str(option.pk)}).status_code == 201
    with CaptureQueriesContext(connection) as repeat:
        assert buyer.checkout({"shippingOptionId": str(option.pk)}).status_code == 200
    assert (len(statements_of(first)), len(statements_of(repeat))) == (15, 5)

"""Where a shop takes its payment: on Stripe's page, or within its own as an embedded page or single elements (K1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.serializers import serialize
from django.db import models

from checkout.models import CheckoutAttempt
from commerce.models import Order
from inventory.models import Hold
from tenants.models import ShopSettings
from tenants.models.shop import LONGEST_NOTE
from tests.factories.commerce import ShippingOptionFactory
from tests.fixtures.lines import Lines
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, open_trade
from webhooks.models import StripeEvent

THANKS = "http://band.localhost:8000/en/thank-you?session_id={CHECKOUT_SESSION_ID}"
WITHIN = ("embedded_page", "elements")


def put(trade: Trade, **settings: Any) -> None:
    ShopSettings.objects.filter(shop=trade.shop).update(**settings)


def params() -> dict[str, Any]:
    return dict(CheckoutAttempt.objects.get().stripe_params)


@pytest.mark.parametrize("ui_mode", ["hosted_page", *WITHIN])
def test_each_mode_answers_its_own_way_to_pay(trade: Trade, standin: StandIn, ui_mode: str) -> None:
    put(trade, checkout_ui=ui_mode)
    buyer = trade.buyer_with_cart()
    first = buyer.checkout()
    body = first.json()
    session = standin.session(body["sessionId"])
    assert (first.status_code, body["uiMode"], session["ui_mode"]) == (201, ui_mode, ui_mode)
    if ui_mode == "hosted_page":
        assert body["url"] == session["url"] and "clientSecret" not in body
        assert params()["success_url"] == THANKS
        assert params()["cancel_url"] == "http://band.localhost:8000/en/cancel" and "return_url" not in params()
    else:
        assert body["clientSecret"] == session["client_secret"] and "url" not in body
        assert params()["return_url"] == THANKS
        assert not {"success_url", "cancel_url"} & set(params())
    again = buyer.checkout()
    assert (again.status_code, again.json()) == (200, body)
    assert len(standin.requests("/v1/checkout/sessions")) == 1


@pytest.mark.parametrize("ui_mode", WITHIN)
def test_a_lost_answer_is_repeated_with_the_same_secret(trade: Trade, standin: StandIn, ui_mode: str) -> None:
    put(trade, checkout_ui=ui_mode)
    buyer = trade.buyer_with_cart()
    standin.fault(path="/v1/checkout/sessions", kind="drop_after")
    assert buyer.checkout().status_code == 503
    answer = buyer.checkout()
    assert answer.status_code == 200
    assert answer.json()["clientSecret"] == standin.session(answer.json()["sessionId"])["client_secret"]


@pytest.mark.parametrize("ui_mode", WITHIN)
def test_the_client_secret_is_neither_kept_nor_logged(
    trade: Trade, standin: StandIn, ui_mode: str, log_lines: Lines
) -> None:
    put(trade, checkout_ui=ui_mode)
    buyer = trade.buyer_with_cart()
    secret = buyer.checkout().json()["clientSecret"]
    assert buyer.checkout().json()["clientSecret"] == secret
    kinds: tuple[type[models.Model], ...] = (CheckoutAttempt, Order, Hold, StripeEvent)
    kept = "".join(serialize("json", kind._default_manager.all()) for kind in kinds)
    tail = secret.partition("_secret_")[2]
    assert tail and tail not in kept
    assert tail not in json.dumps(log_lines(), default=str)


@pytest.mark.parametrize("ui_mode", WITHIN)
def test_what_is_paid_answers_its_order_and_no_secret(trade: Trade, standin: StandIn, ui_mode: str) -> None:
    put(trade, checkout_ui=ui_mode)
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["sessionId"]) == (200, session_id)
    assert not {"clientSecret", "url"} & set(answer.json())
    assert trade.facts()["orders"] == ["confirmed"]


def test_a_shop_that_changes_its_page_supersedes_what_is_open(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    hosted = buyer.checkout().json()["sessionId"]
    put(trade, checkout_ui="elements")
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["uiMode"]) == (201, "elements")
    assert standin.session(hosted)["status"] == "expired"
    assert trade.facts()["held"] == 1


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        ({}, {"billing_address_collection": "auto"}),
        ({"billing_address": "required"}, {"billing_address_collection": "required"}),
        ({"asks_phone": True}, {"billing_address_collection": "auto", "phone_number_collection": {"enabled": True}}),
        (
            {"payment_note": "Ships from Berlin."},
            {"billing_address_collection": "auto", "custom_text": {"submit": {"message": "Ships from Berlin."}}},
        ),
        ({"payment_note": "Ships from Berlin.", "checkout_ui": "elements"}, {"billing_address_collection": "auto"}),
    ],
)
def test_what_the_form_asks_for_and_says(
    trade: Trade, standin: StandIn, chosen: dict[str, Any], sent: dict[str, Any]
) -> None:
    put(trade, **chosen)
    assert trade.buyer_with_cart().checkout().status_code == 201
    asked = ("billing_address_collection", "phone_number_collection", "custom_text")
    assert {name: value for name, value in params().items() if name in asked} == sent


def test_addresses_and_phone_are_kept_with_the_order(trade: Trade, standin: StandIn) -> None:
    put(trade, billing_address="required", asks_phone=True)
    option = ShippingOptionFactory(shop=trade.shop)
    buyer = trade.buyer_with_cart()
    body = {"shippingOptionId": str(option.pk)}
    session_id = buyer.checkout(body).json()["sessionId"]
    street = {"line1": "Bahnhofstraße 2", "city": "Berlin", "postal_code": "10115", "country": "DE"}
    standin.pay(
        session_id, address=street, phone="+49 30 1234", name="Ada L", shipping={**street, "line1": "Am Markt 1"}
    )
    buyer.checkout(body)
    order = Order.objects.get()
    assert (order.status, order.phone, order.customer_name) == ("confirmed", "+49 30 1234", "Ada L")
    assert order.billing_address is not None and order.shipping_address is not None
    assert {name: order.billing_address[name] for name in street} == street
    assert order.shipping_address["address"]["line1"] == "Am Markt 1"


@pytest.mark.parametrize("phone", ["", "0" * 400])
def test_no_phone_and_an_endless_one_keep_the_payment(trade: Trade, standin: StandIn, phone: str) -> None:
    put(trade, asks_phone=True)
    buyer = trade.buyer_with_cart()
    standin.pay(buyer.checkout().json()["sessionId"], **({"phone": phone} if phone else {}))
    buyer.checkout()
    assert Order.objects.get().phone == phone[:40]


def test_the_longest_of_everything_is_within_stripes_limits(transactional_db: None, standin: StandIn) -> None:
    """Fifty keys of 40 characters with values of 500; names and notes as long as our own limits let them be."""
    trade = open_trade("s" * 63)
    put(trade, payment_note="ü" * LONGEST_NOTE, asks_phone=True)
    variant = trade.variant
    variant.attributes = {name: name * 80 for name in "abc"}
    variant.variant_key = "BAND#" + "|".join(f"{name}:{name * 80}" for name in "abc")
    variant.save()
    trade.stock.variant_key = variant.variant_key
    trade.stock.save()
    trade.variant.product.texts.update(title="T" * 200)
    option = ShippingOptionFactory(shop=trade.shop, names={"en": "N" * 100}, days_min=1, days_max=2)
    buyer = trade.buyer_with_cart()
    answer = buyer.checkout({"shippingOptionId": str(option.pk)}, X_Request_Id="r" * 64)
    assert answer.status_code == 201, answer.json()
    for values in metadata_in(params()):
        assert len(values) <= 50
        assert all(len(key) <= 40 and not {"[", "]"} & set(key) for key in values)
        assert all(isinstance(value, str) and len(value) <= 500 for value in values.values())
    assert len(params()["custom_text"]["submit"]["message"]) <= 1200
    assert len(params()["client_reference_id"]) <= 200
    assert len(CheckoutAttempt.objects.get().stripe_key) <= 255


def metadata_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for part in value for found in metadata_in(part)]
    if not isinstance(value, dict):
        return []
    own = [value["metadata"]] if "metadata" in value else []
    return own + [found for part in value.values() for found in metadata_in(part)]


@pytest.mark.parametrize(
    ("locale", "page"),
    [("en", "en"), ("de", "de"), ("de-AT", "de"), ("pt-BR", "pt-BR"), ("gsw", "auto"), ("eo", "auto")],
)
def test_the_locale_goes_along_where_stripe_speaks_it(trade: Trade, standin: StandIn, locale: str, page: str) -> None:
    put(trade, locales=["en", locale])
    answer = trade.buyer_with_cart().checkout({"locale": locale, "email": "ada@example.test"})
    assert (answer.status_code, params()["locale"], params()["customer_email"]) == (201, page, "ada@example.test")

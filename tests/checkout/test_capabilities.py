"""`GET /api/capabilities`: what a shop has on, and nothing that isn't public (S7)."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from commerce.gateway.onboarding import connect_account
from tenants.audit import Actor
from tenants.models import Shop, ShopSettings
from tests.factories.commerce import CouponFactory, ShippingOptionFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade


def ask(trade: Trade, **headers: str) -> Any:
    return trade.buyer().call("GET", "/api/capabilities", None, **headers)


def put(trade: Trade, **settings: Any) -> None:
    ShopSettings.objects.filter(shop=trade.shop).update(**settings)


def test_a_plain_shop(trade: Trade, settings: Settings) -> None:
    settings.STRIPE_PUBLISHABLE_KEY, settings.STRIPE_API_BASE = "", "https://api.stripe.com"
    assert ask(trade).json() == {
        "shopId": "band",
        "name": "Band",
        "kind": "sale",
        "currency": "EUR",
        "currencies": ["EUR"],
        "defaultLocale": "en",
        "locales": ["en", "de"],
        "timeZone": "UTC",
        "checkout": {
            "mode": "payment",
            "uiMode": "hosted_page",
            "holdsStock": True,
            "holdTtlSeconds": 1200,
            "inventoryMode": "reserve_ttl",
            "repricePolicy": "enforce_and_proceed",
            "billingAddress": "auto",
            "phone": False,
        },
        "payment": {
            "publishableKey": None,
            "stripeAccount": None,
            "script": "https://js.stripe.com/endive/stripe.js",
        },
        "shipping": False,
        "coupons": False,
        "subscriptions": False,
        "tax": {"mode": "none", "knownBeforePayment": True},
        "rental": None,
    }


def test_a_shop_with_everything(trade: Trade, other_trade: Trade, settings: Settings, standin: StandIn) -> None:
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_platform"
    put(
        trade, kind="rental", checkout_ui="elements", tax_mode="automatic", inventory_mode="validate_only",
        billing_address="required", asks_phone=True, rental_min_days=2,
    )  # fmt: skip
    ShippingOptionFactory(shop=trade.shop)
    CouponFactory(shop=trade.shop)
    connect_account(shop_id="band", account="acct_theirs", reason="Contract", acting=Actor("staff", "olga"))
    told = ask(trade).json()
    assert (told["kind"], told["shipping"], told["coupons"], told["rental"]["minDays"]) == ("rental", True, True, 2)
    assert told["checkout"] | {"repricePolicy": ""} == {
        "mode": "payment", "uiMode": "elements", "holdsStock": False, "holdTtlSeconds": None,
        "inventoryMode": "validate_only", "repricePolicy": "", "billingAddress": "required", "phone": True,
    }  # fmt: skip
    assert told["tax"] == {"mode": "automatic", "knownBeforePayment": False}
    assert told["payment"] == {
        "publishableKey": "pk_test_platform", "stripeAccount": "acct_theirs", "script": f"{standin.url}/stripe.js",
    }  # fmt: skip
    other = ask(other_trade).json()
    assert (other["shipping"], other["coupons"], other["payment"]["stripeAccount"]) == (False, False, None)
    text = ask(trade).content.decode()
    assert "sk_test" not in text and "whsec" not in text


def test_kept_for_a_moment_and_asked_for_by_its_tag(trade: Trade) -> None:
    first = ask(trade)
    assert first["Cache-Control"] == "public, max-age=30"
    again = ask(trade, If_None_Match=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    put(trade, checkout_ui="elements")
    changed = ask(trade, If_None_Match=first["ETag"])
    assert (changed.status_code, changed["ETag"] != first["ETag"]) == (200, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_else_is_done_with_it(trade: Trade, method: str) -> None:
    answer = trade.buyer().call(method, "/api/capabilities", {})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_closed_shop_tells_nothing(trade: Trade) -> None:
    Shop.objects.filter(pk="band").update(status="closed")
    assert ask(trade).status_code == 410

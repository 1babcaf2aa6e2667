"""Three shops on three kinds of accounts buy, pay and are told: each object lands in the right account, no other."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.gateway.client import platform_scope
from commerce.gateway.onboarding import connect_account, use_own_keys
from commerce.models import Order
from tenants import credentials, webhook_secrets
from tenants.audit import Actor
from tenants.models import StripeObject
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, open_trade
from tests.webhooks.deliver import deliver, event, signature

COMPLETED = "checkout.session.completed"
WHY = {"reason": "Contract", "acting": Actor("staff", "olga")}
OWN_SECRET, CONNECT_SECRET = "whsec_own_0123456789", "whsec_connect_0123456789"

# shop → its account, the host of its endpoint, that endpoint's secret, what the event says of its account
SHOPS = {
    "band": ("acct_standin", "hooks.localhost", "whsec_test", {}),
    "owner": ("acct_owner", "owner.localhost", OWN_SECRET, {}),
    "joined": ("acct_joined", "hooks.localhost", CONNECT_SECRET, {"account": "acct_joined"}),
}


@pytest.fixture
def trades(trade: Trade, standin: StandIn) -> dict[str, Trade]:
    found = {"band": trade, "owner": open_trade("owner"), "joined": open_trade("joined")}
    use_own_keys(shop_id="owner", secret_key="sk_test_owner", **WHY)
    webhook_secrets.add_shop_secret(shop_id="owner", secret=OWN_SECRET, **WHY)
    connect_account(shop_id="joined", account="acct_joined", **WHY)
    webhook_secrets.add_platform_secret(scope=platform_scope(), connect=True, secret=CONNECT_SECRET, **WHY)
    return found


def pay(trade: Trade, standin: StandIn) -> dict[str, Any]:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    return opened(standin, session_id)


def opened(standin: StandIn, session_id: str) -> dict[str, Any]:
    """The session as the stand-in answered it when it was made."""
    calls = standin.requests("/v1/checkout/sessions")
    return next(call["answer"] for call in calls if call["answer"].get("id") == session_id)


def tell(shop: str, session: dict[str, Any]) -> tuple[int, str]:
    _, host, secret, more = SHOPS[shop]
    body = json.dumps(event(COMPLETED, session, event_id=f"evt_{session['id']}", **more)).encode()
    answer = deliver(body, host=host, signed=signature(body, secret=secret))
    return answer.status_code, answer.json().get("outcome")


def test_each_lands_in_its_own_account(trades: dict[str, Trade], standin: StandIn) -> None:
    sessions = {shop: pay(trade, standin) for shop, trade in trades.items()}
    assert {shop: tell(shop, sessions[shop]) for shop in trades} == dict.fromkeys(trades, (200, "processed"))
    for shop, trade in trades.items():
        assert trade.facts()["orders"] == ["confirmed"], shop
        assert (trade.facts()["on_hand"], trade.facts()["captured"]) == (9, 2500)
    assert dict(Order.objects.values_list("shop_id", "stripe_account")) == {s: SHOPS[s][0] for s in trades}
    assert set(StripeObject.objects.values_list("shop_id", "account")) == {(s, SHOPS[s][0]) for s in trades}
    balance = standin.call("balance")["accounts"]
    assert {account: sums["eur"]["charged"] for account, sums in balance.items()} == {
        account: 2500 for account, *_ in SHOPS.values()
    }


def test_each_is_settled_by_order_status_too(trades: dict[str, Trade], standin: StandIn) -> None:
    for shop, trade in trades.items():
        buyer = trade.buyer_with_cart()
        session_id = buyer.checkout().json()["sessionId"]
        standin.pay(session_id)
        buyer.status(session_id)
        CheckoutAttempt.objects.filter(shop_id=shop).update(polled_at=timezone.now() - timedelta(minutes=1))
        assert buyer.status(session_id)["status"] == "confirmed", shop


@pytest.mark.parametrize("shop", ["owner", "joined"])
def test_a_change_of_accounts_strands_nobody(trades: dict[str, Trade], standin: StandIn, shop: str) -> None:
    """Opened on the old account, paid after the change: settled there; the next order is the new account's."""
    trade = trades[shop]
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    credentials.return_to_platform(shop_id=shop, **WHY)
    standin.pay(session_id)
    session = opened(standin, session_id)
    assert tell(shop, session) == (200, "processed")
    assert trade.facts()["orders"] == ["confirmed"]
    after = pay(trade, standin)
    assert deliver(event(COMPLETED, after, event_id="evt_after")).json()["outcome"] == "processed"
    accounts = Order.objects.filter(shop_id=shop).order_by("created_at").values_list("status", "stripe_account")
    assert list(accounts) == [("confirmed", SHOPS[shop][0]), ("confirmed", "acct_standin")]


def test_a_cart_is_not_paid_on_an_account_that_its_shop_has_left(trades: dict[str, Trade], standin: StandIn) -> None:
    """The same cart, once before the change and once after it: one payable session, on the new account."""
    buyer = trades["owner"].buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    credentials.return_to_platform(shop_id="owner", **WHY)
    second = buyer.checkout().json()["sessionId"]
    assert first != second
    assert [c["account"] for c in standin.requests(f"/v1/checkout/sessions/{first}/expire")] == ["acct_owner"]
    assert standin.session(second)["status"] == "open"

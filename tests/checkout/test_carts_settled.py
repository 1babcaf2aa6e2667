"""What checkouts do to carts, the same wherever their lines are kept (C4, C6)."""

from __future__ import annotations

from typing import Any

import pytest

from checkout.settle import settle_session
from commerce.cart.carts import cart_snapshot
from commerce.models import Cart
from tenants.context import load_shop
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, in_threads


@pytest.fixture(autouse=True, params=["postgres", "redis"])
def storage(request: Any, settings: Any) -> Any:
    settings.CART_STORAGE = request.param
    return request.param


def settle(session_id: str) -> Any:
    return settle_session(shop=load_shop("band"), session_id=session_id)


def in_cart(buyer: Buyer) -> list[int]:
    return [line["quantity"] for line in buyer.call("GET", "/api/cart").json()["lines"]]


def generation() -> int:
    return Cart.objects.get().generation


def test_a_paid_order_empties_its_cart_once_and_looking_again_does_nothing(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    assert in_cart(buyer) == [2]
    standin.pay(session_id)
    assert settle(session_id).order_status == "confirmed"
    assert in_cart(buyer) == []
    emptied = generation()
    buyer.add(trade.variant, 3)
    for _ in range(2):
        assert buyer.status(session_id)["status"] == "confirmed"
        assert buyer.call("GET", f"/api/checkout-session/{session_id}").json()["orderStatus"] == "confirmed"
        settle(session_id)
    assert (in_cart(buyer), generation()) == ([3], emptied + 1)


def test_the_thank_you_page_before_the_event_empties_it_once_too(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    results = in_threads([lambda: settle(session_id).order_status] * 3)
    assert results == ["confirmed"] * 3
    assert (in_cart(buyer), generation()) == ([], 2)


def test_an_unpaid_order_keeps_it(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    buyer.status(session_id)
    assert in_cart(buyer) == [2]
    standin.call(f"sessions/{session_id}/expire", {})
    assert settle(session_id).order_status == "canceled"
    assert (in_cart(buyer), generation()) == ([2], 1)
    assert buyer.checkout().status_code == 201


def test_bought_lines_leave_a_cart_that_was_changed_between_payment_and_settlement(
    trade: Trade, standin: StandIn
) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    buyer.add(trade.variant, 3)
    assert settle(session_id).order_status == "confirmed"
    assert in_cart(buyer) == [3]
    after = generation()
    settle(session_id)
    assert (in_cart(buyer), generation()) == ([3], after)
    # The next checkout buys what is left, under its own generation.
    second = buyer.checkout().json()
    assert second["amounts"]["subtotal"] == 3 * 2500
    standin.pay(second["sessionId"])
    settle(second["sessionId"])
    assert in_cart(buyer) == []


def test_a_line_removed_meanwhile_is_not_taken_from_another(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    buyer.call("PUT", "/api/cart", {"lines": [
        {"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}, "options": {"engraving": "Mia"}},
    ]})  # fmt: skip
    settle(session_id)
    assert in_cart(buyer) == [1]


@pytest.mark.parametrize("changed", [False, True])
def test_a_failed_delayed_payment_puts_its_lines_back(trade: Trade, standin: StandIn, changed: bool) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    assert settle(session_id).order_status == "processing"
    assert in_cart(buyer) == []
    if changed:
        buyer.add(trade.variant, 4)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "failed"})
    for _ in range(2):
        assert settle(session_id).order_status == "failed"
        assert in_cart(buyer) == [6 if changed else 2]
    again = buyer.checkout()
    assert (again.status_code, again.json()["amounts"]["subtotal"]) == (201, (6 if changed else 2) * 2500)


def test_a_checkout_and_changes_from_other_tabs_lose_nothing(trade: Trade, standin: StandIn) -> None:
    """Adding is never lost, and a session sells exactly one generation, whichever it was."""
    buyer = trade.buyer_with_cart(1)
    tabs = [buyer.twin() for _ in range(4)]
    results = in_threads([*(lambda t=tab: t.add(trade.variant).status_code for tab in tabs), buyer.checkout])
    assert results[:4] == [200] * 4
    cart = Cart.objects.get()
    assert sum(line.quantity for line in cart_snapshot(shop_id="band", cart_id=cart.pk).lines) == 5
    answer = buyer.checkout()
    assert (answer.status_code in {200, 201}, answer.json()["amounts"]["subtotal"]) == (True, 5 * 2500)


def test_settlement_while_redis_is_away(trade: Trade, standin: StandIn, settings: Any, storage: str) -> None:
    """A payment is never kept waiting for Redis, and nothing bought stays in the cart for it."""
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    buyer.add(trade.variant)
    there, settings.REDIS_CARTS_URL = settings.REDIS_CARTS_URL, "unix:///nowhere/carts.sock?db=0"
    assert settle(session_id).order_status == "confirmed"
    refused = buyer.checkout()
    # In rows: the one unit left is sold. In Redis: nobody knows what is left, so nothing is.
    assert refused.status_code == (201 if storage == "postgres" else 503)
    settings.REDIS_CARTS_URL = there
    assert in_cart(buyer) == [1]

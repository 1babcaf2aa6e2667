"""What a move of a host says about the checkouts of the shop that loses it, and what becomes of them."""

from __future__ import annotations

from tenants.audit import Actor
from tenants.models import Host
from tenants.onboarding import describe_move, move_host
from tenants.staff import EVERY_SHOP
from tests.factories.tenants import ShopFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade


def test_open_checkouts_are_told_and_outlive_the_move(trade: Trade, standin: StandIn) -> None:
    host = Host.objects.get(shop_id="band")
    assert "No checkout is open there." in describe_move(host)
    assert trade.buyer_with_cart(2).checkout({"email": "ada@example.test"}).status_code == 201
    assert "Open checkouts there: 1." in describe_move(host)
    heir = ShopFactory(id="heir")
    move_host(host_id=host.pk, scope=EVERY_SHOP, to_shop=heir, acting=Actor("staff", "olga"), reason="Sold")
    assert trade.facts()["attempts"] == [("open", "")]
    assert trade.facts()["held"] == 2, "stock goes back only when the session can't be paid any more"

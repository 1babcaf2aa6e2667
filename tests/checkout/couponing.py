"""What the tests of coupons in the checkout have in common."""

from __future__ import annotations

from typing import Any

from checkout.settle import settle_session
from commerce.models import Coupon, CouponRedemption
from tenants.audit import Actor
from tenants.context import load_shop
from tests.factories.commerce import CouponFactory
from tests.fixtures.trade import Buyer, Trade

SESSIONS, COUPONS = "/v1/checkout/sessions", "/v1/coupons"
STAFF = Actor("staff", "ada")


def coupon(trade: Trade, **more: Any) -> Coupon:
    made: Coupon = CouponFactory(shop=trade.shop, **{"code": "SPRING", **more})
    return made


def use(buyer: Buyer, code: str = "SPRING", **more: Any) -> Any:
    return buyer.checkout({"couponCode": code, "email": "ada@example.test", **more})


def settle(session_id: str) -> Any:
    return settle_session(shop=load_shop("band"), session_id=session_id)


def states() -> tuple[list[str], int]:
    """The redemptions' states, and what the coupon counts."""
    found = CouponRedemption.objects.order_by("pk").values_list("state", flat=True)
    return list(found), Coupon.objects.order_by("pk").values_list("used", flat=True)[0]

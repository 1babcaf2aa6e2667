"""Amounts against lies, with a coupon: Stripe takes off what was promised, to the minor unit, in every currency."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.currencies import CURRENCIES
from commerce.models import Coupon, CouponRedemption, Order, Variant
from commerce.money import from_stripe_amount, is_chargeable
from inventory.models import StockRow
from tenants.context import load_shop
from tests.checkout.test_amounts import CHARGED, KNOWN, LIES, price_in
from tests.commerce.backoffice import another_product
from tests.factories.commerce import CouponFactory
from tests.factories.inventory import StockRowFactory
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade, Trade

COUPONS, SESSIONS = "/v1/coupons", "/v1/checkout/sessions"


def promised(bases: list[int], coupon: Coupon, currency: str) -> int:
    """Spelled out in fractions, not asked of the code under test."""
    whole, step = sum(bases), CURRENCIES[currency].step
    if coupon.basis_points is None:
        return min(whole, int(coupon.amounts[currency]))
    return floor(Fraction(whole * coupon.basis_points, 10_000 * step) + Fraction(1, 2)) * step


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    currency=st.sampled_from(CHARGED),
    prices=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    quantities=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shipping=st.one_of(st.none(), st.integers(0, 999)),
    share=st.integers(1, 10_000),
    off=st.one_of(st.none(), st.integers(1, 10**6)),
    only=st.sampled_from(["both", "first", "second"]),
    lies=LIES,
)
@example("EUR", (999, 1), (3, 1), None, 3333, None, "both", {})
@example("KWD", (1005, 333), (1, 7), 12, 1250, None, "second", {})
@example("JPY", (50, 0), (1, 1), None, 10_000, None, "both", {})
@example("ISK", (1, 1), (9, 9), None, 1, 10**6, "both", {})
def test_stripe_takes_off_what_was_promised(
    trade: Trade,
    standin: StandIn,
    currency: str,
    prices: tuple[int, int],
    quantities: tuple[int, int],
    shipping: int | None,
    share: int,
    off: int | None,
    only: str,
    lies: dict[str, Any],
) -> None:
    step = CURRENCIES[currency].step
    second = Variant.objects.exclude(pk=trade.variant.pk).first() or another_product(trade).variants.get()
    StockRow.objects.filter(variant_key=second.variant_key).exists() or StockRowFactory(
        owner_id=trade.shop.pk, sku=second.sku, variant_key=second.variant_key
    )
    StockRow.objects.update(on_hand=10_000)
    option = price_in(trade, currency, prices[0] * step, None if shipping is None else shipping * step)
    Variant.objects.filter(pk=second.pk).update(price_amount=prices[1] * step)
    coupon = CouponFactory(
        shop=trade.shop,
        code=f"C-{uuid4().hex[:12].upper()}",
        amounts={currency: off * step} if off else {},
        basis_points=None if off else share,
        only_for={"both": [], "first": ["BAND"], "second": [second.variant_key]}[only],
    )
    lines = [price * step * quantity for price, quantity in zip(prices, quantities, strict=True)]
    covered = [line if only in {"both", name} else 0 for line, name in zip(lines, ("first", "second"), strict=True)]
    discount, ways = promised(covered, coupon, currency), (shipping or 0) * step
    total = sum(lines) - discount + ways
    before = len(standin.requests(SESSIONS)), len(standin.requests(COUPONS))
    items = [
        {"sku": "BAND", "quantity": quantities[0], "variantAttributes": {"size": "M"}},
        {"sku": second.sku, "quantity": quantities[1]},
    ]
    body = {"items": items, "couponCode": coupon.code.lower(), **lies}
    if option is not None:
        body["shippingOptionId"] = str(option.pk)
    answer = trade.buyer().checkout(body, Idempotency_Key=uuid4().hex)
    sent = len(standin.requests(SESSIONS)) - before[0], len(standin.requests(COUPONS)) - before[1]
    if set(lies) - KNOWN:
        assert (answer.status_code, answer.json()["code"], sent) == (400, "invalid_request", (0, 0))
        return
    if discount == 0:
        assert (answer.status_code, answer.json()["code"], sent) == (409, "coupon_rejected", (0, 0))
        return
    if total and not is_chargeable(total, currency):
        assert (answer.status_code, sent) == (400, (0, 0)), answer.json()
        return
    assert (answer.status_code, sent) == (201, (1, 1)), answer.json()
    session = standin.session(answer.json()["sessionId"])
    details = session["total_details"]
    assert [from_stripe_amount(part, currency) for part in (
        session["amount_total"], details["amount_discount"], details["amount_shipping"], session["amount_subtotal"],
    )] == [total, discount, ways, sum(lines)]  # fmt: skip
    amounts = answer.json()["amounts"]
    assert (amounts["subtotal"], amounts["discount"], amounts["total"]) == (sum(lines), discount, total)
    order = CheckoutAttempt.objects.get(session_id=answer.json()["sessionId"]).order
    parts = list(order.lines.values_list("discount_amount", "line_amount"))
    assert sum(part for part, _ in parts) == discount == CouponRedemption.objects.get(order=order).discount_amount
    assert all(part <= line for part, line in parts)


def test_a_rentals_deposit_is_never_discounted(rental_trade: RentalTrade, standin: StandIn) -> None:
    """At Stripe the deposit is a line item like others; what is taken off is computed without it."""
    CouponFactory(shop=rental_trade.shop, code="SPRING", basis_points=10_000)
    CouponFactory(shop=rental_trade.shop, code="SOME", basis_points=1000, minimums={"EUR": 29000})
    CouponFactory(shop=rental_trade.shop, code="TOO-MUCH", minimums={"EUR": 29001})
    period = days_from(monday(), 8)
    for code, discount in (("SPRING", 29000), ("SOME", 2900)):
        buyer = rental_trade.buyer_of(rental_trade.line(period, 2))
        body = buyer.checkout({"couponCode": code}).json()
        assert body["amounts"] == {
            "subtotal": 29000, "discount": discount, "shipping": 0, "tax": 0, "deposit": 18000,
            "total": 47000 - discount,
        }  # fmt: skip
        standin.pay(body["sessionId"])
        settle_session(shop=load_shop("band"), session_id=body["sessionId"])
        order = Order.objects.get(pk=body["orderId"])
        assert (order.status, order.deposit_amount, order.discount_amount, order.amount_differs) == (
            "confirmed", 18000, discount, False,
        )  # fmt: skip
    refused = rental_trade.buyer_of(rental_trade.line(period, 2)).checkout({"couponCode": "TOO-MUCH"}).json()
    assert (refused["code"], refused["reason"]) == ("coupon_rejected", "minimum")

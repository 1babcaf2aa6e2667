"""What the database keeps of coupons, whoever writes: limits, counters, promises. SQL past all of our code."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from commerce.models import Coupon, CouponRedemption, Order
from tests.factories.commerce import CouponFactory
from tests.fixtures.trade import Trade, in_threads


def order(trade: Trade) -> Order:
    return Order.objects.create(
        shop=trade.shop, currency="EUR", subtotal_amount=2500, total_amount=2500, expected_total_amount=2500,
        stripe_account="acct", created_at=timezone.now(),
    )  # fmt: skip


def redeem(trade: Trade, coupon: Coupon, email: str = "ada@example.test", **more: Any) -> CouponRedemption:
    fields: dict[str, Any] = {
        "shop": trade.shop, "coupon": coupon, "order": order(trade), "email": email, "currency": "EUR",
        "subtotal_amount": 2500, "discount_amount": 250, "reserved_at": timezone.now(),
    }  # fmt: skip
    return CouponRedemption.objects.create(**fields | more)


def used(coupon: Coupon) -> int:
    coupon.refresh_from_db(fields=["used"])
    return coupon.used


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("coupon_code_plain", {"code": "spring"}),
        ("coupon_code_plain", {"code": "A"}),
        ("coupon_code_plain", {"code": "A B"}),
        ("coupon_code_plain", {"code": "AB\n"}),
        ("coupon_share_or_amount", {"basis_points": 0}),
        ("coupon_share_or_amount", {"basis_points": 10_001}),
        ("coupon_share_or_amount", {"basis_points": None}),
        ("coupon_share_or_amount", {"kind": "percent", "basis_points": 5, "amounts": {"EUR": 5}}),
        ("coupon_share_or_amount", {"kind": "amount", "basis_points": None, "amounts": {}}),
        ("coupon_share_or_amount", {"kind": "free"}),
        ("coupon_amounts_whole", {"amounts": {"EUR": 0}}),
        ("coupon_amounts_whole", {"amounts": {"EUR": -5}}),
        ("coupon_amounts_whole", {"amounts": {"EUR": 5.5}}),
        ("coupon_amounts_whole", {"amounts": {"EUR": 5, "USD": "5"}}),
        ("coupon_amounts_whole", {"amounts": [5]}),
        ("coupon_minimums_whole", {"minimums": {"EUR": None}}),
        ("coupon_window_in_order", {"starts_at": timezone.now(), "ends_at": timezone.now().replace(year=2020)}),
        ("coupon_limits_positive", {"limit_total": 0}),
        ("coupon_limits_positive", {"limit_per_email": 0}),
        ("coupon_used_within_limit", {"limit_total": 1, "used": 2}),
        ("limit_total_check", {"limit_total": -1}),
    ],
)
def test_what_is_no_coupon(trade: Trade, name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=name):
        CouponFactory(shop=trade.shop, **fields)


def test_a_code_is_one_coupon_of_its_shop(trade: Trade, other_trade: Trade) -> None:
    CouponFactory(shop=trade.shop, code="SPRING")
    CouponFactory(shop=other_trade.shop, code="SPRING")
    with pytest.raises(IntegrityError, match="coupon_one_per_code"):
        CouponFactory(shop=trade.shop, code="SPRING")


def test_redemptions_are_counted_whoever_writes_them(trade: Trade) -> None:
    coupon = CouponFactory(shop=trade.shop, limit_total=2)
    first, second = redeem(trade, coupon), redeem(trade, coupon)
    assert used(coupon) == 2
    with pytest.raises(IntegrityError, match="coupon_used_within_limit"):
        redeem(trade, coupon)
    CouponRedemption.objects.filter(pk=first.pk).update(state="redeemed")
    assert used(coupon) == 2
    CouponRedemption.objects.filter(pk=second.pk).update(state="freed")
    assert used(coupon) == 1
    redeem(trade, coupon)
    with pytest.raises(IntegrityError, match="coupon_used_within_limit"):
        CouponRedemption.objects.filter(pk=second.pk).update(state="redeemed")
    CouponRedemption.objects.filter(pk=second.pk).update(state="redeemed", beyond_limit=True)
    assert used(coupon) == 2
    CouponRedemption.objects.filter(pk=first.pk).delete()
    assert used(coupon) == 1


def test_one_customer_stays_within_the_limit(trade: Trade) -> None:
    coupon = CouponFactory(shop=trade.shop, limit_per_email=1)
    first = redeem(trade, coupon)
    redeem(trade, coupon, "bob@example.test")
    with pytest.raises(IntegrityError, match="as often as anybody may"):
        redeem(trade, coupon)
    CouponRedemption.objects.filter(pk=first.pk).update(state="freed")
    redeem(trade, coupon)
    with pytest.raises(IntegrityError, match="as often as anybody may"):
        CouponRedemption.objects.filter(pk=first.pk).update(state="reserved")
    assert used(coupon) == 2


@pytest.mark.parametrize("limit", ["limit_total", "limit_per_email"])
def test_racing_writers_who_ask_nobody(trade: Trade, limit: str) -> None:
    """No verb, no lock taken beforehand: eight connections insert at the same moment."""
    coupon = CouponFactory(shop=trade.shop, **{limit: 3})
    orders = [order(trade) for _ in range(8)]
    results = in_threads([lambda made=made: redeem(trade, coupon, order=made) for made in orders])
    refused = [result for result in results if isinstance(result, IntegrityError)]
    assert (len(refused), used(coupon), CouponRedemption.objects.count()) == (5, 3, 3), results


def test_an_order_uses_one_coupon_once(trade: Trade) -> None:
    coupon, made = CouponFactory(shop=trade.shop), order(trade)
    redeem(trade, coupon, order=made)
    with pytest.raises(IntegrityError, match="coupon_redemption_one_per_order"):
        redeem(trade, CouponFactory(shop=trade.shop), order=made)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("coupon_discount_within_merchandise", {"discount_amount": 2501}),
        ("coupon_discount_within_merchandise", {"discount_amount": 0}),
        ("coupon_redemption_state_known", {"state": "lost"}),
        ("coupon_beyond_limit_is_redeemed", {"beyond_limit": True}),
    ],
)
def test_what_is_no_redemption(trade: Trade, name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=name):
        redeem(trade, CouponFactory(shop=trade.shop), **fields)


def test_another_shops_coupon_or_order_is_refused(trade: Trade, other_trade: Trade) -> None:
    theirs = CouponFactory(shop=other_trade.shop)
    with pytest.raises(IntegrityError, match="not there"):
        redeem(trade, theirs)
    own = CouponFactory(shop=trade.shop)
    with pytest.raises(IntegrityError, match="order_of_its_shop"):
        redeem(trade, own, order=order(other_trade))
    assert (used(theirs), used(own), CouponRedemption.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "used = used - 1", "used = 0", "used = used + 1", "code = 'OTHER'", "basis_points = 2000", "only_for = '{A}'",
        "kind = 'amount', basis_points = NULL, amounts = '{\"EUR\": 5}'",
    ],
)  # fmt: skip
def test_what_was_promised_and_counted_stays(trade: Trade, change: str) -> None:
    coupon = CouponFactory(shop=trade.shop)
    redeem(trade, coupon)
    before = Coupon.objects.values().get()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE commerce_coupon SET {change} WHERE id = %s", [coupon.pk])
    assert Coupon.objects.values().get() == before


def test_the_rest_of_a_used_coupon_may_change_and_all_of_an_unused_one(trade: Trade) -> None:
    coupon = CouponFactory(shop=trade.shop)
    Coupon.objects.filter(pk=coupon.pk).update(basis_points=500, only_for=["BAND"])
    redeem(trade, coupon)
    Coupon.objects.filter(pk=coupon.pk).update(active=False, limit_total=1, minimums={"EUR": 1}, note="Ended")
    with pytest.raises(IntegrityError, match=r"coupon_limits_positive|coupon_used_within_limit"):
        Coupon.objects.filter(pk=coupon.pk).update(limit_total=0)


@pytest.mark.parametrize("field", ["order", "coupon", "email", "discount_amount"])
def test_whose_a_redemption_is_stays(trade: Trade, field: str) -> None:
    redemption = redeem(trade, CouponFactory(shop=trade.shop))
    other = {
        "order": lambda: order(trade), "coupon": lambda: CouponFactory(shop=trade.shop),
        "email": lambda: "bob@example.test", "discount_amount": lambda: 1,
    }[field]()  # fmt: skip
    with pytest.raises(IntegrityError, match="stays"):
        CouponRedemption.objects.filter(pk=redemption.pk).update(**{field: other})


def test_a_line_is_discounted_within_its_price(trade: Trade) -> None:
    made = order(trade)
    fields = {"shop": trade.shop, "position": 0, "sku": "A", "variant_key": "A", "title": "A", "quantity": 2}
    made.lines.create(**fields, unit_amount=5, line_amount=10, discount_amount=10)
    with pytest.raises(IntegrityError, match="order_line_discount_within_it"):
        made.lines.create(**fields | {"id": uuid4(), "position": 1}, unit_amount=5, line_amount=10, discount_amount=11)

"""The tax on each line as Stripe charged it: kept with the order, given back with the line, to the last minor unit."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from checkout.settle import settle_session
from commerce.models import JournalLine, Order, OrderLine, Refund
from commerce.returns.claiming import LineReturned, line_worths
from commerce.returns.shares import line_taxes
from inventory.models import StockRow
from tenants.context import load_shop
from tenants.models import ShopSettings
from tests.commerce.returns.test_outcomes import ask
from tests.factories.commerce import ProductFactory, ShippingOptionFactory, VariantFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

UNTAXED = "txcd_00000000"


def another(trade: Trade, amount: int, **product: Any) -> Any:
    variant = VariantFactory(product=ProductFactory(shop=trade.shop, **product), price_amount=amount)
    StockRow.objects.create(owner_id=trade.shop.pk, sku=variant.sku, variant_key=variant.variant_key, on_hand=50)
    return variant


def taxed(trade: Trade, standin: StandIn, behavior: str) -> None:
    """19 % on whatever isn't said to be untaxed."""
    standin.call("options", {"taxRatePercent": 19})
    ShopSettings.objects.filter(shop=trade.shop).update(tax_mode="automatic", tax_behavior=behavior)


def bought(trade: Trade, standin: StandIn, buyer: Any, body: dict[str, Any] | None = None) -> Order:
    session_id = buyer.checkout(body).json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    return Order.objects.get(session_id=session_id)


def refunds() -> list[tuple[int, int]]:
    return list(Refund.objects.order_by("id").values_list("amount", "tax_amount"))


def test_lines_of_several_rates_give_back_their_own_tax(trade: Trade, standin: StandIn) -> None:
    taxed(trade, standin, "exclusive")
    option, buyer = ShippingOptionFactory(shop=trade.shop), trade.buyer_with_cart(3)
    buyer.add(another(trade, 999, tax_code=UNTAXED))
    order = bought(trade, standin, buyer, {"shippingOptionId": str(option.pk)})
    goods, free = order.lines.all()
    assert (goods.tax_amount, free.tax_amount, order.tax_amount) == (1425, 0, 1425 + 93), "93 are on shipping"
    assert order.total_amount == 7500 + 1425 + 999 + 490 + 93
    ask(order, "a", lines=(LineReturned(free.pk, 1),))
    ask(order, "b", lines=(LineReturned(goods.pk, 1),))
    ask(order, "c", lines=(LineReturned(goods.pk, 2),))
    assert refunds() == [(999, 0), (2975, 475), (5950, 950)]
    ask(order, "d")
    assert refunds()[-1] == (583, 93), "what is left: shipping and its tax"
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", order.total_amount)
    tax = JournalLine.objects.filter(account="tax_payable").values_list("amount", flat=True)
    assert sum(tax) == 0


def test_a_tax_inside_the_prices_is_given_back_from_inside(trade: Trade, standin: StandIn) -> None:
    taxed(trade, standin, "inclusive")
    buyer = trade.buyer_with_cart(2)
    buyer.add(another(trade, 999, tax_code=UNTAXED))
    order = bought(trade, standin, buyer)
    goods, free = order.lines.all()
    assert (goods.tax_amount, free.tax_amount, order.tax_amount, order.total_amount) == (798, 0, 798, 5999)
    ask(order, "a", lines=(LineReturned(free.pk, 1),))
    ask(order, "b", lines=(LineReturned(goods.pk, 1),))
    assert refunds() == [(999, 0), (2500, 399)]


def test_more_lines_than_a_session_shows_at_once(trade: Trade, standin: StandIn) -> None:
    taxed(trade, standin, "exclusive")
    buyer = trade.buyer_with_cart()
    for number in range(11):
        buyer.add(another(trade, 100 + number * 37, tax_code=UNTAXED if number % 2 else ""))
    order = bought(trade, standin, buyer)
    lines = list(order.lines.values_list("line_amount", "tax_amount"))
    assert len(lines) == 12 and sum(tax or 0 for _, tax in lines) == order.tax_amount
    assert [tax for amount, tax in lines if amount in {137, 100}] == [19, 0]


def test_lines_that_are_not_recognised_share_the_tax(trade: Trade, standin: StandIn) -> None:
    taxed(trade, standin, "exclusive")
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    OrderLine.objects.filter(order__attempt__session_id=session_id).update(title="Renamed by hand")
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    order = Order.objects.get()
    line = order.lines.get()
    assert (line.tax_amount, order.tax_amount) == (None, 475)
    ask(order, "a", lines=(LineReturned(line.pk, 1),))
    assert refunds() == [(2975, 475)]


def test_the_database_refuses_lines_with_more_tax_than_their_order(trade: Trade, standin: StandIn) -> None:
    taxed(trade, standin, "exclusive")
    order = bought(trade, standin, trade.buyer_with_cart())
    line = order.lines.get()
    for change in (
        lambda: OrderLine.objects.filter(pk=line.pk).update(tax_amount=476),
        lambda: OrderLine.objects.filter(pk=line.pk).update(tax_amount=2501),
        lambda: Order.objects.filter(pk=order.pk).update(tax_amount=474, subtotal_amount=2501),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    order.refresh_from_db()
    assert (order.tax_amount, order.lines.get().tax_amount) == (475, 475)


LINES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), min_size=1, max_size=8)


@given(LINES, st.integers(0, 5_000), st.integers(0, 999), st.booleans(), st.booleans())
def test_worths_shipping_and_deposit_come_to_the_total(
    lines: list[tuple[int, int]], shipping: int, shipping_tax: int, inclusive: bool, known: bool
) -> None:
    """Bases with their taxes, as paid: what each line is worth is exactly that, or its share of it."""
    taxes = [min(base, tax) for base, tax in lines]
    rows = [
        OrderLine(line_amount=base, tax_amount=tax if known else None)
        for (base, _), tax in zip(lines, taxes, strict=True)
    ]
    on_top = 0 if inclusive else sum(taxes) + shipping_tax
    order = Order(
        tax_amount=sum(taxes) + shipping_tax, tax_inclusive=inclusive, shipping_amount=shipping, deposit_amount=700,
        total_amount=sum(base for base, _ in lines) + on_top + shipping + 700,
    )  # fmt: skip
    worths = [line_worths(order, rows)[row.pk] for row in rows]
    assert all(0 <= worth.tax <= worth.paid for worth in worths)
    if known:
        assert [worth.tax for worth in worths] == taxes
        assert [worth.paid for worth in worths] == [
            base + (0 if inclusive else tax) for (base, _), tax in zip(lines, taxes, strict=True)
        ]
    elif any(base for base, _ in lines):
        assert (
            sum(line_taxes(order.tax_amount, [None] * len(rows), [row.line_amount for row in rows])) == order.tax_amount
        )

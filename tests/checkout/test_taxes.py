"""Taxes: none, the shop's own rates computed here and at Stripe alike, or Stripe's by address (K6)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.ledger import accounts
from commerce.models import JournalLine, Order, StripeTaxRate, TaxRate
from inventory.models import StockRow
from tenants.models import ShopSettings
from tests.checkout.test_hostile_input import UNTOUCHED
from tests.checkout.test_start import statements_of
from tests.factories.commerce import CouponFactory, ProductFactory, ShippingOptionFactory, VariantFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

LONG_AGO = date(2020, 1, 1)
ADDRESS = {"name": "Ada L", "line1": "Am Markt 1", "city": "Wien", "postalCode": "1010", "country": "AT"}
RATES = "/v1/tax_rates"


def put(trade: Trade, **settings: Any) -> None:
    ShopSettings.objects.filter(shop=trade.shop).update(**settings)


def own_rates(trade: Trade, **rates: str) -> None:
    """`DE="19", elsewhere="20 on top"`."""
    put(trade, tax_mode="static", tax_country="DE")
    for country, said in rates.items():
        percentage, _, on_top = said.partition(" ")
        TaxRate.objects.create(
            shop=trade.shop, country="" if country == "elsewhere" else country, name="VAT", inclusive=not on_top,
            percentage=Decimal(percentage), valid_from=LONG_AGO,
        )  # fmt: skip


def another(trade: Trade, amount: int) -> Any:
    variant = VariantFactory(product=ProductFactory(shop=trade.shop), price_amount=amount)
    StockRow.objects.create(owner_id=trade.shop.pk, sku=variant.sku, variant_key=variant.variant_key, on_hand=50)
    return variant


def paid(trade: Trade, standin: StandIn, buyer: Any, body: dict[str, Any] | None = None, **more: Any) -> Order:
    session_id = buyer.checkout(body).json()["sessionId"]
    standin.pay(session_id, **more)
    assert buyer.checkout(body).status_code == 200
    order: Order = Order.objects.get()
    assert order.status == "confirmed"
    assert sum(JournalLine.objects.filter(account=accounts.TAX).values_list("amount", flat=True)) == -order.tax_amount
    return order


@pytest.mark.parametrize(
    ("rate", "subtotal", "tax", "total"),
    [("19", 2101, 399, 2500), ("19 on top", 2500, 475, 2975), ("0", 2500, 0, 2500), ("7.7 on top", 2500, 193, 2693)],
)
def test_own_rates_are_known_before_the_payment_and_are_stripes(
    trade: Trade, standin: StandIn, rate: str, subtotal: int, tax: int, total: int
) -> None:
    own_rates(trade, DE=rate)
    buyer = trade.buyer_with_cart()
    answer = buyer.checkout()
    amounts = {"subtotal": subtotal, "discount": 0, "shipping": 0, "tax": tax, "deposit": 0, "total": total}
    assert (answer.status_code, answer.json()["amounts"]) == (201, amounts)
    session = standin.session(answer.json()["sessionId"])
    assert (session["amount_total"], session["total_details"]["amount_tax"]) == (total, tax)
    order = paid(trade, standin, buyer)
    assert (order.subtotal_amount, order.tax_amount, order.total_amount, order.amount_differs) == (
        subtotal, tax, total, False,
    )  # fmt: skip
    assert (order.tax_mode, order.tax_inclusive) == ("static", "on top" not in rate)
    assert trade.facts()["captured"] == total


@pytest.mark.parametrize("rate", ["19", "19 on top", "8.875 on top", "5.5"])
@pytest.mark.parametrize("coupon", [False, True])
def test_many_odd_lines_come_to_the_same_as_at_stripe(trade: Trade, standin: StandIn, rate: str, coupon: bool) -> None:
    own_rates(trade, DE=rate)
    buyer = trade.buyer_with_cart(3)
    for amount, quantity in ((333, 1), (1999, 2), (101, 7), (50, 1), (8, 9)):
        buyer.add(another(trade, amount), quantity)
    body: dict[str, Any] = {"email": "ada@example.test"}
    if coupon:
        CouponFactory(shop=trade.shop, code="ODD", kind="percent", basis_points=1375)
        body["couponCode"] = "ODD"
    answer = buyer.checkout(body).json()
    session = standin.session(answer["sessionId"])
    details = session["total_details"]
    assert (answer["amounts"]["total"], answer["amounts"]["tax"], answer["amounts"]["discount"]) == (
        session["amount_total"], details["amount_tax"], details["amount_discount"],
    )  # fmt: skip
    assert not paid(trade, standin, buyer, body).amount_differs


@pytest.mark.parametrize(("currency", "price", "tax"), [("JPY", 333, 63), ("ISK", 333, 63), ("KWD", 3330, 630)])
def test_currencies_without_cents_and_with_three_decimals(
    trade: Trade, standin: StandIn, currency: str, price: int, tax: int
) -> None:
    own_rates(trade, DE="19 on top")
    put(trade, currency=currency)
    trade.variant.currency, trade.variant.price_amount = currency, price
    trade.variant.save()
    buyer = trade.buyer_with_cart()
    answer = buyer.checkout().json()
    assert (answer["amounts"]["tax"], answer["amounts"]["total"]) == (tax, price + tax)
    assert not paid(trade, standin, buyer).amount_differs


def test_the_country_decides(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19", AT="20", elsewhere="0")
    option = ShippingOptionFactory(shop=trade.shop, countries=["AT", "CH", "DE", "FR"])
    body: dict[str, Any] = {"shippingOptionId": str(option.pk)}

    def asked(**more: Any) -> tuple[int, Any]:
        answer = trade.buyer_with_cart().checkout({**body, **more})
        params = CheckoutAttempt.objects.order_by("-created_at")[0].stripe_params
        return answer.json()["amounts"]["tax"], params.get("shipping_address_collection")

    # Without an address: home, and only where the tax is the same may an address be typed.
    assert asked() == (399, {"allowed_countries": ["DE"]})
    assert asked(shippingAddress=ADDRESS) == (417, None)
    assert asked(shippingAddress={**ADDRESS, "country": "FR"}) == (0, None)
    body["shippingOptionId"] = str(ShippingOptionFactory(shop=trade.shop, countries=["CH", "FR"]).pk)
    assert asked() == (0, {"allowed_countries": ["CH", "FR"]})


def test_a_rate_counts_from_its_day_and_a_newer_one_supersedes(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    tomorrow = timezone.localdate() + timedelta(days=2)
    made: dict[str, Any] = {"shop": trade.shop, "country": "DE", "name": "VAT", "inclusive": True}
    TaxRate.objects.create(**made, percentage=25, valid_from=tomorrow)
    TaxRate.objects.create(**made, percentage=50, valid_from=date(2024, 1, 1), active=False)
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    assert first["amounts"]["tax"] == 399
    TaxRate.objects.create(**made, percentage=7, valid_from=date(2024, 6, 1))
    second = buyer.checkout()
    assert (second.status_code, second.json()["amounts"]["tax"]) == (201, 164)
    assert standin.session(first["sessionId"])["status"] == "expired"


def test_one_object_per_rate_and_account_under_a_kept_key(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    for _ in range(3):
        assert trade.buyer_with_cart().checkout().status_code == 201
    sent = standin.requests(RATES)
    row = StripeTaxRate.objects.get()
    assert len(sent) == 1
    assert sent[0]["params"] == {
        "display_name": "VAT", "percentage": "19", "inclusive": "true", "country": "DE",
        "metadata": {"shop_id": "band", "tax_rate_id": str(row.rate_id)},
    }  # fmt: skip
    assert sent[0]["headers"]["Idempotency-Key"] == row.stripe_key
    assert (row.stripe_account, row.stripe_id) == ("acct_standin", sent[0]["answer"]["id"])
    lines = CheckoutAttempt.objects.first().stripe_params["line_items"]  # type: ignore[union-attr]
    assert [line["tax_rates"] for line in lines] == [[row.stripe_id]]


def test_a_lost_answer_leads_to_the_same_object(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    buyer = trade.buyer_with_cart()
    standin.fault(path=RATES, kind="drop_after")
    lost = buyer.checkout()
    assert (lost.status_code, lost.json()["code"], trade.facts()) == (503, "payment_unknown", UNTOUCHED)
    assert buyer.checkout().status_code == 201
    first, second = standin.requests(RATES)
    assert first["headers"]["Idempotency-Key"] == second["headers"]["Idempotency-Key"]
    assert second["replayed"]


def test_a_refused_rate_holds_nothing_and_gets_a_new_key(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    buyer = trade.buyer_with_cart()
    standin.fault(path=RATES, kind="status", status=403, when="before")
    refused = buyer.checkout()
    assert (refused.status_code, refused.json()["code"], trade.facts()) == (502, "payment_rejected", UNTOUCHED)
    assert buyer.checkout().status_code == 201
    first, second = standin.requests(RATES)
    assert first["headers"]["Idempotency-Key"] != second["headers"]["Idempotency-Key"]


def test_a_key_that_stripe_may_have_forgotten_is_not_sent_again(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    buyer = trade.buyer_with_cart()
    standin.fault(path=RATES, kind="drop_before")
    assert buyer.checkout().status_code == 503
    old = StripeTaxRate.objects.get().stripe_key
    StripeTaxRate.objects.update(keyed_at=timezone.now() - timedelta(hours=23, minutes=1))
    assert buyer.checkout().status_code == 201
    assert StripeTaxRate.objects.get().stripe_key != old


def test_another_shops_rates_are_nothing_to_this_one(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    own_rates(other_trade, DE="19 on top")
    own_rates(trade)
    assert trade.buyer_with_cart().checkout().json()["amounts"]["tax"] == 0
    assert standin.requests(RATES) == []


def test_own_rates_cost_two_statements(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    assert trade.buyer_with_cart().checkout().status_code == 201
    buyer = trade.buyer_with_cart()
    with CaptureQueriesContext(connection) as first:
        assert buyer.checkout().status_code == 201
    assert len(statements_of(first)) == 16


# ---------------------------------------------------------------- Stripe's
@pytest.fixture
def taxed(trade: Trade, standin: StandIn) -> Trade:
    standin.call("options", {"taxRatePercent": 19})
    put(trade, tax_mode="automatic", tax_code="txcd_99999999")
    return trade


@pytest.mark.parametrize(("behavior", "subtotal", "total"), [("inclusive", 2101, 2500), ("exclusive", 2500, 2975)])
def test_stripes_tax_is_unknown_first_and_wins_then(
    taxed: Trade, standin: StandIn, behavior: str, subtotal: int, total: int
) -> None:
    put(taxed, tax_behavior=behavior)
    buyer = taxed.buyer_with_cart()
    answer = buyer.checkout().json()
    assert answer["amounts"] == {
        "subtotal": 2500, "discount": 0, "shipping": 0, "tax": 0, "deposit": 0, "total": 2500,
    }  # fmt: skip
    params = CheckoutAttempt.objects.get().stripe_params
    assert params["automatic_tax"] == {"enabled": True}
    price = params["line_items"][0]["price_data"]
    assert (price["tax_behavior"], price["product_data"]["tax_code"]) == (behavior, "txcd_99999999")
    order = paid(taxed, standin, buyer)
    tax = total - subtotal
    assert (order.subtotal_amount, order.tax_amount, order.total_amount, order.expected_total_amount) == (
        subtotal, tax, total, 2500,
    )  # fmt: skip
    assert (order.amount_differs, order.tax_mode) == (False, "automatic")


def test_what_stripes_tax_does_not_explain_is_flagged(taxed: Trade, standin: StandIn) -> None:
    put(taxed, tax_behavior="exclusive")
    buyer = taxed.buyer_with_cart()
    buyer.checkout()
    Order.objects.update(subtotal_amount=2400, total_amount=2400, expected_total_amount=2400)
    order = paid(taxed, standin, buyer)
    assert (order.amount_differs, order.total_amount, order.tax_amount) == (True, 2975, 475)


def test_a_tax_that_nobody_asked_for_is_flagged(trade: Trade, standin: StandIn) -> None:
    own_rates(trade, DE="19")
    buyer = trade.buyer_with_cart()
    buyer.checkout()
    # The same total with another part of it as tax: as if the rate had been changed at Stripe.
    Order.objects.update(subtotal_amount=2000, tax_amount=500)
    assert paid(trade, standin, buyer).amount_differs


def test_a_products_own_code_and_shipping_are_taxed(taxed: Trade, standin: StandIn) -> None:
    put(taxed, tax_behavior="exclusive")
    taxed.variant.product.tax_code = "txcd_00000000"
    taxed.variant.product.save()
    option = ShippingOptionFactory(shop=taxed.shop)
    body = {"shippingOptionId": str(option.pk)}
    buyer = taxed.buyer_with_cart()
    order = paid(taxed, standin, buyer, body)
    params = CheckoutAttempt.objects.get().stripe_params
    assert params["line_items"][0]["price_data"]["product_data"]["tax_code"] == "txcd_00000000"
    rate = params["shipping_options"][0]["shipping_rate_data"]
    assert (rate["tax_behavior"], rate["tax_code"]) == ("exclusive", "txcd_92010001")
    assert (order.shipping_amount, order.tax_amount, order.total_amount, order.amount_differs) == (
        490, 93, 2500 + 490 + 93, False,
    )  # fmt: skip


def test_stripe_asks_for_the_address_that_it_taxes(taxed: Trade, standin: StandIn) -> None:
    """An address that we have is no address to Stripe's tax: it is asked for again, in the same country."""
    option = ShippingOptionFactory(shop=taxed.shop)
    taxed.buyer_with_cart().checkout({"shippingOptionId": str(option.pk), "shippingAddress": ADDRESS})
    params = CheckoutAttempt.objects.get().stripe_params
    assert params["shipping_address_collection"] == {"allowed_countries": ["AT"]}
    assert "shipping" not in params["payment_intent_data"]


def test_a_shop_that_begins_to_tax_supersedes_what_is_open(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    before = buyer.checkout().json()["sessionId"]
    put(trade, tax_mode="automatic")
    assert buyer.checkout().status_code == 201
    assert standin.session(before)["status"] == "expired"


# ---------------------------------------------------------------- rows
@pytest.mark.parametrize(
    "wrong",
    [{"percentage": -1}, {"percentage": 101}, {"country": "de"}, {"country": "D"}, {"country": "XYZ"[:2] + "1"}],
)
def test_a_rate_that_is_none_is_not_kept(trade: Trade, wrong: dict[str, Any]) -> None:
    rate = {"shop": trade.shop, "country": "DE", "name": "VAT", "percentage": 19, "valid_from": LONG_AGO}
    with pytest.raises(Exception, match=r"tax_rate_|too long"), transaction.atomic():
        TaxRate.objects.create(**{**rate, **wrong})
    TaxRate.objects.create(**rate)
    with pytest.raises(IntegrityError, match="tax_rate_one_per_day"), transaction.atomic():
        TaxRate.objects.create(**rate)
    TaxRate.objects.create(**rate, active=False)


def test_own_rates_need_a_home(trade: Trade) -> None:
    with pytest.raises(IntegrityError, match="shop_tax_country_known"):
        put(trade, tax_mode="static")

"""Whatever a browser says, Stripe is sent the catalog's amounts, to the minor unit, in every currency it charges."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout.models import CheckoutAttempt
from commerce.currencies import CURRENCIES
from commerce.models import Order, ShippingOption, Variant
from commerce.money import from_stripe_amount, is_chargeable, maximum_charge, minimum_charge, stripe_amount
from inventory.models import Hold, StockRow
from tests.checkout.test_hostile_input import UNTOUCHED
from tests.factories.commerce import ShippingOptionFactory
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade, Trade
from tests.stripe_standin import money as stripes

CHARGED = sorted(code for code in CURRENCIES if code.lower() in stripes.SUPPORTED)
SESSIONS = "/v1/checkout/sessions"
ANYTHING = st.one_of(st.none(), st.integers(-5, 10**12), st.text(max_size=5), st.booleans(), st.just([]))
LIES = st.fixed_dictionaries(
    {},
    optional={
        "expectedAmount": st.integers(0, 10**12),
        "expectedLines": st.lists(
            st.fixed_dictionaries({"sku": st.sampled_from(["BAND", "NOPE"]), "unitAmount": st.integers(0, 10**9)}),
            max_size=3,
        ),
        "amount": ANYTHING, "total": ANYTHING, "currency": ANYTHING, "shipping": ANYTHING, "discount": ANYTHING,
        "unitAmount": ANYTHING, "shippingAmount": ANYTHING, "line_items": ANYTHING, "shop": ANYTHING,
    },
)  # fmt: skip
KNOWN = {"expectedAmount", "expectedLines"}


def price_in(trade: Trade, currency: str, price: int, shipping: int | None) -> ShippingOption | None:
    """The shop sells its article at `price` in `currency` from now on, and ships for `shipping`."""
    trade.shop.settings.currency = currency
    trade.shop.settings.save()
    Variant.objects.update(currency=currency, price_amount=price)
    ShippingOption.objects.all().delete()
    if shipping is None:
        return None
    option: ShippingOption = ShippingOptionFactory(shop=trade.shop, currency=currency, amount=shipping)
    return option


def ask(
    trade: Trade, quantity: int, option: ShippingOption | None, lies: dict[str, Any], in_line: dict[str, Any]
) -> Any:
    line = {"sku": "BAND", "quantity": quantity, "variantAttributes": {"size": "M"}, **in_line}
    body = {"items": [line], **lies}
    if option is not None:
        body["shippingOptionId"] = str(option.pk)
    return trade.buyer().checkout(body, Idempotency_Key=uuid4().hex)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    currency=st.sampled_from(CHARGED),
    units=st.integers(0, 10**6),
    quantity=st.integers(1, 9),
    shipping=st.one_of(st.none(), st.integers(0, 9999)),
    lies=LIES,
    in_line=st.one_of(st.just({}), st.fixed_dictionaries({"unitAmount": ANYTHING})),
)
def test_the_amounts_sent_are_the_catalogs(
    trade: Trade,
    standin: StandIn,
    currency: str,
    units: int,
    quantity: int,
    shipping: int | None,
    lies: dict[str, Any],
    in_line: dict[str, Any],
) -> None:
    StockRow.objects.update(on_hand=10_000)
    rule = CURRENCIES[currency]
    price, ways = units * rule.step, None if shipping is None else shipping * rule.step
    option = price_in(trade, currency, price, ways)
    total = price * quantity + (ways or 0)
    before = len(standin.requests(SESSIONS))
    answer = ask(trade, quantity, option, lies, in_line)
    sent = standin.requests(SESSIONS)[before:]
    if in_line or set(lies) - KNOWN:
        assert (answer.status_code, answer.json()["code"], sent) == (400, "invalid_request", [])
        return
    if total and not is_chargeable(total, currency):
        code = "amount_too_small" if total < minimum_charge(currency) else "invalid_request"
        assert (answer.status_code, answer.json()["code"], answer.json()["currency"], sent) == (
            400, code, currency, [],
        )  # fmt: skip
        return
    assert answer.status_code == 201, answer.json()
    assert len(sent) == 1
    attempt = CheckoutAttempt.objects.get(session_id=answer.json()["sessionId"])
    [item] = attempt.stripe_params["line_items"]
    data = item["price_data"]
    assert (data["unit_amount"], data["currency"], item["quantity"]) == (
        stripe_amount(price, currency), currency.lower(), quantity,
    )  # fmt: skip
    session = standin.session(answer.json()["sessionId"])
    assert from_stripe_amount(session["amount_total"], currency) == total == answer.json()["amounts"]["total"]
    assert from_stripe_amount(session["total_details"]["amount_shipping"], currency) == (ways or 0)
    assert (session["currency"], attempt.order.total_amount) == (currency.lower(), total)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    currency=st.sampled_from(CHARGED),
    units=st.integers(0, 10**4),
    week=st.none() | st.integers(0, 10**5),
    deposit=st.integers(0, 10**5),
    quantity=st.integers(1, 9),
    days=st.integers(1, 40),
    lies=LIES,
    in_line=st.one_of(
        st.just({}), st.fixed_dictionaries({}, optional={"unitAmount": ANYTHING, "deposit": ANYTHING, "days": ANYTHING})
    ),
)
def test_a_rentals_amounts_are_the_catalogs_too(
    rental_trade: RentalTrade,
    standin: StandIn,
    currency: str,
    units: int,
    week: int | None,
    deposit: int,
    quantity: int,
    days: int,
    lies: dict[str, Any],
    in_line: dict[str, Any],
) -> None:
    StockRow.objects.update(on_hand=10_000)
    step = CURRENCIES[currency].step
    price_in(rental_trade, currency, units * step, None)
    weekly = None if week is None else week * step
    Variant.objects.update(week_amount=weekly, deposit_amount=deposit * step)
    start = monday()
    # Weeks as long as they are worth it, as no other rate is there: spelled out, not asked of the code under test.
    rent = min(
        (weekly or 0) * weeks + units * step * max(0, days - 7 * weeks)
        for weeks in range(1 if weekly is None else days // 7 + 2)
    )
    total = (rent + deposit * step) * quantity
    before = len(standin.requests(SESSIONS))
    body = {"items": [rental_trade.line(days_from(start, days), quantity, **in_line)], **lies}
    answer = rental_trade.buyer().checkout(body, Idempotency_Key=uuid4().hex)
    sent = standin.requests(SESSIONS)[before:]
    if in_line or set(lies) - KNOWN:
        assert (answer.status_code, answer.json()["code"], sent) == (400, "invalid_request", [])
        return
    if total and not is_chargeable(total, currency):
        code = "amount_too_small" if total < minimum_charge(currency) else "invalid_request"
        assert (answer.status_code, answer.json()["code"], sent) == (400, code, [])
        return
    assert answer.status_code == 201, answer.json()
    attempt = CheckoutAttempt.objects.get(session_id=answer.json()["sessionId"])
    items = [(i["price_data"]["unit_amount"], i["quantity"]) for i in attempt.stripe_params["line_items"]]
    deposits = [(stripe_amount(deposit * step, currency), quantity)] if deposit else []
    assert items == [(stripe_amount(rent, currency), quantity), *deposits]
    amounts = answer.json()["amounts"]
    assert (amounts["subtotal"], amounts["deposit"], amounts["total"]) == (
        rent * quantity, deposit * step * quantity, total,
    )  # fmt: skip
    session = standin.session(answer.json()["sessionId"])
    assert from_stripe_amount(session["amount_total"], currency) == total
    assert session["metadata"]["depositTotal"] == str(deposit * step * quantity)


@pytest.mark.parametrize("currency", CHARGED)
def test_limits_of_every_currency_are_stripes(currency: str) -> None:
    """Against the stand-in's own table, which shares no code with ours."""
    least, most = minimum_charge(currency), maximum_charge(currency)
    step = CURRENCIES[currency].step
    assert stripe_amount(least, currency) >= stripes.minimum(currency.lower())
    assert len(str(stripe_amount(most, currency))) <= stripes.max_digits(currency.lower())
    assert (is_chargeable(most, currency), is_chargeable(most + step, currency)) == (True, False)
    assert not is_chargeable(least - step, currency) or least == step


@pytest.mark.parametrize(
    ("currency", "price", "quantity", "code", "member"),
    [
        ("EUR", 49, 1, "amount_too_small", {"minimum": 50}),
        ("EUR", 50, 1, "", {}),
        ("JPY", 49, 1, "amount_too_small", {"minimum": 50}),
        ("HUF", 17_499, 1, "amount_too_small", {"minimum": 17_500}),
        ("EUR", 99_999_999, 1, "", {}),
        ("EUR", 50_000_000, 2, "invalid_request", {"maximum": 99_999_999}),
        ("EUR", 10**15, 9, "invalid_request", {"maximum": 99_999_999}),
        ("ISK", 1_000_000, 1, "invalid_request", {"maximum": 999_999}),
        ("KWD", 99_999_990, 1, "", {}),
        ("KWD", 50_000_000, 2, "invalid_request", {"maximum": 99_999_990}),
        ("INR", 999_999_999, 1, "", {}),
    ],
)
def test_what_stripe_would_refuse_is_refused_before(
    trade: Trade, standin: StandIn, currency: str, price: int, quantity: int, code: str, member: dict[str, int]
) -> None:
    price_in(trade, currency, price, None)
    answer = ask(trade, quantity, None, {}, {})
    if not code:
        assert answer.status_code == 201, answer.json()
        return
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["currency"]) == (400, code, currency)
    assert {name: problem[name] for name in member} == member
    assert trade.facts() == UNTOUCHED
    assert (standin.requests("/v1/"), Order.objects.count(), Hold.objects.count()) == ([], 0, 0)


def test_shipping_counts_towards_the_minimum(trade: Trade, standin: StandIn) -> None:
    option = price_in(trade, "EUR", 30, 20)
    assert ask(trade, 1, option, {}, {}).status_code == 201
    option = price_in(trade, "EUR", 30, 19)
    assert ask(trade, 1, option, {}, {}).json()["minimum"] == 50

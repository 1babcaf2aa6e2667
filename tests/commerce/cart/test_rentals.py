"""`/api/cart` in a shop that rents out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine

from commerce.models import Cart, CartLine, Product, Variant
from tenants.models import ShopSettings
from tests.commerce.cart.requests import send
from tests.commerce.conftest import visitor
from tests.fixtures.periods import days_from, monday

MONDAY = monday()


def test_a_rental_line_costs_its_days_and_shows_its_deposit(rental):
    period = days_from(MONDAY, 3)
    cart = send(visitor(rental), "post", {"sku": "CAPE", "quantity": 2, "rental": period}).json()
    [line] = cart["lines"]
    assert line["rental"] == {
        **period, "days": 3, "rates": [{"rate": "day", "times": 3, "amount": 3500}], "problem": None,
    }  # fmt: skip
    assert (line["unitAmount"], line["depositAmount"], line["lineAmount"]) == (10500, 15000, 21000)
    assert (cart["currency"], cart["subtotalAmount"], cart["depositAmount"]) == ("USD", 21000, 30000)


def test_the_best_rates_make_the_price(rental):
    Variant.objects.update(week_amount=15000)
    cart = send(visitor(rental), "post", {"sku": "CAPE", "quantity": 2, "rental": days_from(MONDAY, 8)}).json()
    [line] = cart["lines"]
    assert line["rental"]["rates"] == [
        {"rate": "week", "times": 1, "amount": 15000},
        {"rate": "day", "times": 1, "amount": 3500},
    ]
    assert (line["unitAmount"], cart["subtotalAmount"]) == (18500, 37000)


@pytest.mark.parametrize(
    "rental_input",
    [
        None, {}, {"start": MONDAY.isoformat()}, {"start": "2027-02-30", "end": "2027-03-01"},
        {"start": "x", "end": "y"},
        {"start": (MONDAY + timedelta(days=2)).isoformat(), "end": MONDAY.isoformat()},
        {"start": MONDAY.isoformat(), "end": (MONDAY + timedelta(days=366)).isoformat()},
        {"start": f"{MONDAY}T00:00:00Z", "end": MONDAY.isoformat()}, {"start": 20270301, "end": 20270302},
        {**days_from(MONDAY, 1), "days": 1}, MONDAY.isoformat(),
        days_from(date(2020, 1, 1), 3), days_from(MONDAY + timedelta(days=800), 2), days_from(date(9999, 12, 30), 2),
        {"start": "0001-01-01", "end": "9999-12-31"},
    ],
)  # fmt: skip
def test_bad_periods(rental, rental_input):
    body = {"sku": "CAPE", "quantity": 1, "rental": rental_input}
    answer = send(visitor(rental), "post", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert all(path.startswith("rental") for path in answer.json()["fields"])
    assert not Cart.objects.exists()


def test_the_field_names_the_line(rental):
    lines = [
        {"sku": "CAPE", "quantity": 1, "rental": days_from(MONDAY, 2)},
        {"sku": "CAPE", "quantity": 1, "rental": days_from(date(2020, 1, 1), 2)},
    ]
    answer = send(visitor(rental), "put", {"lines": lines})
    assert (answer.status_code, answer.json()["fields"]) == (
        400, {"lines[1].rental": ["The pick-up day is over."]},
    )  # fmt: skip


def test_the_longest_period_and_the_shortest(rental):
    client = visitor(rental)
    for days in (366, 1):
        line = {"sku": "CAPE", "quantity": 1, "rental": days_from(MONDAY, days)}
        cart = send(client, "put", {"lines": [line]}).json()
        assert cart["lines"][0]["rental"]["days"] == days


def test_terms_of_the_shop_and_of_the_product(rental):
    ShopSettings.objects.filter(shop=rental).update(rental_min_days=2, rental_max_days=4)
    line = {"sku": "CAPE", "quantity": 1}
    asked = {days: send(visitor(rental), "post", {**line, "rental": days_from(MONDAY, days)}) for days in (1, 2, 4, 5)}
    assert {days: answer.status_code for days, answer in asked.items()} == {1: 400, 2: 200, 4: 200, 5: 400}
    assert asked[1].json()["fields"] == {"rental": ["A rental lasts at least 2 days."]}
    Product.objects.update(rental_min_days=1, rental_max_days=1)
    assert send(visitor(rental), "post", {**line, "rental": days_from(MONDAY, 1)}).status_code == 200
    assert send(visitor(rental), "post", {**line, "rental": days_from(MONDAY, 2)}).status_code == 400


def test_a_period_that_has_passed_stays_in_the_cart_and_costs_nothing(rental):
    client = visitor(rental)
    send(client, "post", {"sku": "CAPE", "quantity": 1, "rental": days_from(MONDAY, 2)})
    with time_machine.travel(f"{MONDAY + timedelta(days=2)}T12:00:00Z", tick=False):
        cart = client.get("/api/cart").json()
    [line] = cart["lines"]
    assert (line["purchasable"], line["unitAmount"], line["rental"]["problem"]) == (False, None, "past")
    assert (cart["subtotalAmount"], cart["depositAmount"]) == (0, 0)


def test_a_line_of_the_other_kind_is_not_purchasable(rental, settings):
    settings.CART_STORAGE = "postgres"  # where a test can reach in
    client = visitor(rental)
    send(client, "post", {"sku": "CAPE", "quantity": 1, "rental": days_from(MONDAY, 2)})
    CartLine.objects.update(rental_start=None, rental_end=None)
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["purchasable"], line["unitAmount"]) == (False, None)

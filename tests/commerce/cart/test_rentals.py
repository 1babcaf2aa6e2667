"""`/api/cart` in a shop that rents out."""

from __future__ import annotations

import pytest

from commerce.models import Cart, CartLine
from tests.commerce.cart.requests import send
from tests.commerce.conftest import visitor


def test_a_rental_line_costs_its_days_and_shows_its_deposit(rental):
    period = {"start": "2027-03-01", "end": "2027-03-03"}
    cart = send(visitor(rental), "post", {"sku": "CAPE", "quantity": 2, "rental": period}).json()
    [line] = cart["lines"]
    assert line["rental"] == {**period, "days": 3}
    assert (line["unitAmount"], line["depositAmount"], line["lineAmount"]) == (10500, 15000, 21000)
    assert (cart["currency"], cart["subtotalAmount"], cart["depositAmount"]) == ("USD", 21000, 30000)


@pytest.mark.parametrize(
    "rental_input",
    [
        None, {}, {"start": "2027-03-01"}, {"start": "2027-03-03", "end": "2027-03-01"}, {"start": "x", "end": "y"},
        {"start": "2027-01-01", "end": "2028-01-02"}, {"start": "2027-02-30", "end": "2027-03-01"},
        {"start": "2027-03-01T00:00:00Z", "end": "2027-03-02"}, {"start": 20270301, "end": 20270302},
        {"start": "2027-03-01", "end": "2027-03-01", "days": 1}, "2027-03-01",
    ],
)  # fmt: skip
def test_bad_periods(rental, rental_input):
    body = {"sku": "CAPE", "quantity": 1, "rental": rental_input}
    answer = send(visitor(rental), "post", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert all(path.startswith("rental") for path in answer.json()["fields"])
    assert not Cart.objects.exists()


def test_the_longest_period_and_the_shortest(rental):
    client = visitor(rental)
    for period, days in (
        ({"start": "2027-01-01", "end": "2028-01-01"}, 366),
        ({"start": "2027-01-01", "end": "2027-01-01"}, 1),
    ):
        cart = send(client, "put", {"lines": [{"sku": "CAPE", "quantity": 1, "rental": period}]}).json()
        assert cart["lines"][0]["rental"]["days"] == days


def test_a_line_of_the_other_kind_is_not_purchasable(rental, settings):
    settings.CART_STORAGE = "postgres"  # where a test can reach in
    client = visitor(rental)
    send(client, "post", {"sku": "CAPE", "quantity": 1, "rental": {"start": "2027-03-01", "end": "2027-03-02"}})
    CartLine.objects.update(rental_start=None, rental_end=None)
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["purchasable"], line["unitAmount"]) == (False, None)

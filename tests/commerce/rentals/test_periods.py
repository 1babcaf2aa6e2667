"""Which days may be rented: the terms' edges, and whose today it is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine

from commerce.rentals.periods import ProductTerms, period_problem
from tenants.policy import RentalTerms
from tests.commerce.cart.requests import send
from tests.commerce.conftest import visitor
from tests.factories.commerce import VariantFactory

TODAY = date(2027, 3, 10)
SHOP = RentalTerms(min_days=2, max_days=5, lead_days=1, horizon_days=30)


@pytest.mark.parametrize(
    ("ahead", "days", "code"),
    [
        (-1, 3, "past"), (0, 3, "too_soon"), (1, 3, ""), (30, 3, ""), (31, 3, "too_far"),
        (1, 1, "too_short"), (1, 2, ""), (1, 5, ""), (1, 6, "too_long"), (1, 0, "reversed"),
    ],
)  # fmt: skip
def test_the_edges_of_the_terms(ahead: int, days: int, code: str) -> None:
    start = TODAY + timedelta(days=ahead)
    problem = period_problem(start=start, end=start + timedelta(days=days - 1), terms=SHOP, today=TODAY)
    assert (problem.code if problem else "") == code


def test_a_product_decides_for_itself_where_it_does() -> None:
    assert ProductTerms(min_days=1, lead_days=0).within(SHOP) == RentalTerms(1, 5, 0, 30)
    assert ProductTerms().within(SHOP) == SHOP


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Pacific/Kiritimati", "2027-03-09T11:00:00Z", "2027-03-10"),
        ("Pacific/Pago_Pago", "2027-03-10T10:59:59Z", "2027-03-09"),
        ("Pacific/Pago_Pago", "2027-03-10T11:00:00Z", "2027-03-10"),
        # In the night in which New York's clocks spring forward: midnight is the old time's.
        ("America/New_York", "2027-03-14T04:59:59Z", "2027-03-13"),
        ("America/New_York", "2027-03-14T05:00:00Z", "2027-03-14"),
        # And fall back: this day has 25 hours, and it is still this day in the last of them.
        ("America/New_York", "2027-11-08T04:59:59Z", "2027-11-07"),
    ],
)
def test_today_is_the_shops(open_shop, stock, zone: str, now: str, today: str) -> None:
    shop = open_shop(settings__kind="rental", settings__time_zone=zone)
    stock(VariantFactory(product__shop=shop, product__sku="CAPE"))
    day = date.fromisoformat(today)
    with time_machine.travel(now, tick=False):
        for start, status in ((day, 200), (day - timedelta(days=1), 400)):
            period = {"start": start.isoformat(), "end": day.isoformat()}
            answer = send(visitor(shop), "post", {"sku": "CAPE", "quantity": 1, "rental": period})
            assert answer.status_code == status, answer.json()

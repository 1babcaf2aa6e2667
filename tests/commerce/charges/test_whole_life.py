"""A rental's whole life over HTTP, deposits both ways: booked, paid, handed out, back late, fee, deposit back; and the
journal ties out with Stripe's books.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from commerce.models import Order, Rental
from commerce.tasks import charge_late_fees_of_shop, hold_deposits_of_shop, release_deposits_of_shop
from tenants.models import Host, ShopSettings
from tests.commerce.backoffice import desk, text
from tests.commerce.charges.rented import charges_of, policy, tell_all, ties_out
from tests.commerce.rentals.counter import Counter, noon
from tests.fixtures.payments import balances, refunds_of
from tests.fixtures.periods import monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade


@pytest.fixture
def counter(rental_trade: RentalTrade, standin: StandIn) -> Counter:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    return Counter(rental_trade, standin, monday())


def at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=True)


def jobs() -> None:
    for task in (hold_deposits_of_shop, charge_late_fees_of_shop, release_deposits_of_shop):
        task(shop_id="band")


def lived(counter: Counter, order: Order, *, late: int, closes: bool) -> None:
    """Out on its first day, back so many days late, looked at; jobs run every day, or the counter closes it."""
    rental = Rental.objects.get(order=order)
    with at(noon(rental.starts_on) - timedelta(days=1)):
        jobs()
    with at(noon(rental.starts_on)):
        assert counter.do(order, "hand_out").status_code == 200
        jobs()
    with at(noon(rental.ends_on) + timedelta(days=late)):
        assert counter.do(order, "return").status_code == 200
        assert counter.do(order, "inspect").status_code == 200
        if closes:
            assert counter.do(order, "close").status_code == 200
    with at(noon(rental.ends_on) + timedelta(days=late, hours=2)):
        jobs()
        jobs()


@pytest.mark.parametrize("closes", [False, True])
def test_with_a_deposit_that_is_charged(counter: Counter, standin: StandIn, closes: bool) -> None:
    policy()
    ShopSettings.objects.update(saves_card=True)
    order = counter.book(days=2, quantity=2)
    lived(counter, order, late=3, closes=closes)
    assert refunds_of(order) == [("succeeded", 15_000, 15_000)]
    assert charges_of(order) == []
    found = balances("band")
    assert (found["deposits_kept"], "deposits_held" in found, found["revenue"]) == (-3000, False, -10_000)
    tell_all(standin)
    ties_out(standin)
    call_command("tie_out", "--shop", "band")


@pytest.mark.parametrize("closes", [False, True])
def test_with_a_deposit_that_is_authorised(counter: Counter, standin: StandIn, closes: bool) -> None:
    policy()
    ShopSettings.objects.update(deposit_mode="authorised")
    order = counter.book(days=2, quantity=2)
    lived(counter, order, late=1, closes=closes)
    assert (refunds_of(order), charges_of(order)) == ([], [("deposit_hold", "succeeded", 18_000, 1000)])
    found = balances("band")
    assert (found["deposits_kept"], "deposits_held" in found, found["revenue"]) == (-1000, False, -10_000)
    page = text(desk().page(Rental.objects.get()))
    assert "Deposit, on the card €180.00 were held, of which €10.00 were taken" in page
    assert "Late fee €10.00 : €10.00 off what is held. Came back late: 1 day that count" in page
    tell_all(standin)
    ties_out(standin)
    call_command("tie_out", "--shop", "band")


def test_in_time_everything_goes_back(counter: Counter, standin: StandIn) -> None:
    policy()
    ShopSettings.objects.update(deposit_mode="authorised")
    order = counter.book(days=2)
    before = balances("band")
    lived(counter, order, late=0, closes=True)
    assert (charges_of(order), balances("band")) == ([("deposit_hold", "canceled", 9000, 0)], before)
    tell_all(standin)
    ties_out(standin)

"""The best-rate rule, against a slow and obvious twin, and in the properties that customers would notice."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce.rentals.pricing import AppliedRate, RentalRates, rental_days, rental_price

MONDAY = date(2027, 3, 1)
FRIDAY = MONDAY + timedelta(days=4)
AMOUNTS = st.integers(0, 10**9)
MAYBE = st.none() | AMOUNTS
RATES = st.builds(RentalRates, day=AMOUNTS, weekend=MAYBE, week=MAYBE, month=MAYBE)
DAYS = st.dates(date(2026, 1, 1), date(2030, 12, 31))
CAPE = RentalRates(day=3500, weekend=8000, week=15000, month=40000)


def price(rates: RentalRates, start: date, days: int) -> int:
    return rental_price(rates, start=start, end=start + timedelta(days=days - 1)).amount


@pytest.mark.parametrize(
    ("start", "days", "amount", "applied"),
    [
        (MONDAY, 1, 3500, [("day", 1, 3500)]),
        (MONDAY, 4, 14000, [("day", 4, 3500)]),
        (MONDAY, 5, 15000, [("week", 1, 15000)]),  # a week is less than five days
        (MONDAY, 7, 15000, [("week", 1, 15000)]),
        (MONDAY, 8, 18500, [("week", 1, 15000), ("day", 1, 3500)]),
        (FRIDAY, 2, 7000, [("day", 2, 3500)]),
        (FRIDAY, 3, 8000, [("weekend", 1, 8000)]),
        (FRIDAY, 4, 11500, [("weekend", 1, 8000), ("day", 1, 3500)]),
        (FRIDAY - timedelta(days=1), 4, 11500, [("weekend", 1, 8000), ("day", 1, 3500)]),
        (MONDAY, 20, 40000, [("month", 1, 40000)]),
        (MONDAY, 31, 43500, [("month", 1, 40000), ("day", 1, 3500)]),
        (MONDAY, 366, 495000, [("month", 12, 40000), ("week", 1, 15000)]),
    ],
)
def test_the_best_of_the_rates(start: date, days: int, amount: int, applied: list[tuple[str, int, int]]) -> None:
    found = rental_price(CAPE, start=start, end=start + timedelta(days=days - 1))
    assert (found.amount, found.days) == (amount, days)
    assert [(used.rate, used.times, used.amount) for used in found.applied] == applied


@pytest.mark.parametrize(("weekday", "covered"), [(4, 3), (5, 2), (6, 1), (0, 0), (3, 0)])
def test_a_weekend_begins_on_its_own_days_and_ends_on_sunday(weekday: int, covered: int) -> None:
    rates = RentalRates(day=1000, weekend=1)
    start = MONDAY + timedelta(days=weekday)
    assert price(rates, start, max(covered, 1)) == (1 if covered else 1000)
    assert price(rates, start, covered + 1) == (1001 if covered else 1000)


def test_without_rates_each_day_costs_the_same_across_a_change_of_clocks() -> None:
    """28 March 2027 has 23 hours in Berlin, 31 October 25: both are days."""
    for around in (date(2027, 3, 28), date(2027, 10, 31)):
        start, end = around - timedelta(days=1), around + timedelta(days=1)
        assert rental_price(RentalRates(day=900), start=start, end=end).applied == (AppliedRate("day", 3, 900),)


def test_equal_prices_are_told_by_the_longest_rate() -> None:
    assert rental_price(RentalRates(day=1, week=7), start=MONDAY, end=MONDAY + timedelta(days=6)).applied == (
        AppliedRate("week", 1, 7),
    )


def test_a_reversed_period_has_no_price() -> None:
    with pytest.raises(ValueError, match="on or after"):
        rental_price(CAPE, start=FRIDAY, end=MONDAY)


def slow_price(rates: RentalRates, start: date, days: int) -> int:
    """Every way of covering the days, tried."""

    @cache
    def rest(day: int) -> int:
        if day >= days:
            return 0
        weekday = (start + timedelta(days=day)).isoweekday()
        ways = [rates.day + rest(day + 1)]
        if rates.weekend is not None and weekday >= 5:
            ways.append(rates.weekend + rest(day + 8 - weekday))
        if rates.week is not None:
            ways.append(rates.week + rest(day + 7))
        if rates.month is not None:
            ways.append(rates.month + rest(day + 30))
        return min(ways)

    return rest(0)


@given(rates=RATES, start=DAYS, days=st.integers(1, 120))
def test_as_the_slow_twin_says(rates: RentalRates, start: date, days: int) -> None:
    found = rental_price(rates, start=start, end=start + timedelta(days=days - 1))
    assert found.amount == slow_price(rates, start, days)
    assert found.amount == sum(used.amount * used.times for used in found.applied)
    assert type(found.amount) is int


@settings(max_examples=200)
@given(rates=RATES, start=DAYS, before=st.integers(0, 40), days=st.integers(1, 40), after=st.integers(0, 40))
def test_a_longer_rental_never_costs_less_and_splitting_never_saves(
    rates: RentalRates, start: date, before: int, days: int, after: int
) -> None:
    whole = price(rates, start, before + days + after)
    part = price(rates, start + timedelta(days=before), days)
    assert part <= whole <= rates.day * (before + days + after)
    rests = sum(
        price(rates, begin, length)
        for begin, length in ((start, before), (start + timedelta(days=before + days), after))
        if length
    )
    assert whole <= part + rests


@given(start=DAYS, more=st.integers(0, 400))
def test_days_count_both_ends(start: date, more: int) -> None:
    assert rental_days(start=start, end=start + timedelta(days=more)) == more + 1

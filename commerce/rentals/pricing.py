"""What a rental costs: the cheapest way to cover its days with the product's rates. Pure; integers in minor units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

WEEK_DAYS = 7
MONTH_DAYS = 30
# Days that a weekend's rate covers, by the weekday on which it begins: Friday to Sunday, Saturday to Sunday, Sunday.
WEEKEND_DAYS = {4: 3, 5: 2, 6: 1}


@dataclass(frozen=True, slots=True)
class RentalRates:
    """What one unit costs, in minor units: per day, and as one sum for a weekend, a week and a month of 30 days.

    None: the product has no such rate.
    """

    day: int
    weekend: int | None = None
    week: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class AppliedRate:
    """One rate of a price: its name, how often it applies, and what it costs once, in minor units."""

    rate: str
    times: int
    amount: int

    def as_json(self) -> dict[str, str | int]:
        return {"rate": self.rate, "times": self.times, "amount": self.amount}


@dataclass(frozen=True, slots=True)
class RentalPrice:
    """What one unit costs for a period, without its deposit. `amount` is the sum of `applied`, in minor units."""

    amount: int
    days: int
    applied: tuple[AppliedRate, ...]


def rental_days(*, start: date, end: date) -> int:
    """Days of a rental, both the day of pick-up and the day of return included: same-day is one day.

    Calendar days, as a unit is out of the shop on each of them; one on which clocks are changed is a day like any.
    Raises ValueError when the end is before the start.
    """
    if end < start:
        raise ValueError("A rental ends on or after the day it starts.")
    return (end - start).days + 1


def rental_price(rates: RentalRates, *, start: date, end: date) -> RentalPrice:
    """The best price: of all ways to cover the period's days with rates, each as often as it fits, the cheapest.

    A rate may cover more days than are left: six days cost a week where that is less. So a longer rental never costs
    less than one within it, and two rentals in a row never less than one of both. Among equal prices the one with
    the longest rates is told. Raises ValueError as rental_days does.
    """
    days = rental_days(start=start, end=end)
    # From each day to the end: the least it costs, and the rate and its days with which that begins.
    cheapest: list[tuple[int, str, int]] = [(0, "", 0)] * (days + 1)
    for day in range(days - 1, -1, -1):
        ways = [
            (amount + cheapest[min(days, day + covered)][0], -covered, name)
            for name, covered, amount in _usable(rates, on=start + timedelta(days=day))
        ]
        amount, negated, name = min(ways)
        cheapest[day] = (amount, name, -negated)
    used: Counter[str] = Counter()
    day = 0
    while day < days:
        _, name, covered = cheapest[day]
        used[name] += 1
        day += covered
    once = {"month": rates.month, "week": rates.week, "weekend": rates.weekend, "day": rates.day}
    applied = tuple(AppliedRate(name, used[name], amount or 0) for name, amount in once.items() if used[name])
    return RentalPrice(amount=cheapest[0][0], days=days, applied=applied)


def _usable(rates: RentalRates, *, on: date) -> Iterator[tuple[str, int, int]]:
    """Rates that may begin on a day: name, days covered, amount."""
    yield "day", 1, rates.day
    if rates.weekend is not None and (covered := WEEKEND_DAYS.get(on.weekday())):
        yield "weekend", covered, rates.weekend
    if rates.week is not None:
        yield "week", WEEK_DAYS, rates.week
    if rates.month is not None:
        yield "month", MONTH_DAYS, rates.month

"""Units that are late: the days that they are missing on stay booked where they are free, and where they aren't, staff
are told whose booking is in danger. Nobody's day is ever taken.

A unit that isn't back is treated as if it came back today: it is wanted until it would be clean again. So each day adds
one, and a rental that is a month late blocks no more of the calendar than one that is a day late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from commerce.rentals.cases import Case, Picked
from inventory.models import StockRow
from inventory.rented import UnitsOnDay, book_where_free_within, bookings_without_units


def follow_overdue_within(case: Case) -> None:
    """Brings the days of the rental's overdue units, and the count of bookings in danger, to what is out now."""
    due = {line.pk: line.due_on for line in case.lines}
    late = [row for row in case.units if row.out and due[row.line_id] < case.today]
    if not late and case.rental.followed_on is None:
        return
    cleaning = _cleaning(case, {row.variant_key for row in late})
    days = Counter[tuple[str, date]]()
    for row in late:
        spare = cleaning[row.variant_key]
        for day in _days(max(case.today, row.ends_on + timedelta(days=spare + 1)), case.today + timedelta(days=spare)):
            days[row.variant_key, day] += row.out
    missing = _keep(case, "overdue", days, instead=True, reason="Overdue")
    in_danger = bookings_without_units(
        shop_id=case.shop.shop_id,
        missing=missing,
        after=min((due[row.line_id] for row in late), default=case.today),
        but=[row.hold_id for row in case.units],
    )
    case.rental.endangered = len(in_danger)
    case.rental.followed_on = case.today if late else None


def keep_cleaning_within(case: Case, chosen: Sequence[Picked]) -> None:
    """Units that came back late are cleaned as others are, on days that nobody had booked for that."""
    late = [picked for picked in chosen if case.day > picked.units.ends_on]
    cleaning = _cleaning(case, {picked.units.variant_key for picked in late})
    days = Counter[tuple[str, date]]()
    for picked in late:
        spare = timedelta(days=cleaning[picked.units.variant_key])
        for day in _days(max(case.today, picked.units.ends_on + spare + timedelta(days=1)), case.day + spare):
            days[picked.units.variant_key, day] += picked.quantity
    if days:
        _keep(case, "cleaning", days, instead=False, reason="Cleaning after a late return")


def _keep(case: Case, purpose: str, days: Counter[tuple[str, date]], *, instead: bool, reason: str) -> list[UnitsOnDay]:
    return book_where_free_within(
        shop_id=case.shop.shop_id,
        reference=f"{purpose}:{case.rental.pk}",
        wanted=[UnitsOnDay(key, day, units) for (key, day), units in sorted(days.items())],
        instead=instead,
        acting=case.acting,
        now=case.now,
        reason=reason,
    )


def _cleaning(case: Case, keys: Iterable[str]) -> dict[str, int]:
    rows = StockRow.objects.for_shop(case.shop.shop_id).filter(variant_key__in=list(keys))
    return dict(rows.values_list("variant_key", "buffer_days"))


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)

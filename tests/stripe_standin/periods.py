"""Billing periods: the ends of a subscription's periods, counted from its anchor.

Source: docs.stripe.com/billing/subscriptions/billing-cycle. A monthly period that begins on the 31st ends on the last
day of a shorter month and comes back to the 31st after it, so ends are counted from the anchor, never from each other.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

from .errors import Json

DAY = 86_400
FIXED = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}
# The longest period Stripe takes: three years.
MOST = {"day": 1095, "week": 156, "month": 36, "year": 3}


def after(anchor: int, recurring: Json, moment: int) -> int:
    """The first end of a period (seconds since the epoch) later than `moment`, for a price's `recurring`."""
    interval, count = recurring["interval"], int(recurring["interval_count"])
    if interval in FIXED:
        step = FIXED[interval] * count
        return anchor + ((moment - anchor) // step + 1) * step
    step = MONTHS[interval] * count
    # Never too late a first guess: a step of months has at most 31 days each.
    steps = max(0, moment - anchor) // (step * 31 * DAY)
    while (end := plus_months(anchor, steps * step)) <= moment:
        steps += 1
    return end


def plus_months(anchor: int, months: int) -> int:
    """The same second of the day, `months` later; the month's last day where it has no such day."""
    begun = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(begun.year * 12 + begun.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return int(begun.replace(year=year, month=month + 1, day=min(begun.day, last)).timestamp())


def words(recurring: Json) -> str:
    """`month`, or `every 3 months`: as an invoice line says it after the amount."""
    count = recurring["interval_count"]
    return str(recurring["interval"]) if count == 1 else f"every {count} {recurring['interval']}s"

"""When a deposit may be held on a card: an authorisation lives for days, a rental perhaps for weeks. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def hold_moment(
    *,
    starts_on: date,
    ends_on: date,
    inspection_days: int,
    zone: str,
    window: timedelta,
    lead: timedelta,
) -> datetime | None:
    """From when on the deposit of a rental is to be held: `lead` before the day of the pick-up begins, later where the
    authorisation would else end before the rental has come back and been looked at. None where no authorisation made
    before that day lives so long: then the card is kept, and what is owed is charged later.

    `window`: how long an authorisation without the customer lives. Source: Stripe, "Place a hold on a payment method":
    4 days 18 hours with Visa, 7 days with others.
    """
    pick_up = _midnight(starts_on, zone)
    moment = max(pick_up - lead, needed_until(ends_on=ends_on, inspection_days=inspection_days, zone=zone) - window)
    return moment if moment <= pick_up else None


def needed_until(*, ends_on: date, inspection_days: int, zone: str) -> datetime:
    """The end of the last day on which what came back is looked at."""
    return _midnight(ends_on + timedelta(days=inspection_days + 1), zone)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(zone))

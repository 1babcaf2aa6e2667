"""May they use it now, and why: every status, and the edges of the days of grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commerce.models import Subscription
from commerce.subscriptions.access import Access, Why, access_of

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
START, END = NOW - timedelta(days=10), NOW + timedelta(days=20)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        ("active", {}, Access(True, Why.PAID, END)),
        ("active", {"cancel_at_period_end": True}, Access(True, Why.ENDING, END)),
        ("active", {"cancel_at": NOW + DAY}, Access(True, Why.ENDING, NOW + DAY)),
        ("active", {"collection_paused": True}, Access(True, Why.PAID, END)),
        ("trialing", {"trial_end": NOW + DAY}, Access(True, Why.TRIAL, NOW + DAY)),
        ("unpaid", {}, Access(False, Why.UNPAID)),
        ("incomplete", {}, Access(False, Why.NEVER_PAID)),
        ("incomplete_expired", {}, Access(False, Why.NEVER_PAID)),
        ("paused", {}, Access(False, Why.PAUSED)),
        ("canceled", {}, Access(False, Why.ENDED)),
        ("of_the_future", {}, Access(False, Why.UNKNOWN)),
        ("", {}, Access(False, Why.UNKNOWN)),
    ],
)
def test_each_status(status: str, more: dict[str, Any], expected: Access) -> None:
    row = Subscription(status=status, current_period_start=START, current_period_end=END, **more)
    assert access_of(row, now=NOW, grace_days=7) == expected


@pytest.mark.parametrize(
    ("since", "grace", "allowed"),
    [
        (NOW - 6 * DAY, 7, True),
        (NOW - 7 * DAY, 7, False),
        (NOW - 7 * DAY + timedelta(seconds=1), 7, True),
        (NOW, 0, False),
        (None, 7, False),
        (None, 11, True),
    ],
)
def test_grace_counts_from_the_oldest_open_invoice(since: datetime | None, grace: int, allowed: bool) -> None:
    row = Subscription(status="past_due", current_period_start=START, current_period_end=END)
    found = access_of(row, now=NOW, grace_days=grace, failing_since=since)
    assert (found.allowed, found.why) == (allowed, Why.GRACE if allowed else Why.UNPAID)

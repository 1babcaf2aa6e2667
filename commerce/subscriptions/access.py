"""May they use it now, and why: one answer for pages, jobs and staff, from what Stripe said last. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from commerce.subscriptions.models import Subscription

Status = Subscription.Status


class Why(StrEnum):
    """The closed list of reasons."""

    PAID = "paid"
    TRIAL = "trial"
    ENDING = "ending"
    GRACE = "grace"
    UNPAID = "unpaid"
    NEVER_PAID = "never_paid"
    PAUSED = "paused"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Access:
    """Whether a subscriber may use what they pay for. `until`: when the answer changes by itself, where it does."""

    allowed: bool
    why: Why
    until: datetime | None = None


def access_of(row: Subscription, *, now: datetime, grace_days: int, failing_since: datetime | None = None) -> Access:
    """By status, periods and the shop's days of grace. `failing_since`: when the oldest invoice that is still open was
    made; the beginning of the period without one.

    A status that isn't listed gives nothing away. Pausing the collection is the shop's own decision not to be paid, and
    takes nothing from the subscriber; a subscription that Stripe has paused after a trial is one that nobody pays.
    Source: Stripe, "How subscriptions work", subscription statuses.
    """
    match row.status:
        case Status.TRIALING:
            return Access(True, Why.TRIAL, row.trial_end)
        case Status.ACTIVE:
            if row.cancel_at_period_end or row.cancel_at is not None:
                return Access(True, Why.ENDING, row.cancel_at or row.current_period_end)
            return Access(True, Why.PAID, row.current_period_end)
        case Status.PAST_DUE:
            return _in_grace(failing_since or row.current_period_start, now=now, grace_days=grace_days)
        case Status.UNPAID:
            return Access(False, Why.UNPAID)
        case Status.INCOMPLETE | Status.INCOMPLETE_EXPIRED:
            return Access(False, Why.NEVER_PAID)
        case Status.PAUSED:
            return Access(False, Why.PAUSED)
        case Status.CANCELED:
            return Access(False, Why.ENDED)
    return Access(False, Why.UNKNOWN)


def _in_grace(since: datetime | None, *, now: datetime, grace_days: int) -> Access:
    if since is None:
        return Access(False, Why.UNPAID)
    until = since + timedelta(days=grace_days)
    return Access(True, Why.GRACE, until) if now < until else Access(False, Why.UNPAID)

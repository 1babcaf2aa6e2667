"""Attempts whose outcome nobody waits for any more: crashed senders, unknown answers, closings left half done, and
sessions whose end was announced to nobody.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Q

from checkout.attempts import CLOCK_MARGIN, end_by_clock
from checkout.closing import finish_closing, resend
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.gateway.failures import StripeFailure
from commerce.models import Order
from tenants.context import bind_shop, load_shop

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State

# Seconds between two tries of one attempt, and for one whole run: beat starts the next one anyway.
RETRY_AFTER = timedelta(seconds=8)
RUN_FOR = 40.0
# A delayed payment takes days and announces its end; asking hourly is for announcements that were lost.
ASK_DELAYED_EVERY = timedelta(hours=1)
# In every list, so that a hundred attempts that can't be settled don't keep the others waiting for ever.
LONGEST_UNASKED = F("checked_at").asc(nulls_first=True)


@dataclass(frozen=True, slots=True)
class ResolverReport:
    """How many attempts were looked at, how many have an end or a session now, how many raised."""

    found: int
    resolved: int
    failed: int


def run_once(*, now: datetime, limit: int = 100) -> ResolverReport:
    """Asks Stripe about up to `limit` unresolved attempts, the longest unasked first. Safe to run side by side."""
    began = time.monotonic()
    looked, resolved, failed = 0, 0, 0
    for attempt in [*_unresolved(now, limit), *_unannounced(now, limit)]:
        if time.monotonic() - began > RUN_FOR:
            break
        looked += 1
        CheckoutAttempt.objects.filter(pk=attempt.pk).update(checked_at=now)
        try:
            resolved += resolve_attempt(attempt=attempt, now=now)
        except StripeFailure as failure:
            failed += 1
            # Not there: another account's, or Stripe's own loss. Asking every few seconds changes nothing; staff see it
            # among the checkouts in doubt.
            asked = now + ASK_DELAYED_EVERY if failure.not_found else now
            CheckoutAttempt.objects.filter(pk=attempt.pk).update(checked_at=asked)
            log.error("attempt_not_readable", attempt_id=str(attempt.pk), error=str(failure))
        except Exception:
            failed += 1
            log.exception("attempt_not_resolved", attempt_id=str(attempt.pk), shop_id=attempt.shop_id)
    return ResolverReport(found=looked, resolved=resolved, failed=failed)


def _unresolved(now: datetime, limit: int) -> list[CheckoutAttempt]:
    """Sending, unknown and closing ones that nobody is at, the longest unasked first."""
    return list(
        CheckoutAttempt.objects.filter(state__in=[State.SENDING, State.UNKNOWN, State.CLOSING])
        .filter(Q(lease_until__isnull=True) | Q(lease_until__lte=now), not_asked_since(now - RETRY_AFTER))
        .order_by(LONGEST_UNASKED, "created_at")[:limit]
    )


def _unannounced(now: datetime, limit: int) -> list[CheckoutAttempt]:
    """Sessions that must have ended by now, and delayed payments that may have: their events were lost, or are late."""
    over = CheckoutAttempt.objects.filter(state=State.OPEN, session_expires_at__lte=now - CLOCK_MARGIN)
    delayed = CheckoutAttempt.objects.filter(order__status=Order.Status.PROCESSING, session_id__isnull=False)
    return [
        *over.filter(not_asked_since(now - RETRY_AFTER)).order_by(LONGEST_UNASKED, "session_expires_at")[:limit],
        *delayed.filter(not_asked_since(now - ASK_DELAYED_EVERY)).order_by(LONGEST_UNASKED, "created_at")[:limit],
    ]


def not_asked_since(moment: datetime) -> Q:
    return Q(checked_at__isnull=True) | Q(checked_at__lte=moment)


def resolve_attempt(*, attempt: CheckoutAttempt, now: datetime) -> bool:
    """One attempt, one step: asks Stripe about it. True when it is open or closed after it.

    A send that is under way elsewhere is left alone. Raises InventoryBusy, and StripeFailure for a recorded session.
    """
    shop = load_shop(attempt.shop_id, request_id=attempt.request_id)
    with bind_shop(shop):
        if attempt.state in {State.OPEN, State.CLOSED}:
            settle_session(shop=shop, session_id=str(attempt.session_id))
        elif attempt.state == State.CLOSING:
            finish_closing(shop=shop, attempt=attempt)
        elif not end_by_clock(attempt=attempt, now=now):
            resend(shop=shop, attempt=attempt)
    attempt.refresh_from_db(fields=["state"])
    return attempt.state in {State.OPEN, State.CLOSED}

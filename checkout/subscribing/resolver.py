"""Attempts to subscribe that nobody waits for any more: crashed senders, unknown answers, lost announcements."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db.models import F, Q

from checkout.attempts import CLOCK_MARGIN
from checkout.resolver import LONGEST_UNASKED, RETRY_AFTER, ResolverReport, not_asked_since
from checkout.subscribing.attempts import State, end_by_clock
from checkout.subscribing.closing import finish_closing, resend
from checkout.subscribing.models import SubscribeAttempt
from checkout.subscribing.settle import settle_subscribing
from tenants.context import bind_shop, load_shop

log = structlog.get_logger(__name__)


def run_once(*, now: datetime, limit: int = 50) -> ResolverReport:
    """Asks Stripe about up to `limit` unresolved attempts, the longest unasked first. Safe to run side by side."""
    found, resolved, failed = 0, 0, 0
    for attempt in _due(now, limit):
        found += 1
        SubscribeAttempt.objects.filter(pk=attempt.pk).update(checked_at=now)
        try:
            resolved += resolve_attempt(attempt=attempt, now=now)
        except Exception:
            # One poisoned attempt must not stop the rest.
            failed += 1
            log.exception("subscribing_not_resolved", attempt_id=str(attempt.pk), shop_id=attempt.shop_id)
    return ResolverReport(found=found, resolved=resolved, failed=failed)


def _due(now: datetime, limit: int) -> list[SubscribeAttempt]:
    """Unresolved ones that nobody is at, and sessions that must have ended by now: their events were lost."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    unresolved = Q(state__in=[State.SENDING, State.UNKNOWN, State.CLOSING]) & free
    over = Q(state=State.OPEN, session_expires_at__lte=now - CLOCK_MARGIN)
    rows = SubscribeAttempt.objects.filter(unresolved | over, not_asked_since(now - RETRY_AFTER))
    return list(rows.order_by(LONGEST_UNASKED, F("created_at"))[:limit])


def resolve_attempt(*, attempt: SubscribeAttempt, now: datetime) -> bool:
    """One attempt, one step: asks Stripe about it. True when it is open or closed after it. Raises StripeFailure for a
    recorded session.
    """
    shop = load_shop(attempt.shop_id, request_id=attempt.request_id)
    with bind_shop(shop):
        if attempt.state in {State.OPEN, State.CLOSED}:
            settle_subscribing(shop=shop, session_id=str(attempt.session_id))
        elif attempt.state == State.CLOSING:
            finish_closing(shop=shop, attempt=attempt)
        elif not end_by_clock(attempt=attempt, now=now):
            resend(shop=shop, attempt=attempt)
    attempt.refresh_from_db(fields=["state"])
    return attempt.state in {State.OPEN, State.CLOSED}

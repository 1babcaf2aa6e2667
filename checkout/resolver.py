"""Attempts whose outcome nobody waits for any more: crashed senders, unknown answers, closings left half done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Q

from checkout.attempts import end_by_clock
from checkout.closing import finish_closing, resend
from checkout.models import CheckoutAttempt
from tenants.context import bind_shop, load_shop

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State

# Seconds between two tries of one attempt, and for one whole run: beat starts the next one anyway.
RETRY_AFTER = timedelta(seconds=8)
RUN_FOR = 40.0


@dataclass(frozen=True, slots=True)
class ResolverReport:
    """How many attempts were looked at, how many have an end or a session now, how many raised."""

    found: int
    resolved: int
    failed: int


def run_once(*, now: datetime, limit: int = 100) -> ResolverReport:
    """Asks Stripe about up to `limit` unresolved attempts, the longest unasked first. Safe to run side by side."""
    began = time.monotonic()
    due = list(
        CheckoutAttempt.objects.filter(state__in=[State.SENDING, State.UNKNOWN, State.CLOSING])
        .filter(Q(lease_until__isnull=True) | Q(lease_until__lte=now))
        .filter(Q(checked_at__isnull=True) | Q(checked_at__lte=now - RETRY_AFTER))
        .order_by(F("checked_at").asc(nulls_first=True), "created_at")[:limit]
    )
    looked, resolved, failed = 0, 0, 0
    for attempt in due:
        if time.monotonic() - began > RUN_FOR:
            break
        looked += 1
        try:
            resolved += resolve_attempt(attempt=attempt, now=now)
        except Exception:
            failed += 1
            log.exception("attempt_not_resolved", attempt_id=str(attempt.pk), shop_id=attempt.shop_id)
    return ResolverReport(found=looked, resolved=resolved, failed=failed)


def resolve_attempt(*, attempt: CheckoutAttempt, now: datetime) -> bool:
    """One attempt that is sending, unknown or closing, one step. True when it is open or closed after it.

    Does nothing while another process has it. Raises InventoryBusy.
    """
    CheckoutAttempt.objects.filter(pk=attempt.pk).update(checked_at=now)
    shop = load_shop(attempt.shop_id, request_id=attempt.request_id)
    with bind_shop(shop):
        if attempt.state == State.CLOSING:
            finish_closing(shop=shop, attempt=attempt)
        elif not end_by_clock(attempt=attempt, now=now):
            resend(shop=shop, attempt=attempt)
    attempt.refresh_from_db(fields=["state"])
    return attempt.state in {State.OPEN, State.CLOSED}

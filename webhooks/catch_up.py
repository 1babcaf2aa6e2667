"""Events that never arrived: listed at Stripe, per account, and put into the inbox as if they had (W8).

Each run reads the last hour again, because a list may lack what was made a moment ago; what is known already is found
by its key. What is found is handled by the sweep, like everything that nobody waits for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from commerce.gateway.client import StripeAccess, access_for_account, platform_scope
from commerce.gateway.failures import StripeFailure
from commerce.gateway.listing import platform_access, read_page
from tenants.context import load_shop
from tenants.errors import HoldfastError
from tenants.models import ShopCredential
from webhooks.dispatch import HANDLERS
from webhooks.metrics import CAUGHT_UP
from webhooks.models import EventCursor, EventDelivery, StripeEvent

log = structlog.get_logger(__name__)

OVERLAP: Final = timedelta(hours=1)
# Younger events are on their way here.
ON_THE_WAY: Final = timedelta(seconds=60)
# What Stripe keeps.
LONGEST: Final = timedelta(days=30)
NOT_AGAIN_WITHIN: Final = timedelta(seconds=60)
RUN_FOR: Final = 120.0
SOURCE: Final = "events.list"
"""Stands as the host of a delivery that never was."""


@dataclass(frozen=True, slots=True)
class CatchUpReport:
    """Accounts that were read to the end, events listed, events that had been missed; `failed` names accounts that
    couldn't be read, `unfinished` those that the next run goes on with.
    """

    accounts: int
    listed: int
    missed: int
    failed: tuple[str, ...]
    unfinished: tuple[str, ...]


def run_once(*, now: datetime, since: datetime | None = None) -> CatchUpReport:
    """Lists the events of every account since the last look, or since `since`. Safe side by side.

    An account that can't be read keeps nobody else waiting; why is written on its cursor. Asks Stripe; durable.
    """
    began = time.monotonic()
    done, listed, missed = 0, 0, 0
    failed, unfinished = [], []
    for account in accounts():
        cursor = _claim(account, now=now, since=since)
        if cursor is None:
            continue
        try:
            access = platform_access() if account is None else access_of_shop(account)
            counts = _take_page(access, cursor, now)
            while cursor.page_after and time.monotonic() - began <= RUN_FOR:
                more = _take_page(access, cursor, now)
                counts = (counts[0] + more[0], counts[1] + more[1])
            listed, missed = listed + counts[0], missed + counts[1]
            if cursor.page_after:
                unfinished.append(cursor.account)
            else:
                done += 1
        except (StripeFailure, HoldfastError) as failure:
            failed.append(cursor.account)
            EventCursor.objects.filter(pk=cursor.pk).update(error=str(failure)[:500])
            log.error("account_not_read", account=cursor.account, error=str(failure))
    if missed or failed:
        log.warning("events_caught_up", accounts=done, listed=listed, missed=missed, failed=failed)
    return CatchUpReport(done, listed, missed, tuple(failed), tuple(unfinished))


def accounts() -> Iterator[ShopCredential | None]:
    """Whose books there are to read: None for the platform's, then those of shops, former ones included, because money
    in flight outlives a change.
    """
    yield None
    live = platform_scope().livemode
    known = ShopCredential.objects.filter(livemode=live).exclude(status=ShopCredential.Status.FORGOTTEN)
    yield from known.exclude(account=settings.STRIPE_ACCOUNT).order_by("account")


def access_of_shop(account: ShopCredential) -> StripeAccess:
    """Raises CredentialsUnusable, as `access_for_account` does."""
    return access_for_account(load_shop(account.shop_id), account.account)


def _claim(account: ShopCredential | None, *, now: datetime, since: datetime | None) -> EventCursor | None:
    """The account's cursor, for this run alone; None while another run has just looked."""
    scope = platform_scope()
    cursor, _ = EventCursor.objects.get_or_create(
        livemode=scope.livemode,
        account=account.account if account else scope.account,
        defaults={"read_until": now - OVERLAP},
    )
    free = Q(checked_at__isnull=True) | Q(checked_at__lte=now - NOT_AGAIN_WITHIN)
    if not EventCursor.objects.filter(free, pk=cursor.pk).update(checked_at=now, error=""):
        return None
    if since is not None:
        cursor.read_until, cursor.page_after = since + OVERLAP, ""
    if not cursor.page_after:  # else a run was cut short: its window is finished first
        cursor.reading_until = now - ON_THE_WAY
    return cursor


def _take_page(access: StripeAccess, cursor: EventCursor, now: datetime) -> tuple[int, int]:
    """`(events listed, events missed)` of one page; the cursor moves with what was stored."""
    until = cursor.reading_until or now - ON_THE_WAY
    since = max(cursor.read_until - OVERLAP, now - LONGEST)
    page = read_page(access, "events", since=since, until=until, after=cursor.page_after)  # no tx
    with transaction.atomic(durable=True):
        missed = _store_missed(cursor, page.objects)
        cursor.page_after = page.last
        if not page.last:
            cursor.read_until, cursor.reading_until = until, None
        cursor.missed += missed
        cursor.save(update_fields=["page_after", "read_until", "reading_until", "missed"])
    CAUGHT_UP.inc(missed)
    return len(page.objects), missed


def _store_missed(cursor: EventCursor, listed: tuple[Mapping[str, Any], ...]) -> int:
    """Stores what is handled here and isn't known. Bare."""
    ids = [str(payload["id"]) for payload in listed]
    scope = {"livemode": cursor.livemode, "account": cursor.account}
    known = set(StripeEvent.objects.filter(**scope, event_id__in=ids).values_list("event_id", flat=True))
    received = timezone.now()
    rows = [
        StripeEvent(
            **scope,
            event_id=payload["id"],
            type=payload["type"],
            api_version=str(payload.get("api_version") or "")[:40],
            other_version=payload.get("api_version") != settings.STRIPE_API_VERSION,
            object_id=str(payload["data"]["object"].get("id") or "")[:255],
            payload=payload,
            created_at=datetime.fromtimestamp(int(payload["created"]), UTC),
            received_at=received,
            next_attempt_at=received,
        )
        for payload in reversed(listed)  # the oldest first
        if payload["type"] in HANDLERS and payload["id"] not in known
    ]
    StripeEvent.objects.bulk_create(rows, ignore_conflicts=True)
    stored = StripeEvent.objects.filter(**scope, event_id__in=[row.event_id for row in rows])
    EventDelivery.objects.bulk_create(
        EventDelivery(event_id=pk, host=SOURCE, outcome="caught_up", received_at=received)
        for pk in stored.values_list("pk", flat=True)
    )
    return len(rows)

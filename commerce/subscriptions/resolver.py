"""Operations that nobody waits for any more: crashed senders and answers that were lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q

from commerce.models import SubscriptionOperation
from commerce.subscriptions.sending import resolve_operation
from tenants.context import bind_shop, load_shop

log = structlog.get_logger(__name__)

RETRY_AFTER: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class OperationReport:
    """How many operations were looked at, how many have an end now, how many raised."""

    found: int
    ended: int
    failed: int


def run_once(*, now: datetime, limit: int = 50) -> OperationReport:
    """One pass, the longest unasked first. Safe to run side by side."""
    found, ended, failed = 0, 0, 0
    for operation in _due(now, limit):
        found += 1
        rows = SubscriptionOperation.objects.for_shop(operation.shop_id).filter(pk=operation.pk)
        rows.update(checked_at=now)
        try:
            shop = load_shop(operation.shop_id, request_id=operation.request_id)
            with bind_shop(shop):
                left = resolve_operation(shop=shop, row=operation.subscription, operation=operation, now=now)
            ended += left.state not in SubscriptionOperation.UNDER_WAY
        except Exception:
            # One poisoned operation must not stop the rest.
            failed += 1
            log.exception("operation_not_resolved", operation=str(operation.pk), shop_id=operation.shop_id)
    return OperationReport(found=found, ended=ended, failed=failed)


def _due(now: datetime, limit: int) -> list[SubscriptionOperation]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    unasked = Q(checked_at__isnull=True) | Q(checked_at__lte=now - RETRY_AFTER)
    rows = SubscriptionOperation.objects.filter(free, unasked, state__in=SubscriptionOperation.UNDER_WAY)
    return list(rows.select_related("subscription").order_by(F("checked_at").asc(nulls_first=True), "id")[:limit])

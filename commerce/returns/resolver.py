"""Refunds and returns that nobody waits for any more: lost answers, refunds that are on their way, units to restock,
and staff who have to hear of what went wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q

from commerce.gateway.failures import StripeFailure
from commerce.returns.models import Refund, Return
from commerce.returns.restocking import restock_return
from commerce.returns.sending import resolve_refund
from commerce.returns.telling import tell_staff, untold
from tenants.context import bind_shop, load_shop
from tenants.database import as_shop

log = structlog.get_logger(__name__)
Status = Refund.Status

RETRY_AFTER: Final = timedelta(seconds=20)
# What is on its way says so by an event; asking is for events that were lost.
ASK_PENDING_EVERY: Final = timedelta(hours=1)
RUN_FOR: Final = 40.0


@dataclass(frozen=True, slots=True)
class RefundReport:
    """How many refunds were looked at, how many moved, how many raised; returns restocked; troubles told to staff."""

    found: int
    moved: int
    failed: int
    restocked: int
    told: int


def run_once(*, now: datetime, limit: int = 100) -> RefundReport:
    """One pass, the longest unasked first. Safe to run side by side."""
    until = time.monotonic() + RUN_FOR
    found, moved, failed = 0, 0, 0
    for row in _due(now, limit):
        if time.monotonic() > until:
            break
        found += 1
        try:
            moved += _look_at(row, now)
        except StripeFailure as failure:
            failed += 1
            log.warning("refund_not_readable", refund=str(row.pk), shop_id=row.shop_id, error=str(failure))
        except Exception:
            # One poisoned refund must not stop the rest.
            failed += 1
            log.exception("refund_not_resolved", refund=str(row.pk), shop_id=row.shop_id)
    restocked = sum(_restock(made) for made in _to_restock(now, limit))
    told = sum(tell_staff(row, now=now) for row in untold(now=now, limit=limit))
    return RefundReport(found=found, moved=moved, failed=failed, restocked=restocked, told=told)


def _look_at(row: Refund, now: datetime) -> bool:
    Refund.objects.for_shop(row.shop_id).filter(pk=row.pk).update(checked_at=now)
    shop = load_shop(row.shop_id, request_id=row.returned.request_id if row.returned else "")
    with bind_shop(shop):
        return resolve_refund(shop=shop, row=row, now=now).status != row.status


def _due(now: datetime, limit: int) -> list[Refund]:
    """Unanswered ones that nobody is at, and those on their way that haven't been asked about for an hour."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    asked = Q(status__in=Refund.ASKED) & free & _not_asked_since(now - RETRY_AFTER)
    on_its_way = Q(status__in=[Status.PENDING, Status.REQUIRES_ACTION]) & _not_asked_since(now - ASK_PENDING_EVERY)
    rows = Refund.objects.filter(asked | on_its_way, created_at__lte=now).select_related("returned", "order")
    return list(rows.order_by(F("checked_at").asc(nulls_first=True), "id")[:limit])


def _not_asked_since(moment: datetime) -> Q:
    return Q(checked_at__lte=moment) | Q(checked_at__isnull=True, created_at__lte=moment)


def _to_restock(now: datetime, limit: int) -> list[Return]:
    """Not those that a request is just restocking itself."""
    due = Return.objects.filter(restock=Return.Restock.DUE, status=Return.Status.ACCEPTED)
    return list(due.filter(created_at__lte=now - RETRY_AFTER).order_by("created_at")[:limit])


def _restock(made: Return) -> bool:
    try:
        with as_shop(made.shop_id):
            return restock_return(shop_id=made.shop_id, return_id=made.pk)
    except Exception:
        log.exception("return_not_restocked", return_id=str(made.pk), shop_id=made.shop_id)
        return False

"""Charges that nobody waits for: lost answers, decisions to be carried out, payment links, fees that came later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q
from django.utils import timezone

from commerce.charges.links import LAST_SEND, LIVING, MOST_LINKS, open_link, send_link, settle_link
from commerce.charges.models import Charge, ChargeLink
from commerce.charges.sending import carry_out, resolve_charge
from commerce.charges.telling import tell_customer
from commerce.gateway.failures import StripeFailure
from tenants.audit import RESOLVER
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)
Status = Charge.Status

RETRY_AFTER: Final = timedelta(seconds=20)
# What Stripe does by itself it says by an event; asking is for events that were lost.
ASK_AGAIN_AFTER: Final = timedelta(minutes=10)
ASK_PENDING_EVERY: Final = timedelta(hours=1)
RUN_FOR: Final = 40.0


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """Charges and links looked at, how many moved, how many raised, customers told of a link."""

    found: int
    moved: int
    failed: int
    told: int


def run_once(*, now: datetime, limit: int = 100) -> ChargeReport:
    """One pass, the longest unasked first. Safe to run side by side."""
    until = time.monotonic() + RUN_FOR
    found, moved, failed, told = 0, 0, 0, 0
    due: list[Charge | ChargeLink] = [*_due(now, limit), *_due_links(now, limit)]
    for row in due:
        if time.monotonic() > until:
            break
        found += 1
        try:
            shop = load_shop(row.shop_id, request_id=_request_of(row))
            with bind_shop(shop):
                moved += _look_at(shop, row, now)
        except (StripeFailure, HoldfastError) as failure:
            failed += 1
            log.warning("charge_not_worked_on", row=str(row.pk), shop_id=row.shop_id, error=str(failure))
        except Exception:
            # One poisoned charge must not stop the rest.
            failed += 1
            log.exception("charge_not_resolved", row=str(row.pk), shop_id=row.shop_id)
    for link in _untold(limit):
        told += tell_customer(link, now=now)
    return ChargeReport(found=found, moved=moved, failed=failed, told=told)


def advance_charge(*, shop: ShopContext, row: Charge, now: datetime) -> Charge:
    """Whatever is next for a charge: ask, carry out, open a link for its customer. Raises StripeFailure."""
    if row.status in Charge.ASKED:
        row = resolve_charge(shop=shop, row=row, now=now)
    elif row.release or (row.status == Status.HELD and row.capture_amount is not None):
        return carry_out(shop=shop, row=row)
    elif row.status != Status.CUSTOMER:
        return resolve_charge(shop=shop, row=row, now=now)
    if row.status == Status.CUSTOMER and not row.release and row.links.count() < MOST_LINKS:
        if row.links.filter(status__in=LIVING).exists():
            return row
        link = open_link(shop=shop, row=row, reason="The card wants its customer", acting=RESOLVER)
        row.refresh_from_db()
        if link is not None and link.url:
            tell_customer(link, now=timezone.now())
    return row


def _look_at(shop: ShopContext, row: Charge | ChargeLink, now: datetime) -> bool:
    was = row.status
    if isinstance(row, Charge):
        Charge.objects.for_shop(row.shop_id).filter(pk=row.pk).update(checked_at=now)
        return advance_charge(shop=shop, row=row, now=now).status != was
    ChargeLink.objects.for_shop(row.shop_id).filter(pk=row.pk).update(checked_at=now)
    if row.session_id is not None:
        return settle_link(shop=shop, link=row, session_id=row.session_id).status != was
    if now < row.expires_at - LAST_SEND:
        return send_link(shop=shop, link=row).status != was
    # Nobody was ever told its address, and a session made so late would be refused.
    mine = ChargeLink.objects.for_shop(row.shop_id).filter(pk=row.pk, status=ChargeLink.Status.SENDING)
    return bool(mine.update(status=ChargeLink.Status.EXPIRED))


def _due(now: datetime, limit: int) -> list[Charge]:
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    asked = Q(status__in=Charge.ASKED) & free & _not_since(now - RETRY_AFTER)
    decided = (Q(status=Status.HELD, capture_amount__isnull=False) | Q(release=True)) & _not_since(now - RETRY_AFTER)
    late = (
        Q(status=Status.CUSTOMER)
        | Q(status=Status.HELD, capture_before__lte=now)
        | Q(status=Status.SUCCEEDED, balance_transaction_id="")
    ) & _not_since(now - ASK_AGAIN_AFTER)
    pending = Q(status=Status.PROCESSING) & _not_since(now - ASK_PENDING_EVERY)
    over = Q(status__in=Charge.ENDED) & ~Q(status=Status.SUCCEEDED, balance_transaction_id="")
    rows = Charge.objects.filter(asked | decided | late | pending, created_at__lte=now).exclude(over)
    return list(rows.order_by(F("checked_at").asc(nulls_first=True), "id")[:limit])


def _due_links(now: datetime, limit: int) -> list[ChargeLink]:
    sending = Q(status=ChargeLink.Status.SENDING) & _not_since(now - RETRY_AFTER)
    open_ones = Q(status=ChargeLink.Status.OPEN) & (
        _not_since(now - ASK_PENDING_EVERY) | (Q(expires_at__lte=now) & _not_since(now - ASK_AGAIN_AFTER))
    )
    rows = ChargeLink.objects.filter(sending | open_ones, created_at__lte=now).select_related("charge__order")
    return list(rows.order_by(F("checked_at").asc(nulls_first=True), "id")[:limit])


def _untold(limit: int) -> list[ChargeLink]:
    waiting = ChargeLink.objects.filter(status=ChargeLink.Status.OPEN, mailed_at__isnull=True)
    return list(waiting.select_related("charge__order", "shop").order_by("id")[:limit])


def _not_since(moment: datetime) -> Q:
    return Q(checked_at__lte=moment) | Q(checked_at__isnull=True)


def _request_of(row: Charge | ChargeLink) -> str:
    return row.request_id if isinstance(row, Charge) else row.charge.request_id

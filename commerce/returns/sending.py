"""Speaking to Stripe about refunds that have been written down: send, and find out what became of a send.

An outcome that isn't known is never answered by a second refund. Stripe's own list is asked first; the stored request
goes out again under its stored key only while Stripe remembers that key, so that it can't be carried out twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q
from django.utils import timezone

from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.refunds import RefundFacts, create_refund, read_refund, refunds_of
from commerce.gateway.stamps import take_stamp
from commerce.orders.locks import order_for_update, order_tx
from commerce.returns.claiming import SENDER_LEASE
from commerce.returns.mirror import apply_refund, mirror_refund, settle_unmade_within
from commerce.returns.models import Refund
from tenants.context import ShopContext
from tenants.database import shop_tx

log = structlog.get_logger(__name__)
Status = Refund.Status

# Stripe forgets a key after "at least 24 hours", and would then carry the request out anew.
KEY_LIVES: Final = timedelta(hours=23)
# No request is on its way for longer than this: whoever sent it has long hung up.
LATE_BY: Final = timedelta(minutes=5)
NEVER_MADE: Final = "Stripe never made it"


def send_refund(*, shop: ShopContext, access: StripeAccess, row: Refund) -> Refund:
    """Sends a refund whose send has been counted, and applies what Stripe says; the row as it is then.

    A failure of Stripe's is an outcome, not an error: the row says what is known. Raises InventoryBusy when the order
    is taken for too long; the row then waits for `resolve_refund`.
    """
    made = ""
    try:
        made = create_refund(access, params=row.stripe_params, key=row.stripe_key)  # no tx
        stamp = take_stamp()
        facts = read_refund(access, made)  # no tx
    except StripeFailure as failure:
        return _settle_failure(row=row, failure=failure, refund_id=made)
    return apply_refund(shop=shop, access=access, facts=facts, stamp=stamp)


def resolve_refund(*, shop: ShopContext, row: Refund, now: datetime) -> Refund:
    """Asks Stripe what became of a refund. Raises StripeFailure when Stripe can't be read; nothing is written then.

    Of a send without an answer: found in Stripe's list it is adopted; not there, the request is sent again under its
    key while that is remembered, and given up after. Where Stripe has less left than it asks for, because somebody has
    refunded elsewhere, it is given up within minutes: what it reserves stands in the way of those refunds.
    """
    if row.refund_id is not None:
        return mirror_refund(shop=shop, account=row.stripe_account, refund_id=row.refund_id)
    if row.status not in Refund.ASKED or not _take(row=row, now=now):
        return row
    access = access_for_account(shop, row.stripe_account)
    stamp = take_stamp()
    found = refunds_of(access, str(row.stripe_params["payment_intent"]))  # no tx
    for facts in found:
        if facts.reference == str(row.pk):
            return apply_refund(shop=shop, access=access, facts=facts, stamp=stamp)
    age = now - row.created_at
    if age >= KEY_LIVES or (age >= LATE_BY and row.amount > _left_at_stripe(row, found)):
        return _give_up(row=row)
    with shop_tx(row.shop_id):
        Refund.objects.for_shop(row.shop_id).filter(pk=row.pk).update(sends=F("sends") + 1)
    return send_refund(shop=shop, access=access, row=row)


def _left_at_stripe(row: Refund, found: Sequence[RefundFacts]) -> int:
    """What Stripe could still refund of the payment, in minor units: it carries out nothing beyond."""
    return row.order.total_amount - sum(facts.amount for facts in found if facts.status not in Refund.DEAD)


def _take(*, row: Refund, now: datetime) -> bool:
    """The sender's lease, for one at a time."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    with shop_tx(row.shop_id):
        mine = Refund.objects.for_shop(row.shop_id).filter(free, pk=row.pk, status__in=Refund.ASKED)
        return bool(mine.update(lease_until=now + SENDER_LEASE))


def _settle_failure(*, row: Refund, failure: StripeFailure, refund_id: str) -> Refund:
    """Refused by every send: never made. Anything else: unknown, with its amount kept reserved."""
    with order_tx(row.shop_id):
        order = order_for_update(shop_id=row.shop_id, order_id=row.order_id)
        row = Refund.objects.for_shop(row.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        if row.status not in Refund.ASKED:
            return row  # an event was faster
        if failure.verdict is Verdict.REFUSED and not refund_id:
            row.refusals += 1
            if row.refusals == row.sends:
                settle_unmade_within(order=order, row=row, reason=failure.code or failure.kind)
                return row
        row.status, row.lease_until = Status.UNKNOWN, None
        row.refund_id = refund_id or row.refund_id
        row.save(update_fields=["status", "lease_until", "refusals", "refund_id"])
    log.warning("refund_unknown", refund=str(row.pk), order_id=str(row.order_id), error=str(failure))
    return row


def _give_up(*, row: Refund) -> Refund:
    with order_tx(row.shop_id):
        order = order_for_update(shop_id=row.shop_id, order_id=row.order_id)
        row = Refund.objects.for_shop(row.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        if row.status in Refund.ASKED and row.refund_id is None:
            settle_unmade_within(order=order, row=row, reason=NEVER_MADE)
    return row


def is_in_flight(row: Refund) -> bool:
    """Whether somebody is asking Stripe about it right now."""
    return row.status in Refund.ASKED and row.lease_until is not None and row.lease_until > timezone.now()

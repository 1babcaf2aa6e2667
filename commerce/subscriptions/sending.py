"""Speaking to Stripe about operations that have been written down: send, and find out what became of a send.

The subscription itself is asked first: an update leaves the operation's id in its metadata, and what was ended says so.
Only when it says no, and Stripe still remembers the key, the stored request goes out again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import F, Q
from django.utils import timezone

from commerce.gateway.client import access_for_account
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.reads import SubscriptionFacts, read_subscription
from commerce.gateway.subscriptions import end_subscription, update_subscription
from commerce.models import Subscription, SubscriptionOperation
from commerce.subscriptions.mirror import mirror_subscription
from tenants.context import ShopContext
from tenants.database import shop_tx

log = structlog.get_logger(__name__)
State, Kind = SubscriptionOperation.State, SubscriptionOperation.Kind

# Stripe forgets a key after "at least 24 hours", and would then carry the request out anew.
KEY_LIVES: Final = timedelta(hours=23)
LEASE: Final = timedelta(seconds=60)
NEVER_DONE: Final = "Stripe never did it"


def send_operation(*, shop: ShopContext, row: Subscription, operation: SubscriptionOperation) -> SubscriptionOperation:
    """Sends an operation whose send has been counted, then reads the subscription; the operation as it is after that.

    A failure of Stripe's is an outcome, not an error: the operation says what is known.
    """
    access = access_for_account(shop, row.stripe_account)
    act = end_subscription if operation.kind == Kind.CANCEL_NOW else update_subscription
    try:
        act(access, row.subscription_id, params=operation.stripe_params, key=operation.stripe_key)  # no tx
    except StripeFailure as failure:
        return _settle_failure(operation=operation, failure=failure)
    return _done(shop=shop, row=row, operation=operation)


def resolve_operation(
    *, shop: ShopContext, row: Subscription, operation: SubscriptionOperation, now: datetime
) -> SubscriptionOperation:
    """What became of an operation, by asking. One that has ended, or that somebody is asking about, stays as it is.

    Of a send without an answer: carried out, it is done; if not, it is sent again while its key is remembered, and
    given up after.
    """
    if operation.state not in SubscriptionOperation.UNDER_WAY or not _take(operation=operation, now=now):
        return operation
    access = access_for_account(shop, row.stripe_account)
    try:
        facts = read_subscription(access, row.subscription_id)  # no tx
    except StripeFailure as failure:
        log.warning("operation_not_readable", operation=str(operation.pk), error=str(failure))
        _write(operation, state=State.UNKNOWN, lease_until=None)
        return operation
    if carried_out(operation, facts):
        return _done(shop=shop, row=row, operation=operation)
    if now - operation.created_at >= KEY_LIVES:
        _write(operation, state=State.REFUSED, error=NEVER_DONE, finished_at=now, lease_until=None)
        return operation
    with shop_tx(shop.shop_id):
        mine = SubscriptionOperation.objects.for_shop(shop.shop_id).filter(pk=operation.pk)
        mine.update(sends=F("sends") + 1)
    return send_operation(shop=shop, row=row, operation=operation)


def carried_out(operation: SubscriptionOperation, facts: SubscriptionFacts) -> bool:
    """Whether the subscription says that this was done to it."""
    if operation.kind == Kind.CANCEL_NOW:
        return facts.ended_at is not None
    return facts.metadata.get("operation_id") == str(operation.pk)


def _done(*, shop: ShopContext, row: Subscription, operation: SubscriptionOperation) -> SubscriptionOperation:
    """Done is done: when the subscription can't be read now, its event brings what became of it."""
    try:
        mirror_subscription(shop=shop, account=row.stripe_account, subscription_id=row.subscription_id)  # no tx
    except StripeFailure as failure:
        log.warning("subscription_not_readable", subscription=row.subscription_id, error=str(failure))
    _write(operation, state=State.DONE, finished_at=timezone.now(), lease_until=None)
    return operation


def _settle_failure(*, operation: SubscriptionOperation, failure: StripeFailure) -> SubscriptionOperation:
    """Refused by every send: never done. Anything else is unknown."""
    with shop_tx(operation.shop_id):
        rows = SubscriptionOperation.objects.for_shop(operation.shop_id).select_for_update(no_key=True)
        locked = rows.get(pk=operation.pk)
        if locked.state not in SubscriptionOperation.UNDER_WAY:
            return locked
        locked.refusals += failure.verdict is Verdict.REFUSED
        locked.state, locked.lease_until = State.UNKNOWN, None
        if locked.refusals == locked.sends:
            locked.state, locked.finished_at = State.REFUSED, timezone.now()
            locked.error = (failure.code or failure.kind)[:200]
        locked.save(update_fields=["state", "lease_until", "refusals", "error", "finished_at"])
    log.warning("operation_failed", operation=str(locked.pk), state=locked.state, error=str(failure))
    return locked


def _take(*, operation: SubscriptionOperation, now: datetime) -> bool:
    """The sender's lease, for one at a time."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    with shop_tx(operation.shop_id):
        mine = SubscriptionOperation.objects.for_shop(operation.shop_id).filter(free, pk=operation.pk)
        return bool(mine.filter(state__in=SubscriptionOperation.UNDER_WAY).update(lease_until=now + LEASE))


def _write(operation: SubscriptionOperation, **fields: object) -> None:
    with shop_tx(operation.shop_id):
        mine = SubscriptionOperation.objects.for_shop(operation.shop_id).filter(
            pk=operation.pk, state__in=SubscriptionOperation.UNDER_WAY
        )
        mine.update(**fields)
    operation.refresh_from_db()

"""Ending an attempt before its time: supersede, cancel, reap. Mark (tx), expire at Stripe (no tx), settle (own tx).

Never release and place in one transaction, never give back what may still be paid.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone

from checkout.attempts import (
    RESEND_LIMIT,
    drop_lease,
    end_by_clock,
    mark_closing,
    record_session,
    settle_failure,
    take_lease,
)
from checkout.coupons import make_coupon
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.gateway.client import access_for_account, create_session, expire_session
from commerce.gateway.failures import StripeFailure
from tenants.audit import Actor
from tenants.context import ShopContext

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State


def close_checkout(
    *, shop: ShopContext, attempt_id: UUID, reason: str, acting: Actor, overdue_at: datetime | None = None
) -> CheckoutAttempt:
    """Makes an attempt's session unpayable and gives its stock back; if the customer won, it is settled as paid.

    Returns the attempt after it; still `closing` when Stripe can't be reached or another process is at it, and then the
    resolver finishes. With `overdue_at`, only if its hold is overdue then. Raises InventoryBusy.
    """
    attempt = mark_closing(
        shop_id=shop.shop_id, attempt_id=attempt_id, reason=reason, acting=acting, overdue_at=overdue_at
    )
    if attempt.state == State.CLOSING:
        finish_closing(shop=shop, attempt=attempt)
        attempt.refresh_from_db()
    return attempt


def finish_closing(*, shop: ShopContext, attempt: CheckoutAttempt) -> None:
    """Second half of closing, for whoever holds a `closing` attempt, the resolver included. Repeatable."""
    now = timezone.now()
    if end_by_clock(attempt=attempt, now=now):
        return
    if attempt.session_id is not None:
        expire_and_settle(shop=shop, session_id=attempt.session_id, account=attempt.stripe_account)
    else:
        # Nothing recorded, but a session may exist: sending the stored request again is the way to learn its id.
        resend(shop=shop, attempt=attempt)


def expire_and_settle(*, shop: ShopContext, session_id: str, account: str) -> None:
    """Expires a session at Stripe and applies what Stripe says then. An unreachable Stripe changes nothing."""
    try:
        expire_session(access_for_account(shop, account), session_id)
        settle_session(shop=shop, session_id=session_id, account=account)
    except StripeFailure as failure:
        log.warning("closing_postponed", session_id=session_id, error=str(failure))


def resend(*, shop: ShopContext, attempt: CheckoutAttempt) -> None:
    """Sends the attempt's stored request again under its stored key, to the account it was made for.

    The session is recorded; that of an attempt which is closing or closed is made unpayable and settled. Nothing
    happens while somebody else is at it; when Stripe still doesn't say, the attempt stays as it is.
    """
    now = timezone.now()
    if now > attempt.created_at + RESEND_LIMIT or not take_lease(attempt=attempt, now=now, sending=True):
        return
    access = access_for_account(shop, attempt.stripe_account)
    try:
        make_coupon(access, attempt)  # no tx
        session = create_session(access, params=attempt.stripe_params, key=attempt.stripe_key)  # no tx
    except StripeFailure as failure:
        settle_failure(attempt=attempt, failure=failure, classify=settings.ENABLE_STRIPE_ERROR_CLASSIFICATION)
        return
    if not record_session(attempt=attempt, session=session, livemode=access.scope.livemode):
        drop_lease(attempt=attempt)
        expire_and_settle(shop=shop, session_id=session.id, account=attempt.stripe_account)

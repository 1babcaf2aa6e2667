"""Ending an attempt before its time: supersede, cancel, reap. Mark (tx), expire at Stripe (no tx), settle (own tx).

Never release and place in one transaction, never give back what may still be paid.
"""

from __future__ import annotations

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
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.gateway.client import access_of, create_session, expire_session
from commerce.gateway.failures import StripeFailure
from commerce.gateway.sessions import SessionFacts
from tenants.audit import Actor
from tenants.context import ShopContext

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State


def close_checkout(*, shop: ShopContext, attempt_id: UUID, reason: str, acting: Actor) -> CheckoutAttempt:
    """Makes an attempt's session unpayable and gives its stock back; if the customer won, it is settled as paid.

    Returns the attempt after it; still `closing` when Stripe can't be reached or another process is at it, and then the
    resolver finishes. Raises InventoryBusy.
    """
    attempt = mark_closing(shop_id=shop.shop_id, attempt_id=attempt_id, reason=reason, acting=acting)
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
        expire_and_settle(shop=shop, session_id=attempt.session_id)
        return
    # Nothing recorded: a session may exist all the same. Sending the stored request again is the way to learn its id.
    session = resend(shop=shop, attempt=attempt)
    if session is not None:
        expire_and_settle(shop=shop, session_id=session.id)


def expire_and_settle(*, shop: ShopContext, session_id: str) -> None:
    """Expires a session at Stripe and applies what Stripe says then. An unreachable Stripe changes nothing."""
    try:
        expire_session(access_of(shop), session_id)
        settle_session(shop=shop, session_id=session_id)
    except StripeFailure as failure:
        log.warning("closing_postponed", session_id=session_id, error=str(failure))


def resend(*, shop: ShopContext, attempt: CheckoutAttempt) -> SessionFacts | None:
    """Sends the attempt's stored request again under its stored key; records the session when there is one.

    None when somebody else is at it, when Stripe still doesn't say, or when it is now certain that no session exists.
    The session of an attempt that has been closed meanwhile is made unpayable here, and None returned.
    """
    now = timezone.now()
    if now > attempt.created_at + RESEND_LIMIT or not take_lease(attempt=attempt, now=now, sending=True):
        return None
    access = access_of(shop)
    try:
        session = create_session(access, params=attempt.stripe_params, key=attempt.stripe_key)  # no tx
    except StripeFailure as failure:
        settle_failure(attempt=attempt, failure=failure, classify=settings.ENABLE_STRIPE_ERROR_CLASSIFICATION)
        return None
    if record_session(attempt=attempt, session=session, livemode=access.scope.livemode):
        return session
    drop_lease(attempt=attempt)
    attempt.refresh_from_db(fields=["state"])
    if attempt.state == State.CLOSING:
        return session
    expire_and_settle(shop=shop, session_id=session.id)
    return None

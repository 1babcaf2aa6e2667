"""Ending an attempt before its time, and finding out what became of a send. Network calls, never in a transaction."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone

from checkout.attempts import RESEND_LIMIT, drop_lease, take_lease
from checkout.subscribing.attempts import State, end_by_clock, mark_closing, record_session, settle_failure
from checkout.subscribing.models import SubscribeAttempt
from checkout.subscribing.settle import settle_subscribing
from commerce.gateway.client import access_for_account, create_session, expire_session
from commerce.gateway.failures import StripeFailure
from tenants.context import ShopContext

log = structlog.get_logger(__name__)


def close_attempt(*, shop: ShopContext, attempt_id: UUID, reason: str) -> SubscribeAttempt:
    """Makes an attempt's session unpayable; if the customer won, it is settled as bought. The attempt after it, still
    `closing` when Stripe can't be reached or another process is at it: then the resolver finishes.
    """
    attempt = mark_closing(shop_id=shop.shop_id, attempt_id=attempt_id, reason=reason)
    if attempt.state == State.CLOSING:
        finish_closing(shop=shop, attempt=attempt)
        attempt.refresh_from_db()
    return attempt


def finish_closing(*, shop: ShopContext, attempt: SubscribeAttempt) -> None:
    """Second half of closing, repeatable."""
    if end_by_clock(attempt=attempt, now=timezone.now()):
        return
    if attempt.session_id is not None:
        expire_and_settle(shop=shop, session_id=attempt.session_id, account=attempt.stripe_account)
    else:
        resend(shop=shop, attempt=attempt)


def expire_and_settle(*, shop: ShopContext, session_id: str, account: str) -> None:
    """Expires a session at Stripe and applies what Stripe says then. An unreachable Stripe changes nothing."""
    try:
        expire_session(access_for_account(shop, account), session_id)
        settle_subscribing(shop=shop, session_id=session_id, account=account)
    except StripeFailure as failure:
        log.warning("closing_postponed", session_id=session_id, error=str(failure))


def resend(*, shop: ShopContext, attempt: SubscribeAttempt) -> None:
    """Sends the stored request again under its stored key. Nothing happens while somebody else is at it; when Stripe
    still doesn't say, the attempt stays as it is.
    """
    now = timezone.now()
    if now > attempt.created_at + RESEND_LIMIT or not take_lease(attempt=attempt, now=now, sending=True):
        return
    access = access_for_account(shop, attempt.stripe_account)
    try:
        session = create_session(access, params=attempt.stripe_params, key=attempt.stripe_key)  # no tx
    except StripeFailure as failure:
        settle_failure(attempt=attempt, failure=failure, classify=settings.ENABLE_STRIPE_ERROR_CLASSIFICATION)
        return
    if not record_session(attempt=attempt, session=session, livemode=access.scope.livemode):
        drop_lease(attempt=attempt)
        expire_and_settle(shop=shop, session_id=session.id, account=attempt.stripe_account)

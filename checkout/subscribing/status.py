"""What the thank-you page of a subscriber asks. The session's id is the secret; nothing answered names a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import Q
from django.utils import timezone

from checkout.errors import SessionUnknown
from checkout.subscribing.attempts import Outcome, State
from checkout.subscribing.models import SubscribeAttempt
from checkout.subscribing.settle import settle_subscribing
from commerce.gateway.failures import StripeFailure
from commerce.plans.offers import Terms, terms_of
from inventory.errors import InventoryBusy
from tenants.context import ShopContext
from tenants.errors import CredentialsUnusable

log = structlog.get_logger(__name__)

SESSION_ID: Final = re.compile(r"\Acs_[A-Za-z0-9_]{1,250}\Z")
ASK_STRIPE_AFTER: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """`status`: processing while nobody has been told yet, confirmed, or canceled when it can't be paid any more.

    `subscription_id` is Stripe's, empty until there is one.
    """

    session_id: str
    status: str
    subscription_id: str
    terms: Terms
    quantity: int


def subscribed(*, shop: ShopContext, session_id: str) -> Subscribed | None:
    """What became of a session that sells a subscription; None for a session that doesn't. Settles it by the webhook's
    own verb when its event is late.
    """
    attempts = SubscribeAttempt.objects.for_shop(shop.shop_id).select_related("version__plan")
    attempt = attempts.filter(session_id=session_id).first() if SESSION_ID.match(session_id) else None
    if attempt is None:
        return None
    asked_before = attempt.polled_at is not None
    if attempt.state != State.CLOSED and _may_ask_stripe(attempt, now=timezone.now()):
        try:
            settle_subscribing(shop=shop, session_id=session_id)
        except (StripeFailure, InventoryBusy, SessionUnknown, CredentialsUnusable) as failure:
            log.warning("status_without_stripe", session_id=session_id, error=str(failure))
        attempt.refresh_from_db()
    if attempt.state != State.CLOSED:
        # Whoever comes back from the payment page has most likely paid: until Stripe has been asked, that is assumed.
        status = "pending" if asked_before else "processing"
    else:
        status = "confirmed" if attempt.outcome == Outcome.COMPLETED else "canceled"
    return Subscribed(session_id, status, attempt.subscription_id, terms_of(attempt.version), attempt.quantity)


def _may_ask_stripe(attempt: SubscribeAttempt, *, now: datetime) -> bool:
    """One caller at a time, at most every few seconds; the first look only starts the clock."""
    due = Q(polled_at__isnull=True) | Q(polled_at__lte=now - ASK_STRIPE_AFTER)
    claimed = SubscribeAttempt.objects.for_shop(attempt.shop_id).filter(due, pk=attempt.pk).update(polled_at=now)
    return bool(claimed) and attempt.polled_at is not None

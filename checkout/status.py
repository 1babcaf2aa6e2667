"""What the thank-you page asks: is the order finalised? The session's id is the secret; order ids open nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Q
from django.utils import timezone

from checkout.contracts import Amounts
from checkout.errors import SessionUnknown
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from checkout.subscribing.status import subscribed
from commerce.gateway.failures import StripeFailure
from commerce.models import Order, OrderLine
from inventory.errors import InventoryBusy
from tenants.context import ShopContext
from tenants.errors import CredentialsUnusable, NotFound

log = structlog.get_logger(__name__)
Status = Order.Status

# The event usually settles the order within this; only then is Stripe asked again, and not more often.
ASK_STRIPE_AFTER = timedelta(seconds=3)
RETRY_AFTER_MS = 1000

SESSION_ID = re.compile(r"\Acs_[A-Za-z0-9_]{1,250}\Z")
UNSETTLED = {Status.PENDING, Status.PROCESSING, Status.AUTHORISED}
PUBLIC_STATUS = {
    Status.PENDING: "pending",
    Status.PROCESSING: "processing",
    Status.AUTHORISED: "processing",
    Status.CONFIRMED: "confirmed",
    Status.REVIEW: "review",
    Status.FAILED: "canceled",
    Status.CANCELED: "canceled",
    Status.REFUNDED: "refunded",
}


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """`retry_after_ms` is set while asking again makes sense; `order_id` and `number` once the order is finalised."""

    status: str
    finalised: bool
    order_id: UUID | None
    number: str | None
    retry_after_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What a thank-you page shows. Amounts in minor units of `currency`."""

    session_id: str
    status: str
    payment_status: str
    order_status: str
    lines: Sequence[OrderLine]
    amounts: Amounts
    currency: str


def order_status(*, shop: ShopContext, session_id: str) -> OrderStatus:
    """The order behind a session. Settles it by the webhook's own verb when its event is late. Raises NotFound."""
    if (found := subscribed(shop=shop, session_id=session_id)) is not None:
        finalised = found.status in {"confirmed", "canceled"}
        return OrderStatus(found.status, finalised, None, None, None if finalised else RETRY_AFTER_MS)
    attempt = _attempt(shop, session_id)
    asked_before = attempt.polled_at is not None
    if attempt.order.status in UNSETTLED and _may_ask_stripe(attempt, now=timezone.now()):
        try:
            settle_session(shop=shop, session_id=session_id)
        except (StripeFailure, InventoryBusy, SessionUnknown, CredentialsUnusable) as failure:
            log.warning("status_without_stripe", session_id=session_id, error=str(failure))
        attempt.order.refresh_from_db()
    order = attempt.order
    if order.status in UNSETTLED:
        # Whoever comes back from the payment page has most likely paid: until Stripe has been asked, that is assumed.
        assumed = "pending" if asked_before else "processing"
        status = assumed if order.status == Status.PENDING else PUBLIC_STATUS[Status(order.status)]
        return OrderStatus(status, False, None, None, RETRY_AFTER_MS)
    return OrderStatus(PUBLIC_STATUS[Status(order.status)], True, order.pk, order.number, None)


def session_summary(*, shop: ShopContext, session_id: str) -> SessionSummary:
    """Lines and amounts of a session's order, from our own records. Raises NotFound."""
    attempt = _attempt(shop, session_id)
    order = attempt.order
    session_status = {
        CheckoutAttempt.Outcome.COMPLETED: "complete",
        CheckoutAttempt.Outcome.NONE: "open",
    }.get(CheckoutAttempt.Outcome(attempt.outcome), "expired")
    paid = order.status in {Status.CONFIRMED, Status.REVIEW, Status.REFUNDED}
    return SessionSummary(
        session_id=session_id,
        status=session_status,
        payment_status="paid" if paid else "unpaid",
        order_status=PUBLIC_STATUS[Status(order.status)],
        lines=list(order.lines.all()),
        amounts=Amounts(
            subtotal=order.subtotal_amount,
            discount=order.discount_amount,
            shipping=order.shipping_amount,
            tax=order.tax_amount,
            deposit=order.deposit_amount,
            total=order.total_amount,
            deposit_authorised=order.deposit_authorised_amount,
        ),
        currency=order.currency,
    )


def _attempt(shop: ShopContext, session_id: str) -> CheckoutAttempt:
    attempts = CheckoutAttempt.objects.for_shop(shop.shop_id).select_related("order")
    attempt = attempts.filter(session_id=session_id).first() if SESSION_ID.match(session_id) else None
    if attempt is None:
        raise NotFound("There is no such checkout session.")
    return attempt


def _may_ask_stripe(attempt: CheckoutAttempt, *, now: datetime) -> bool:
    """One caller at a time, at most every few seconds; the first look only starts the clock."""
    due = Q(polled_at__isnull=True) | Q(polled_at__lte=now - ASK_STRIPE_AFTER)
    claimed = CheckoutAttempt.objects.filter(due, pk=attempt.pk, shop_id=attempt.shop_id).update(polled_at=now)
    return bool(claimed) and attempt.polled_at is not None

"""Checkout sessions: every event about one says the same, "look at it again"."""

from __future__ import annotations

from django.utils import timezone

from checkout.metrics import CONFIRMED_SECONDS
from checkout.models import CheckoutAttempt
from checkout.settle import SessionVerdict, attempt_behind, judge_session, settle_session
from checkout.subscribing.settle import settle_subscribing
from commerce.gateway.client import access_for_account, read_session
from commerce.models import Order
from commerce.orders.states import may_move
from tenants.context import ShopContext
from webhooks.envelope import Envelope
from webhooks.handlers import charge

SUBSCRIPTION = "subscription"
# A paid order stays what it is, whatever is said of its session afterwards.
SETTLED = frozenset({Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED})


def settle(shop: ShopContext, event: Envelope) -> None:
    """Settles the event's session by what Stripe says now, so that late and disordered events can't mislead."""
    if event.object.get("mode") == SUBSCRIPTION:
        settle_subscribing(shop=shop, session_id=event.object_id, account=event.account)
        return
    if charge.settled(shop, event):
        return
    settlement = settle_session(shop=shop, session_id=event.object_id, account=event.account)
    if settlement.changed and settlement.verdict is SessionVerdict.PAID:
        waited = (timezone.now() - event.created_at).total_seconds()
        CONFIRMED_SECONDS.labels(shop_id=shop.shop_id).observe(max(0.0, waited))


# What a verdict makes of an order, where it may still move there.
LEADS_TO = {
    SessionVerdict.PAID: Order.Status.CONFIRMED,
    SessionVerdict.PROCESSING: Order.Status.PROCESSING,
    SessionVerdict.PAYMENT_FAILED: Order.Status.FAILED,
    SessionVerdict.EXPIRED: Order.Status.CANCELED,
}
SAID = {
    SessionVerdict.OPEN: "it is open, the customer may still pay",
    SessionVerdict.PAID: "it is paid",
    SessionVerdict.PROCESSING: "its payment is under way",
    SessionVerdict.PAYMENT_FAILED: "its payment failed",
    SessionVerdict.EXPIRED: "it expired",
}


def foretell(shop: ShopContext, event: Envelope) -> str:
    """What `settle` would do now, from Stripe's word and the order's state. Writes nothing; raises as it would."""
    if event.object.get("mode") == SUBSCRIPTION:
        session = read_session(access_for_account(shop, event.account), event.object_id)
        return f"Stripe says of the session that {SAID[judge_session(session)]}. It sells a subscription, and no order."
    return charge.link_foretold(shop, event) or foretell_session(shop, event.object_id, event.account)


def foretell_session(shop: ShopContext, session_id: str, account: str) -> str:
    access = access_for_account(shop, account)
    session = read_session(access, session_id)
    attempts = CheckoutAttempt.objects.for_shop(shop.shop_id).select_related("order")
    attempt = attempts.filter(session_id=session_id).first()
    if attempt is None:
        attempt = attempts.get(pk=attempt_behind(CheckoutAttempt, shop=shop, access=access, session=session))
    verdict, order = judge_session(session), attempt.order
    now = (
        f"Stripe says of the session that {SAID[verdict]}. Order {order.number} is {order.get_status_display().lower()}"
    )
    to = LEADS_TO.get(verdict)
    if to is None or order.status in SETTLED or not may_move(order.status, to):
        return f"{now}, and stays so."
    stock = " if its stock can still be had, else it would need review" if to == Order.Status.CONFIRMED else ""
    return f"{now}, and would become {to.label.lower()}{stock}."

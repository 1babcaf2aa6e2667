"""Payments that checkouts made: what their session's events may not tell.

A payment that lands after its session expired, a bank debit that bounces, an authorisation that lapses: each is a
reason to look at the session again, and the session's state at Stripe decides.
"""

from __future__ import annotations

from uuid import UUID

from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from tenants.context import ShopContext
from webhooks.envelope import Envelope
from webhooks.handlers import charge
from webhooks.handlers.checkout_session import SETTLED, foretell_session


def look(shop: ShopContext, event: Envelope) -> None:
    """Settles the session behind a payment or its charge, unless its order is settled for good.

    A payment without a checkout of ours, or whose session we don't know yet, is left alone: the resolver learns the
    session and settles it then.
    """
    if charge.looked(shop, event):
        return
    attempt = _attempt(shop.shop_id, event)
    if attempt is not None and attempt.order.status not in SETTLED:
        settle_session(shop=shop, session_id=str(attempt.session_id), account=event.account)


def foretell(shop: ShopContext, event: Envelope) -> str:
    """What `look` would do now. Writes nothing."""
    if (told := charge.foretold(shop, event)) is not None:
        return told
    attempt = _attempt(shop.shop_id, event)
    if attempt is None:
        return "It is no payment of a checkout here: nothing would change."
    if attempt.order.status in SETTLED:
        return f"Order {attempt.order.number} is {attempt.order.get_status_display().lower()}, and stays so."
    return foretell_session(shop, str(attempt.session_id), event.account)


def _attempt(shop_id: str, event: Envelope) -> CheckoutAttempt | None:
    """By the order in the metadata, which charges have from their payment; else by the payment."""
    attempts = CheckoutAttempt.objects.for_shop(shop_id).select_related("order").filter(session_id__isnull=False)
    metadata = event.object.get("metadata")
    try:
        named = UUID(str(metadata.get("order_id"))) if isinstance(metadata, dict) else None
    except ValueError:
        named = None  # metadata of somebody else's making
    if named is not None:
        return attempts.filter(order_id=named).first()
    payment = event.object_id if event.object.get("object") == "payment_intent" else event.object.get("payment_intent")
    if not isinstance(payment, str) or not payment:
        return None
    return attempts.filter(order__stripe_account=event.account, order__payment_intent_id=payment).first()

"""Payment intents: of those that checkouts made, only a success says something their session's events may not."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.models import Order
from tenants.context import ShopContext
from webhooks.envelope import Envelope

SETTLED = {Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED}


def succeeded(shop: ShopContext, event: Envelope) -> None:
    """Settles the session of a paid intent. A payment that lands after its session expired is announced here alone."""
    metadata = event.object.get("metadata")
    order_id = metadata.get("order_id") if isinstance(metadata, dict) else None
    attempts = CheckoutAttempt.objects.for_shop(shop.shop_id).select_related("order")
    try:
        attempt = attempts.filter(order_id=order_id, session_id__isnull=False).first() if order_id else None
    except ValidationError:
        attempt = None  # metadata of somebody else's making
    if attempt is not None and attempt.order.status not in SETTLED:
        settle_session(shop=shop, session_id=str(attempt.session_id), account=event.account)

"""Checkout sessions: every event about one says the same, "look at it again"."""

from __future__ import annotations

from django.utils import timezone

from checkout.metrics import CONFIRMED_SECONDS
from checkout.settle import SessionVerdict, settle_session
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def settle(shop: ShopContext, event: Envelope) -> None:
    """Settles the event's session by what Stripe says now, so that late and disordered events can't mislead."""
    settlement = settle_session(shop=shop, session_id=event.object_id, account=event.account)
    if settlement.changed and settlement.verdict is SessionVerdict.PAID:
        waited = (timezone.now() - event.created_at).total_seconds()
        CONFIRMED_SECONDS.labels(shop_id=shop.shop_id).observe(max(0.0, waited))

"""Disputes: every event about one says the same, "look at it again"."""

from __future__ import annotations

from commerce.disputes.mirror import mirror_dispute
from commerce.gateway.client import access_for_account
from commerce.gateway.reads import read_dispute
from commerce.models import Dispute
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def look(shop: ShopContext, event: Envelope) -> None:
    mirror_dispute(shop=shop, account=event.account, dispute_id=event.object_id)


def foretell(shop: ShopContext, event: Envelope) -> str:
    """What `look` would write now. Writes nothing."""
    facts = read_dispute(access_for_account(shop, event.account), event.object_id)
    rows = Dispute.objects.for_shop(shop.shop_id).filter(stripe_account=event.account, dispute_id=facts.id)
    known = rows.values_list("status", flat=True).first()
    return f"Stripe says that the dispute is {facts.status}; known here: {known or 'nothing'}."

"""Subscriptions and invoices: mirrored as Stripe has them now."""

from __future__ import annotations

from commerce.gateway.client import access_for_account
from commerce.gateway.reads import read_invoice, read_subscription
from commerce.models import Invoice, Subscription
from commerce.subscriptions.mirror import mirror_invoice, mirror_subscription
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def subscription(shop: ShopContext, event: Envelope) -> None:
    mirror_subscription(shop=shop, account=event.account, subscription_id=event.object_id)


def invoice(shop: ShopContext, event: Envelope) -> None:
    mirror_invoice(shop=shop, account=event.account, invoice_id=event.object_id)


def foretell_subscription(shop: ShopContext, event: Envelope) -> str:
    """What `subscription` would write now. Writes nothing."""
    facts = read_subscription(access_for_account(shop, event.account), event.object_id)
    rows = Subscription.objects.for_shop(shop.shop_id).filter(stripe_account=event.account, subscription_id=facts.id)
    known = rows.values_list("status", flat=True).first()
    return f"Stripe says that the subscription is {facts.status}; known here: {known or 'nothing'}."


def foretell_invoice(shop: ShopContext, event: Envelope) -> str:
    """What `invoice` would write now. Writes nothing."""
    facts = read_invoice(access_for_account(shop, event.account), event.object_id)
    rows = Invoice.objects.for_shop(shop.shop_id).filter(stripe_account=event.account, invoice_id=facts.id)
    known = rows.values_list("status", flat=True).first()
    return f"Stripe says that the invoice is {facts.status}; known here: {known or 'nothing'}."

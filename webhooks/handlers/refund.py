"""Refunds, ours and those made in Stripe's dashboard: whatever the event says, the newest reading counts."""

from __future__ import annotations

from commerce.returns.errors import RefundWithoutOrder
from commerce.returns.mirror import mirror_payment, mirror_refund
from commerce.returns.restocking import restock_return
from commerce.subscriptions.booking import mirror_invoice_refund, mirror_invoice_refunds
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def changed(shop: ShopContext, event: Envelope) -> None:
    """`refund.created`, `refund.updated`, `refund.failed`."""
    try:
        row = mirror_refund(shop=shop, account=event.account, refund_id=event.object_id)
    except RefundWithoutOrder:
        if not mirror_invoice_refund(shop=shop, account=event.account, refund_id=event.object_id):
            raise
        return
    if row.returned_id is not None:
        restock_return(shop_id=shop.shop_id, return_id=row.returned_id)


def of_charge(shop: ShopContext, event: Envelope) -> None:
    """`charge.refunded`: its refunds aren't part of it, so all of the payment's are read. An authorisation that was
    let go says the same, without any.
    """
    intent_id = str(event.object.get("payment_intent") or "")
    if not intent_id:
        return
    try:
        mirror_payment(shop=shop, account=event.account, intent_id=intent_id)
    except RefundWithoutOrder:
        if not mirror_invoice_refunds(shop=shop, account=event.account, intent_id=intent_id):
            raise

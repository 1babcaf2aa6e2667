"""Refunds, ours and those made in Stripe's dashboard: whatever the event says, the newest reading counts."""

from __future__ import annotations

from commerce.returns.mirror import mirror_payment, mirror_refund
from commerce.returns.restocking import restock_return
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def changed(shop: ShopContext, event: Envelope) -> None:
    """`refund.created`, `refund.updated`, `refund.failed`."""
    row = mirror_refund(shop=shop, account=event.account, refund_id=event.object_id)
    if row.returned_id is not None:
        restock_return(shop_id=shop.shop_id, return_id=row.returned_id)


def of_charge(shop: ShopContext, event: Envelope) -> None:
    """`charge.refunded`: its refunds aren't part of it, so all of the payment's are read. An authorisation that was
    let go says the same, without any.
    """
    intent_id = str(event.object.get("payment_intent") or "")
    if intent_id:
        mirror_payment(shop=shop, account=event.account, intent_id=intent_id)

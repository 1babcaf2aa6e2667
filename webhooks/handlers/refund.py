"""Refunds, ours and those made in Stripe's dashboard: whatever the event says, the newest reading counts.

A refund is of an order's payment, of a subscription's, or of what was charged to a saved card.
"""

from __future__ import annotations

from commerce.charges.refunds import mirror_charge_refund, mirror_charge_refunds
from commerce.models import Refund
from commerce.returns.errors import RefundWithoutOrder
from commerce.returns.mirror import mirror_payment, mirror_refund
from commerce.returns.restocking import restock_return
from commerce.subscriptions.booking import mirror_invoice_refund, mirror_invoice_refunds
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def changed(shop: ShopContext, event: Envelope) -> None:
    """`refund.created`, `refund.updated`, `refund.failed`."""
    row = read_again(shop=shop, account=event.account, refund_id=event.object_id)
    if row is not None and row.returned_id is not None:
        restock_return(shop_id=shop.shop_id, return_id=row.returned_id)


def read_again(*, shop: ShopContext, account: str, refund_id: str) -> Refund | None:
    """Books a refund by what Stripe says of it now, whatever it is of; its row where it is an order's.

    Raises RefundWithoutOrder when it is of nothing here, StripeFailure, MoneyReserved, InventoryBusy.
    """
    try:
        return mirror_refund(shop=shop, account=account, refund_id=refund_id)
    except RefundWithoutOrder:
        if not (
            mirror_charge_refund(shop=shop, account=account, refund_id=refund_id)
            or mirror_invoice_refund(shop=shop, account=account, refund_id=refund_id)
        ):
            raise
    return None


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
        if not (
            mirror_charge_refunds(shop=shop, account=event.account, intent_id=intent_id)
            or mirror_invoice_refunds(shop=shop, account=event.account, intent_id=intent_id)
        ):
            raise

"""Charges: what Stripe kept of one is known when it has booked it, which this event says."""

from __future__ import annotations

from django.utils import timezone

from commerce.ledger.fees import PAID, post_fee
from commerce.models import Invoice, Order
from commerce.subscriptions.booking import book_payment, is_due_for_booking
from tenants.context import ShopContext
from webhooks.envelope import Envelope
from webhooks.handlers import charge


def booked(shop: ShopContext, event: Envelope) -> None:
    """Posts the fee of a settled order's charge. One that isn't settled yet is found by the sweep: this event is often
    sooner than the session's.
    """
    if charge.looked(shop, event):
        return
    intent_id = str(event.object.get("payment_intent") or "")
    orders = Order.objects.for_shop(shop.shop_id).filter(stripe_account=event.account, payment_intent_id=intent_id)
    order = orders.filter(status__in=PAID, balance_transaction_id="").first() if intent_id else None
    if order is not None:
        post_fee(shop=shop, order_id=order.pk, now=timezone.now())
    elif intent_id:
        invoices = Invoice.objects.for_shop(shop.shop_id).filter(stripe_account=event.account)
        invoice = invoices.filter(payment_intent_id=intent_id).first()
        if invoice is not None and is_due_for_booking(invoice):
            book_payment(shop=shop, invoice_id=invoice.pk, now=timezone.now())

"""Refunds of what was paid elsewhere: recorded and booked here, given back by hand. Stripe is never asked."""

from __future__ import annotations

from datetime import datetime

from commerce.ledger.postings import post_external_refund_within
from commerce.orders.models import Order
from commerce.orders.orders import advance_order_within
from commerce.returns.mirror import finish_return_within
from commerce.returns.models import Refund, Return


def settle_external_within(*, order: Order, made: Return, now: datetime) -> None:
    """Turns a return's reserved refunds into done ones, in the transaction that reserved them: there is no answer to
    wait for. The order is locked.
    """
    for row in Refund.objects.for_shop(order.shop_id).filter(returned=made, status=Refund.Status.SENDING):
        row.status, row.refund_id, row.lease_until = Refund.Status.SUCCEEDED, f"external:{row.pk}", None
        row.stripe_key, row.stripe_params, row.sends = "", {}, 0
        row.save()
        post_external_refund_within(order=order, refund=row, now=now)
        finish_return_within(order=order, row=row)
    if order.refunded_amount == order.total_amount:
        advance_order_within(order=order, to=Order.Status.REFUNDED, now=now)

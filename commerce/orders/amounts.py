"""Stripe charged another amount than we had computed: Stripe's counts (O1), and staff say that they have seen why."""

from __future__ import annotations

from uuid import UUID

from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from tenants.audit import Actor, record_audit
from tenants.errors import NotFound, WrongState


def accept_amounts(*, shop_id: str, order_id: UUID, reason: str, acting: Actor) -> Order:
    """Takes the order off the list of differing amounts. Nothing else changes: what was charged was charged. Audited.

    Raises NotFound, WrongState when there is no difference to accept.
    """
    with order_tx(shop_id):
        if not Order.objects.for_shop(shop_id).filter(pk=order_id).exists():
            raise NotFound("There is no such order.")
        order = order_for_update(shop_id=shop_id, order_id=order_id)
        if not order.amount_differs:
            raise WrongState("Its amounts don't differ, or somebody has accepted them.")
        order.amount_differs = False
        order.save(update_fields=["amount_differs"])
        record_audit(
            shop_id=shop_id,
            acting=acting,
            action="order.amounts_accepted",
            object_type="order",
            object_id=order.pk,
            reason=reason,
            data={
                "charged": order.total_amount,
                "computed": order.expected_total_amount,
                "currency": order.currency,
            },
        )
        return order

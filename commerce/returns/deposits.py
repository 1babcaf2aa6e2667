"""Deposits that aren't given back. Released ones are refunds like any other (refunding.py)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from commerce.ledger.postings import post_deposit_kept_within
from commerce.money import format_minor, require_minor
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from commerce.returns.claiming import REFUNDABLE, balance_of
from commerce.returns.errors import RefundExceedsPayment
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound, WrongState


def keep_deposit(
    *, shop_id: str, order_id: UUID, amount: int, reason: str, key: str, acting: Actor, now: datetime
) -> bool:
    """Keeps `amount` (minor units) of an order's deposit, once per key; it can't be refunded from then on. Audited.

    False when the key was used before. Raises NotFound, WrongState, RefundExceedsPayment, InvalidRequest.
    """
    with order_tx(shop_id):
        if not Order.objects.for_shop(shop_id).filter(pk=order_id).exists():
            raise NotFound("There is no such order.")
        order = order_for_update(shop_id=shop_id, order_id=order_id)
        return keep_deposit_within(order=order, amount=amount, reason=reason, key=key, acting=acting, now=now)


def keep_deposit_within(*, order: Order, amount: int, reason: str, key: str, acting: Actor, now: datetime) -> bool:
    """As `keep_deposit`, on an order that the caller has locked."""
    if require_minor(amount) <= 0:
        raise InvalidRequest("A deposit is kept by an amount above 0.", {"amount": ["A whole number above 0."]})
    if order.status not in REFUNDABLE:
        raise WrongState(f"Order {order.number} is {order.get_status_display().lower()}: it holds no deposit.")
    posted = f"{order.pk}:{key}"
    left = balance_of(order).deposit_left
    if order.journal_entries.filter(kind="deposit_kept", reference=posted).exists():
        return False
    if amount > left:
        raise RefundExceedsPayment(left, order.currency, of="deposit")
    order.deposit_kept_amount += amount
    order.save(update_fields=["deposit_kept_amount"])
    post_deposit_kept_within(order=order, reference=posted, amount=amount, memo=reason, now=now)
    record_audit(
        shop_id=order.shop_id,
        acting=acting,
        action="deposit.kept",
        object_type="order",
        object_id=order.pk,
        reason=reason,
        data={"amount": amount, "currency": order.currency, "shown": format_minor(amount, order.currency, "en")},
    )
    return True

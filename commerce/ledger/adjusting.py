"""Adjustments: what the books need that no event of Stripe's says. By people, with a reason."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from commerce.ledger.accounts import BY_NAME
from commerce.ledger.journal import Posting, post_within
from commerce.ledger.models import JournalEntry
from commerce.money import require_minor
from commerce.orders.locks import order_tx
from commerce.orders.models import Order
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound


def adjust_journal(
    *,
    shop_id: str,
    order_id: UUID,
    debit: str,
    credit: str,
    amount: int,
    reason: str,
    key: str,
    acting: Actor,
    now: datetime,
) -> bool:
    """Books `amount` (minor units of the order's currency) from account `credit` to account `debit`, once per key.

    False when the key was used before. Audited. Raises InvalidRequest, NotFound.
    """
    if require_minor(amount) <= 0:
        raise InvalidRequest("An adjustment moves something.", {"amount": ["Above 0."]})
    if debit == credit or debit not in BY_NAME or credit not in BY_NAME:
        raise InvalidRequest("An adjustment names two different accounts.", {"debit": ["Not these two."]})
    with order_tx(shop_id):
        order = Order.objects.for_shop(shop_id).filter(pk=order_id).first()
        if order is None:
            raise NotFound("There is no such order.")
        posted = post_within(
            Posting(
                shop_id=shop_id,
                kind=JournalEntry.Kind.ADJUSTMENT,
                reference=f"{order.pk}:{key}",
                currency=order.currency,
                order_id=order.pk,
                memo=reason,
                request_id=order.request_id,
                amounts={debit: amount, credit: -amount},
            ),
            now=now,
        )
        if posted:
            record_audit(
                shop_id=shop_id,
                acting=acting,
                action="journal.adjusted",
                object_type="order",
                object_id=order.pk,
                reason=reason,
                data={"debit": debit, "credit": credit, "amount": amount, "currency": order.currency},
            )
    return posted

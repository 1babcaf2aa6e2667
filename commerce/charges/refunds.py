"""What went back of a charge on a saved card. Such refunds are made at Stripe: an order's have their desk here. By what
Stripe says of each now, in one transaction: order → charge → journal.
"""

from __future__ import annotations

from typing import Final

from django.utils import timezone

from commerce.charges.models import Charge
from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.refunds import RefundFacts, read_refund, refunds_of
from commerce.ledger.postings import post_charge_refund_reversal_within, post_charge_refund_within
from commerce.orders.locks import order_for_update, order_tx
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership

STRIPE: Final = Actor("system", "stripe")


def mirror_charge_refund(*, shop: ShopContext, account: str, refund_id: str) -> bool:
    """Books a refund of a charge by what Stripe says of it now. False where it is of none of this shop's.

    Raises StripeFailure, InventoryBusy; nothing is written then.
    """
    access = access_for_account(shop, account)
    return _book(shop, access, read_refund(access, refund_id))  # no tx


def mirror_charge_refunds(*, shop: ShopContext, account: str, intent_id: str) -> bool:
    """The same for every refund of a payment. False where it is no charge's, or has none."""
    access = access_for_account(shop, account)
    found = refunds_of(access, intent_id)  # no tx
    booked = [_book(shop, access, facts) for facts in reversed(found)]
    return bool(booked) and all(booked)


def charge_of(*, shop_id: str, account: str, intent_id: str) -> Charge | None:
    """The charge that a payment collected; None for a payment of something else."""
    if not intent_id:
        return None
    return Charge.objects.for_shop(shop_id).filter(stripe_account=account, payment_intent_id=intent_id).first()


def _book(shop: ShopContext, access: StripeAccess, facts: RefundFacts) -> bool:
    row = charge_of(shop_id=shop.shop_id, account=access.scope.account, intent_id=facts.intent_id)
    if row is None:
        return False
    now = timezone.now()
    with order_tx(shop.shop_id):
        order = order_for_update(shop_id=shop.shop_id, order_id=row.order_id)
        row = Charge.objects.for_shop(shop.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        record_ownership(scope=access.scope, shop_id=shop.shop_id, objects=[("refund", facts.id)], source="refund")
        if facts.taken is not None and post_charge_refund_within(
            order=order, charge=row, refund_id=facts.id, txn=facts.taken, amount=facts.amount, now=now
        ):
            _count(row, facts, facts.amount, "charge.refunded", "Made at Stripe")
        if facts.returned is not None and post_charge_refund_reversal_within(
            order=order, refund_id=facts.id, txn=facts.returned, amount=facts.amount, now=now
        ):
            _count(row, facts, -facts.amount, "charge.refund_came_back", facts.failure_reason)
    return True


def _count(row: Charge, facts: RefundFacts, change: int, action: str, reason: str) -> None:
    """The journal posts each movement once; so this counts it once."""
    row.refunded_amount += change
    row.save(update_fields=["refunded_amount"])
    record_audit(
        shop_id=row.shop_id,
        acting=STRIPE,
        action=action,
        object_type="order",
        object_id=row.order_id,
        reason=reason,
        data={"charge": str(row.pk), "refund": facts.id, "amount": facts.amount, "currency": facts.currency},
    )

"""A refund as Stripe has it, brought into its row, the order and the journal. The newest reading counts, and only it.

Whoever comes with an older stamp than the row's changes nothing: events may arrive late, twice and in disorder.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.db.models import Sum
from django.utils import timezone

from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.refunds import RefundFacts, read_refund, refunds_of
from commerce.gateway.stamps import take_stamp
from commerce.ledger.postings import post_refund_reversal_within, post_refund_within
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from commerce.orders.orders import follow_refunds_within
from commerce.returns.claiming import balance_of, count_within, uncount_lines_within
from commerce.returns.errors import MoneyReserved, RefundWithoutOrder
from commerce.returns.models import Refund, Return
from commerce.returns.shares import mirrored_parts, tax_part
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)
Status = Refund.Status

STRIPE: Final = Actor("system", "stripe")
# Stripe's statuses that are ours under the same name. One that isn't here says nothing we could act on.
KNOWN: Final = frozenset({"pending", "requires_action", "succeeded", "failed", "canceled"})


def mirror_refund(*, shop: ShopContext, account: str, refund_id: str) -> Refund:
    """Reads one refund and applies it.

    Raises StripeFailure, RefundWithoutOrder, MoneyReserved, InventoryBusy; writes nothing then.
    """
    access = access_for_account(shop, account)
    stamp = take_stamp()
    facts = read_refund(access, refund_id)  # no tx
    return apply_refund(shop=shop, access=access, facts=facts, stamp=stamp)


def mirror_payment(*, shop: ShopContext, account: str, intent_id: str) -> list[Refund]:
    """The same for every refund of a payment. Raises as `mirror_refund`."""
    access = access_for_account(shop, account)
    stamp = take_stamp()
    found = refunds_of(access, intent_id)  # no tx
    return [apply_refund(shop=shop, access=access, facts=facts, stamp=stamp) for facts in reversed(found)]


def apply_refund(*, shop: ShopContext, access: StripeAccess, facts: RefundFacts, stamp: int) -> Refund:
    """Brings row, order and journal to what was read, in one transaction: order → refund → journal.

    Raises RefundWithoutOrder when the payment is no order's of this shop, MoneyReserved when one of ours that isn't
    answered reserves what it took.
    """
    order_id = _order_behind(shop_id=shop.shop_id, access=access, facts=facts)
    with order_tx(shop.shop_id):
        now = timezone.now()
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id)
        row = _row_within(order=order, access=access, facts=facts, now=now)
        record_ownership(scope=access.scope, shop_id=shop.shop_id, objects=[("refund", facts.id)], source="refund")
        if stamp > row.read_stamp and facts.status in KNOWN:
            _follow_within(order=order, row=row, facts=facts, stamp=stamp, now=now)
        _post_within(order=order, row=row, facts=facts, now=now)
    log.info("refund_read", refund_id=facts.id, status=row.status, order_id=str(order.pk))
    return row


def settle_unmade_within(*, order: Order, row: Refund, reason: str) -> None:
    """A refund that Stripe certainly never made: its amount is free again. The order is locked."""
    _move_within(order=order, row=row, status=Status.FAILED, reason=reason)
    row.failure_reason, row.lease_until = reason[:200], None
    row.save(update_fields=["status", "failure_reason", "lease_until", "refusals"])
    finish_return_within(order=order, row=row)


def finish_return_within(*, order: Order, row: Refund) -> None:
    """Once Stripe has spoken of all of a return's refunds it is accepted, or refused as a whole if none was made."""
    if row.returned_id is None:
        return
    made = Return.objects.for_shop(row.shop_id).select_for_update(no_key=True).get(pk=row.returned_id)
    if made.status != Return.Status.OPEN:
        return
    refunds = list(made.refunds.all())
    if any(refund.status in Refund.ASKED for refund in refunds):
        return
    if all(refund.refund_id is None for refund in refunds):
        made.status, made.restock = Return.Status.REFUSED, Return.Restock.NONE
        uncount_lines_within(made)
    else:
        made.status = Return.Status.ACCEPTED
    made.save(update_fields=["status", "restock"])


def _order_behind(*, shop_id: str, access: StripeAccess, facts: RefundFacts) -> UUID:
    orders = Order.objects.for_shop(shop_id).filter(stripe_account=access.scope.account)
    found = orders.filter(payment_intent_id=facts.intent_id).first() if facts.intent_id else None
    if found is None:
        raise RefundWithoutOrder(f"Refund {facts.id} is of {facts.intent_id or facts.charge_id}, which is no order's.")
    return found.pk


def _row_within(*, order: Order, access: StripeAccess, facts: RefundFacts, now: datetime) -> Refund:
    """The refund's row: by Stripe's id, by the row that asked for it, or a new one for what was refunded elsewhere."""
    rows = Refund.objects.for_shop(order.shop_id).select_for_update(no_key=True).filter(order=order)
    account = access.scope.account
    if (row := rows.filter(stripe_account=account, refund_id=facts.id).first()) is not None:
        return row
    if (asked := _as_uuid(facts.reference)) is not None:
        row = rows.filter(pk=asked, refund_id__isnull=True, amount=facts.amount).first()
        if row is not None:
            row.refund_id = facts.id
            # Found at Stripe although it had been given up: it counts again, below, by its status.
            return row
    return _mirrored_within(order=order, account=account, facts=facts, now=now)


def _mirrored_within(*, order: Order, account: str, facts: RefundFacts, now: datetime) -> Refund:
    balance = balance_of(order)
    goods, deposit = mirrored_parts(
        amount=facts.amount, goods_left=balance.goods_left, deposit_left=balance.deposit_left
    )
    live = order.refunds.exclude(status__in=Refund.DEAD).aggregate(tax=Sum("tax_amount"))
    tax = tax_part(
        order.tax_amount,
        order.total_amount - order.deposit_amount,
        refunded=order.refunded_amount - order.deposit_refunded_amount,
        tax_refunded=live["tax"] or 0,
        amount=goods,
    )
    row = Refund.objects.create(
        shop_id=order.shop_id,
        order=order,
        # Not counted yet: `_move_within` counts it once, by what it has become.
        status=Status.FAILED,
        currency=facts.currency,
        amount=facts.amount,
        deposit_amount=deposit,
        tax_amount=tax,
        stripe_account=account,
        refund_id=facts.id,
        created_at=now,
    )
    record_audit(
        shop_id=order.shop_id,
        acting=STRIPE,
        action="refund.mirrored",
        object_type="order",
        object_id=order.pk,
        reason="Made at Stripe",
        data={"refund": facts.id, "amount": facts.amount, "currency": facts.currency},
    )
    return row


def _follow_within(*, order: Order, row: Refund, facts: RefundFacts, stamp: int, now: datetime) -> None:
    was = row.status
    _move_within(order=order, row=row, status=Status(facts.status), reason=facts.failure_reason)
    row.read_stamp, row.lease_until = stamp, None
    row.failure_reason, row.pending_reason = facts.failure_reason[:200], facts.pending_reason[:64]
    if row.status != was:
        row.handled_at = None  # new trouble, or none: either way staff look at what is now
    row.save()
    finish_return_within(order=order, row=row)
    order_follows_within(order=order, now=now)


def order_follows_within(*, order: Order, now: datetime) -> None:
    """Brings a locked order to what its refunds amount to. Those that still wait may fail: they don't count as gone
    back, though as given away (`refunded_amount`). The order's way back is audited.
    """
    whole = (
        0 < order.total_amount == order.refunded_amount
        and not order.refunds.exclude(status__in=[Status.SUCCEEDED, *Refund.DEAD]).exists()
    )
    if follow_refunds_within(order=order, whole=whole, now=now) and not whole:
        record_audit(
            shop_id=order.shop_id,
            acting=STRIPE,
            action="order.refund_came_back",
            object_type="order",
            object_id=order.pk,
            reason="A refund failed after the order was refunded",
            data={"status": order.status, "refunded": order.refunded_amount, "currency": order.currency},
        )


def _move_within(*, order: Order, row: Refund, status: Refund.Status, reason: str) -> None:
    """Changes the row's status, and the order's refunded amount when that brings the row to life or ends it."""
    was_live, was = row.is_live, row.status
    row.status = status
    if row.is_live != was_live:
        sign = 1 if row.is_live else -1
        if sign * row.amount > order.total_amount - order.refunded_amount:
            raise MoneyReserved("A refund that Stripe hasn't answered reserves this money. That is found out first.")
        count_within(order=order, amount=sign * row.amount, deposit=sign * row.deposit_amount)
    if row.status != was:
        data: dict[str, Any] = {"refund": row.refund_id or str(row.pk), "amount": row.amount, "currency": row.currency}
        record_audit(
            shop_id=row.shop_id,
            acting=STRIPE,
            action=f"refund.{row.status}",
            object_type="order",
            object_id=order.pk,
            reason=reason,
            data=data,
        )


def _post_within(*, order: Order, row: Refund, facts: RefundFacts, now: datetime) -> None:
    """The journal follows the money, not the status: what left Stripe's balance, and what came back to it."""
    if facts.taken is not None:
        post_refund_within(order=order, refund=row, txn=facts.taken, now=now)
    if facts.returned is not None:
        post_refund_reversal_within(order=order, refund=row, txn=facts.returned, now=now)


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

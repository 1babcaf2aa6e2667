"""A dispute follows the newest read: its row, its order's flag, what it moved in the journal.

Any event about a dispute, in any order and any number, ends in the same rows.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.utils import timezone

from commerce.disputes.models import Dispute
from commerce.gateway.client import access_for_account
from commerce.gateway.reads import DisputeFacts, IntentFacts, read_dispute, read_intent
from commerce.gateway.stamps import take_stamp
from commerce.ledger.postings import post_dispute_within
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from commerce.subscriptions.booking import invoice_of_within
from tenants.audit import SETTLEMENT, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)


def mirror_dispute(*, shop: ShopContext, account: str, dispute_id: str) -> Dispute:
    """Reads a dispute of the shop's `account` and writes what is newer than what is known. Repeatable.

    Raises StripeFailure when Stripe can't be read, InventoryBusy when its order is locked for too long; nothing is
    written then. Audited when its status changes.
    """
    access = access_for_account(shop, account)
    stamp = take_stamp()
    facts = read_dispute(access, dispute_id)  # no tx
    intent = read_intent(access, facts.intent_id) if facts.intent_id else None  # no tx
    order_id = _order_of(shop.shop_id, account, intent)
    with order_tx(shop.shop_id):
        # The order first, as everywhere; it also puts the disputes of one order in a row.
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id) if order_id else None
        record_ownership(
            scope=access.scope,
            shop_id=shop.shop_id,
            objects=[
                ("dispute", facts.id),
                ("charge", facts.charge_id),
                ("payment_intent", facts.intent_id),
            ],
            source="event",
        )
        dispute = _write(shop_id=shop.shop_id, account=account, facts=facts, order=order, stamp=stamp)
        if order is not None:
            _flag(order)
            for movement in facts.movements:  # each once, by its own id, whichever read brings it
                post_dispute_within(of=order, txn=movement, now=timezone.now())
        else:
            invoice = invoice_of_within(shop_id=shop.shop_id, account=account, intent_id=facts.intent_id)
            if invoice is not None:
                for movement in facts.movements:
                    post_dispute_within(of=invoice, txn=movement, now=timezone.now())
    return dispute


def _order_of(shop_id: str, account: str, intent: IntentFacts | None) -> UUID | None:
    """The order that a payment was for: by the payment, else by what the payment itself says. A payment may be disputed
    before its session is settled here.
    """
    if intent is None:
        return None
    orders = Order.objects.for_shop(shop_id).filter(stripe_account=account)
    found = orders.filter(payment_intent_id=intent.id).values_list("pk", flat=True).first()
    if found is not None or intent.metadata.get("shop_id") != shop_id:
        return found
    try:
        named = UUID(intent.metadata.get("order_id", ""))
    except ValueError:
        return None
    return orders.filter(pk=named).values_list("pk", flat=True).first()


def _write(*, shop_id: str, account: str, facts: DisputeFacts, order: Order | None, stamp: int) -> Dispute:
    now = timezone.now()
    settled_in = facts.movements[-1].currency if facts.movements else ""
    # An account may come to be settled in another currency meanwhile: sums are of one, the journal has both.
    moved = [movement for movement in facts.movements if movement.currency == settled_in]
    fields = {
        "charge_id": facts.charge_id,
        "payment_intent_id": facts.intent_id,
        "status": facts.status[:32],
        "reason": facts.reason[:64],
        "currency": facts.currency,
        "amount": facts.amount,
        "balance_currency": settled_in,
        "withdrawn_amount": -sum(movement.amount for movement in moved),
        "fee_amount": sum(movement.fee for movement in moved),
        "refundable": facts.refundable,
        "evidence_due_by": facts.evidence_due_by,
        "read_stamp": stamp,
        "read_at": now,
    }
    dispute, made = (
        Dispute.objects.for_shop(shop_id)
        .select_for_update(no_key=True)
        .get_or_create(
            shop_id=shop_id,
            stripe_account=account,
            dispute_id=facts.id,
            defaults={**fields, "order": order, "created_at": facts.created_at},
        )
    )
    was = "" if made else dispute.status
    if not made and dispute.read_stamp >= stamp:
        return dispute
    if not made:
        dispute.order = order or dispute.order
        for name, value in fields.items():
            setattr(dispute, name, value)
        dispute.save(update_fields=["order", *fields])
    if dispute.status != was:
        log.warning(
            "dispute_moved", dispute_id=facts.id, was=was, status=dispute.status, order_id=str(order and order.pk)
        )
        record_audit(
            shop_id=shop_id,
            acting=SETTLEMENT,
            action=f"dispute.{dispute.status}",
            object_type="dispute",
            object_id=dispute.pk,
            data={"dispute": facts.id, "was": was, "amount": facts.amount, "currency": facts.currency},
        )
    return dispute


def _flag(order: Order) -> None:
    disputed = Dispute.objects.for_shop(order.shop_id).filter(order_id=order.pk).open().exists()
    if order.disputed != disputed:
        order.disputed = disputed
        order.save(update_fields=["disputed"])

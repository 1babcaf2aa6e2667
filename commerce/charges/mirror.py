"""A payment as Stripe has it, brought into its charge and the journal. The newest reading counts, and only it."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.utils import timezone

from commerce.charges.claiming import NewCharge, claim_charge_within
from commerce.charges.errors import PaymentOfNobody
from commerce.charges.judging import judge_payment
from commerce.charges.models import Charge
from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.intents import PaymentFacts, read_payment
from commerce.gateway.stamps import take_stamp
from commerce.ledger.postings import post_charge_within, post_fee_within
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)
Status = Charge.Status

STRIPE: Final = Actor("system", "stripe")


def known_charge(*, shop_id: str, account: str, intent_id: str, reference: str = "") -> Charge | None:
    """The charge behind a payment intent: by the intent, else by the row that its metadata names while that row still
    waits for an answer. None for a payment that is no charge's.
    """
    rows = Charge.objects.for_shop(shop_id).filter(stripe_account=account)
    if (row := rows.filter(payment_intent_id=intent_id).first()) is not None:
        return row
    try:
        asked = UUID(reference)
    except ValueError:
        return None
    return rows.filter(pk=asked, payment_intent_id__isnull=True, status__in=Charge.ASKED).first()


def mirror_payment(*, shop: ShopContext, row: Charge, intent_id: str, unexplained: str = "") -> Charge:
    """Reads the charge's intent and applies it. `unexplained`: what a refusal said that the intent doesn't.

    Raises StripeFailure, PaymentOfNobody, InventoryBusy; nothing is written then.
    """
    access = access_for_account(shop, row.stripe_account)
    stamp = take_stamp()
    facts = read_payment(access, intent_id)  # no tx
    return apply_payment(shop=shop, access=access, row=row, facts=facts, stamp=stamp, unexplained=unexplained)


def apply_payment(
    *, shop: ShopContext, access: StripeAccess, row: Charge, facts: PaymentFacts, stamp: int, unexplained: str = ""
) -> Charge:
    """Brings charge and journal to what was read, in one transaction: order → charge → journal."""
    with order_tx(shop.shop_id):
        now = timezone.now()
        order = order_for_update(shop_id=shop.shop_id, order_id=row.order_id)
        row = Charge.objects.for_shop(shop.shop_id).select_for_update(no_key=True).get(pk=row.pk)
        if row.payment_intent_id not in {None, facts.id}:
            raise PaymentOfNobody(f"{facts.id} isn't the payment of this charge, {row.payment_intent_id} is.")
        record_ownership(
            scope=access.scope,
            shop_id=shop.shop_id,
            objects=[("payment_intent", facts.id), ("charge", facts.charge_id)],
            source="charge",
        )
        if stamp > row.read_stamp:
            _follow_within(order=order, row=row, facts=facts, stamp=stamp, unexplained=unexplained, now=now)
    log.info("charge_read", charge=str(row.pk), status=row.status, order_id=str(row.order_id))
    return row


def _follow_within(
    *, order: Order, row: Charge, facts: PaymentFacts, stamp: int, unexplained: str, now: datetime
) -> None:
    was = row.status
    # Tried once more, it is as owed as it was: an intent that was ended meanwhile doesn't change that.
    owed = row.tries > 1 and was in Charge.ASKED
    row.status = judge_payment(facts, was=Status.DECLINED if owed else was, release=row.release)
    row.payment_intent_id, row.read_stamp, row.lease_until = facts.id, stamp, None
    row.charge_id = facts.charge_id or row.charge_id
    row.captured_amount = facts.received
    row.capture_before = facts.capture_before if row.manual else None
    row.error_code = (facts.error_code or unexplained)[:64] if row.status in Charge.OWED else ""
    if facts.received:
        post_charge_within(order=order, charge=row, now=now)
    if facts.received and facts.transaction is not None and not row.balance_transaction_id:
        row.balance_transaction_id = facts.transaction.id
        post_fee_within(of=order, txn=facts.transaction, gross=facts.received, now=now)
    row.save()
    if row.status == was:
        return
    note_within(row, acting=STRIPE, action=f"charge.{row.status}", reason=row.error_code)
    if row.status == Status.EXPIRED and row.capture_amount is not None:
        _owe_lapsed_within(order=order, row=row, now=now)


def _owe_lapsed_within(*, order: Order, row: Charge, now: datetime) -> None:
    """What was to be taken of an authorisation that lapsed before Stripe was told is still owed: off the saved card."""
    assert row.capture_amount is not None  # noqa: S101  the caller's condition
    new = NewCharge(
        purpose=Charge.Purpose.LATE_FEE,
        amount=row.capture_amount,
        key=f"instead:{row.pk}",
        reason=f"In place of a deposit that lapsed: {row.reason}",
    )
    claim_charge_within(order=order, new=new, acting=STRIPE, now=now)


def note_within(row: Charge, *, acting: Actor, action: str, reason: str = "") -> None:
    record_audit(
        shop_id=row.shop_id,
        acting=acting,
        action=action,
        object_type="order",
        object_id=row.order_id,
        reason=reason,
        data={
            "charge": str(row.pk),
            "purpose": row.purpose,
            "amount": row.amount,
            "captured": row.captured_amount,
            "currency": row.currency,
        },
    )

"""A subscription's money in the journal: each paid invoice, Stripe's fee on it, and what goes back of it.

The journal follows the money, as with orders: what moved Stripe's balance, by the object that moved it.
"""

from __future__ import annotations

import time
from datetime import datetime
from uuid import UUID

import structlog
from django.db.models import F, Q
from django.utils import timezone

from commerce.gateway.balance import read_charge
from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.failures import StripeFailure
from commerce.gateway.refunds import RefundFacts, read_refund, refunds_of
from commerce.ledger.fees import ASK_AGAIN_AFTER, RUN_FOR, FeeReport
from commerce.ledger.postings import (
    post_fee_within,
    post_invoice_refund_reversal_within,
    post_invoice_refund_within,
    post_invoice_within,
)
from commerce.orders.locks import order_tx
from commerce.subscriptions.models import Invoice
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.errors import HoldfastError
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)


def is_due_for_booking(invoice: Invoice) -> bool:
    """Whether money came in for it whose entries aren't all there. An invoice that was paid elsewhere, or from the
    customer's balance, moved none.
    """
    paid = invoice.status == Invoice.Status.PAID and invoice.amount_paid > 0
    return paid and bool(invoice.payment_intent_id) and not invoice.balance_transaction_id


def book_payment(*, shop: ShopContext, invoice_id: UUID, now: datetime) -> bool:
    """Reads the charge that paid an invoice; posts the payment and, once Stripe has booked it, the fee. Each once.

    False while something is missing: then the sweep asks again. Raises StripeFailure when Stripe can't be read.
    """
    invoice = Invoice.objects.for_shop(shop.shop_id).get(pk=invoice_id)
    access = access_for_account(shop, invoice.stripe_account)
    charge = read_charge(access, invoice.payment_intent_id)  # no tx
    if charge is None:
        return False
    with order_tx(shop.shop_id):
        invoice = _locked(shop.shop_id, invoice_id)
        record_ownership(scope=access.scope, shop_id=shop.shop_id, objects=[("charge", charge.id)], source="event")
        post_invoice_within(invoice=invoice, charge_id=charge.id, now=now)
        invoice.charge_id = charge.id
        if charge.transaction is not None:
            invoice.balance_transaction_id = charge.transaction.id
            post_fee_within(of=invoice, txn=charge.transaction, gross=charge.amount, now=now)
        invoice.save(update_fields=["charge_id", "balance_transaction_id"])
    return charge.transaction is not None


def invoice_of_within(*, shop_id: str, account: str, intent_id: str) -> Invoice | None:
    """The invoice that a payment was for, locked; None for a payment of something else."""
    if not intent_id:
        return None
    rows = Invoice.objects.for_shop(shop_id).filter(stripe_account=account, payment_intent_id=intent_id)
    return rows.select_for_update(no_key=True).first()


def mirror_invoice_refund(*, shop: ShopContext, account: str, refund_id: str) -> bool:
    """Books a refund of a subscription's payment by what Stripe says of it now. False where it is of no invoice.

    Such refunds are made at Stripe: an order's have their desk here. Raises StripeFailure, InventoryBusy.
    """
    access = access_for_account(shop, account)
    return _book_refund(shop, access, read_refund(access, refund_id))  # no tx


def mirror_invoice_refunds(*, shop: ShopContext, account: str, intent_id: str) -> bool:
    """The same for every refund of a payment. False where it is of no invoice, or has none."""
    access = access_for_account(shop, account)
    found = refunds_of(access, intent_id)  # no tx
    booked = [_book_refund(shop, access, facts) for facts in reversed(found)]
    return bool(booked) and all(booked)


def _book_refund(shop: ShopContext, access: StripeAccess, facts: RefundFacts) -> bool:
    now = timezone.now()
    with order_tx(shop.shop_id):
        invoice = invoice_of_within(shop_id=shop.shop_id, account=access.scope.account, intent_id=facts.intent_id)
        if invoice is None:
            return False
        record_ownership(scope=access.scope, shop_id=shop.shop_id, objects=[("refund", facts.id)], source="refund")
        change = 0
        if facts.taken is not None and post_invoice_refund_within(
            invoice=invoice, refund_id=facts.id, txn=facts.taken, amount=facts.amount, now=now
        ):
            change += facts.amount
        if facts.returned is not None and post_invoice_refund_reversal_within(
            invoice=invoice, refund_id=facts.id, txn=facts.returned, amount=facts.amount, now=now
        ):
            change -= facts.amount
        if change:
            invoice.refunded_amount += change
            invoice.save(update_fields=["refunded_amount"])
    return True


def _locked(shop_id: str, invoice_id: UUID) -> Invoice:
    return Invoice.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=invoice_id)


def run_once(*, now: datetime, limit: int = 100) -> FeeReport:
    """Looks for what is missing of up to `limit` paid invoices, the longest unasked first. Safe to run side by side."""
    began, found, posted, failed = time.monotonic(), 0, 0, 0
    for invoice in _due(now, limit):
        if time.monotonic() - began > RUN_FOR:
            break
        found += 1
        Invoice.objects.for_shop(invoice.shop_id).filter(pk=invoice.pk).update(charge_read_at=now)
        try:
            shop = load_shop(invoice.shop_id)
            with bind_shop(shop):
                posted += book_payment(shop=shop, invoice_id=invoice.pk, now=now)
        except (StripeFailure, HoldfastError) as error:
            failed += 1
            log.warning("invoice_not_booked", invoice=invoice.invoice_id, shop_id=invoice.shop_id, error=str(error))
        except Exception:
            failed += 1
            log.exception("invoice_not_booked", invoice=invoice.invoice_id, shop_id=invoice.shop_id)
    return FeeReport(found=found, posted=posted, failed=failed)


def _due(now: datetime, limit: int) -> list[Invoice]:
    unasked = Q(charge_read_at__isnull=True) | Q(charge_read_at__lte=now - ASK_AGAIN_AFTER)
    paid = Invoice.objects.filter(unasked, status=Invoice.Status.PAID, balance_transaction_id="", amount_paid__gt=0)
    rows = paid.exclude(payment_intent_id="")
    return list(rows.order_by(F("charge_read_at").asc(nulls_first=True), "created_at")[:limit])

"""Subscriptions and invoices follow the newest read. Access is judged from these rows, never from an event's word."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from commerce.gateway.client import access_for_account
from commerce.gateway.reads import InvoiceFacts, SubscriptionFacts, read_invoice, read_subscription
from commerce.gateway.stamps import take_stamp
from commerce.plans.offers import terms_by_price
from commerce.subscriptions.booking import book_payment, is_due_for_booking
from commerce.subscriptions.models import Invoice, Subscription
from commerce.subscriptions.telling import note_invoice_within, note_trial_within
from tenants.context import ShopContext
from tenants.database import shop_tx
from tenants.ownership import StripeScope, record_ownership

Row = TypeVar("Row", Subscription, Invoice)


def mirror_subscription(*, shop: ShopContext, account: str, subscription_id: str) -> Subscription:
    """Reads a subscription of the shop's `account` and writes what is newer than what is known. Repeatable.

    Raises StripeFailure when Stripe can't be read; nothing is written then.
    """
    access = access_for_account(shop, account)
    stamp = take_stamp()
    facts = read_subscription(access, subscription_id)  # no tx
    with shop_tx(shop.shop_id):
        _own(access.scope, shop.shop_id, _of_subscription(facts))
        row = _newest(
            Subscription.objects.for_shop(shop.shop_id),
            {"shop_id": shop.shop_id, "stripe_account": account, "subscription_id": facts.id},
            _subscription_fields(facts, plan_of(shop.shop_id, account, facts)),
            stamp,
        )
        note_trial_within(row=row, now=timezone.now())
    return row


def mirror_invoice(*, shop: ShopContext, account: str, invoice_id: str) -> Invoice:
    """As `mirror_subscription`, for an invoice and then for the subscription that it is of: a payment moves both, and
    the two events come in any order.
    """
    access = access_for_account(shop, account)
    stamp = take_stamp()
    facts = read_invoice(access, invoice_id)  # no tx
    with shop_tx(shop.shop_id):
        _own(access.scope, shop.shop_id, _of_invoice(facts))
        invoice = _newest(
            Invoice.objects.for_shop(shop.shop_id),
            {"shop_id": shop.shop_id, "stripe_account": account, "invoice_id": facts.id},
            _invoice_fields(facts),
            stamp,
        )
        note_invoice_within(invoice=invoice, now=timezone.now())
    if is_due_for_booking(invoice):
        book_payment(shop=shop, invoice_id=invoice.pk, now=timezone.now())
    if facts.subscription_id:
        mirror_subscription(shop=shop, account=account, subscription_id=facts.subscription_id)
    return invoice


def name_subscriber(*, shop_id: str, account: str, subscription_id: str, email: str) -> None:
    """Writes down who subscribed through a session of ours. Stripe's customer may have another address by now."""
    with shop_tx(shop_id):
        rows = Subscription.objects.for_shop(shop_id).filter(stripe_account=account, subscription_id=subscription_id)
        rows.update(email=email)


def _own(scope: StripeScope, shop_id: str, objects: list[tuple[str, str]]) -> None:
    record_ownership(scope=scope, shop_id=shop_id, objects=objects, source="event")


def _newest(rows: QuerySet[Row], key: dict[str, Any], fields: dict[str, Any], stamp: int) -> Row:
    """The row after a read with this stamp: written, unless a later read has been."""
    fields |= {"read_stamp": stamp, "read_at": timezone.now()}
    row, made = rows.select_for_update(no_key=True).get_or_create(**key, defaults=fields)
    if not made and row.read_stamp < stamp:
        for name, value in fields.items():
            setattr(row, name, value)
        row.save(update_fields=list(fields))
    return row


def _of_subscription(facts: SubscriptionFacts) -> list[tuple[str, str]]:
    """Its customer too: payments of later invoices name nothing else of what is known here."""
    return [
        ("subscription", facts.id),
        ("invoice", facts.latest_invoice_id),
        ("customer", facts.customer_id if facts.metadata.get("shop_id") else ""),
    ]


def _of_invoice(facts: InvoiceFacts) -> list[tuple[str, str]]:
    return [
        ("invoice", facts.id),
        ("subscription", facts.subscription_id),
        ("payment_intent", facts.intent_id if facts.subscription_id else ""),
        ("customer", facts.customer_id if facts.metadata.get("shop_id") else ""),
    ]


def plan_of(shop_id: str, account: str, facts: SubscriptionFacts) -> UUID | None:
    """The version that its first known price is the price of; None for prices of others' making."""
    known = terms_by_price(shop_id=shop_id, account=account, prices=[item.price_id for item in facts.items])
    return next((known[item.price_id].version_id for item in facts.items if item.price_id in known), None)


def _subscription_fields(facts: SubscriptionFacts, version_id: UUID | None) -> dict[str, Any]:
    starts = [item.period_start for item in facts.items if item.period_start]
    ends = [item.period_end for item in facts.items if item.period_end]
    return {
        "customer_id": facts.customer_id,
        "status": facts.status[:32],
        "currency": facts.currency[:3],
        "version_id": version_id,
        "items": [{"id": item.id, "price": item.price_id, "quantity": item.quantity} for item in facts.items],
        "current_period_start": min(starts, default=None),
        "current_period_end": min(ends, default=None),
        "cancel_at_period_end": facts.cancel_at_period_end,
        "cancel_at": facts.cancel_at,
        "canceled_at": facts.canceled_at,
        "ended_at": facts.ended_at,
        "trial_end": facts.trial_end,
        "collection_paused": facts.collection_paused,
        "latest_invoice_id": facts.latest_invoice_id,
        "metadata": dict(facts.metadata),
        "created_at": facts.created_at,
    }


def _invoice_fields(facts: InvoiceFacts) -> dict[str, Any]:
    return {
        "subscription_id": facts.subscription_id,
        "customer_id": facts.customer_id,
        "status": facts.status[:32],
        "number": facts.number[:64],
        "billing_reason": facts.billing_reason[:64],
        "currency": facts.currency,
        "amount_due": facts.amount_due,
        "amount_paid": facts.amount_paid,
        "amount_remaining": facts.amount_remaining,
        "total_amount": facts.total,
        "tax_amount": facts.tax,
        "payment_intent_id": facts.intent_id,
        "customer_email": facts.customer_email[:254],
        "page_url": facts.page_url,
        "needs_action": facts.status == "open" and facts.intent_status == "requires_action",
        "attempt_count": facts.attempt_count,
        "next_attempt_at": facts.next_attempt_at,
        "created_at": facts.created_at,
    }

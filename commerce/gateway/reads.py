"""Disputes, subscriptions, invoices and payments as Stripe has them now: frozen values, not Stripe's objects.

Events only say "look": what is written comes from here, in the order of the stamps (commerce/gateway/stamps.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from commerce.gateway.balance import BalanceFacts, balance_facts
from commerce.gateway.client import StripeAccess, _call, _options
from commerce.money import from_stripe_amount
from tenants.storable import storable


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """`amount` in our minor units of `currency` (ISO 4217, upper case); `movements` are what it moved on the account's
    balance, in the account's own currency. Source: Stripe's Dispute object.
    """

    id: str
    charge_id: str
    intent_id: str
    status: str
    reason: str
    amount: int
    currency: str
    refundable: bool
    evidence_due_by: datetime | None
    created_at: datetime
    movements: tuple[BalanceFacts, ...]


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One price of a subscription. `period_end` is the item's own: subscriptions have none any more."""

    id: str
    price_id: str
    quantity: int | None
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """Source: Stripe's Subscription object, API 2025-03-31.basil and later."""

    id: str
    customer_id: str
    status: str
    currency: str
    items: tuple[PlanItem, ...]
    cancel_at_period_end: bool
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    trial_end: datetime | None
    collection_paused: bool
    latest_invoice_id: str
    metadata: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """Amounts in our minor units of `currency`. `subscription_id` is empty for an invoice of none.

    `intent_id` is the payment that it is collected by, or was; `page_url` where the customer pays it.
    """

    id: str
    subscription_id: str
    customer_id: str
    status: str
    number: str
    billing_reason: str
    currency: str
    amount_due: int
    amount_paid: int
    amount_remaining: int
    attempt_count: int
    next_attempt_at: datetime | None
    metadata: Mapping[str, str]
    created_at: datetime
    tax: int = 0
    total: int = 0
    intent_id: str = ""
    intent_status: str = ""
    customer_email: str = ""
    page_url: str = ""


@dataclass(frozen=True, slots=True)
class IntentFacts:
    """What a payment says about itself, and whose it was made to be."""

    id: str
    status: str
    charge_id: str
    metadata: Mapping[str, str]


def read_dispute(access: StripeAccess, dispute_id: str) -> DisputeFacts:
    """Raises StripeFailure (`not_found` for another account's). So do the others."""
    found = _call(
        access,
        "disputes.retrieve",
        lambda client: client.v1.disputes.retrieve(dispute_id, None, cast("Any", _options(access))),
    )
    return dispute_facts(_plain(found))


def read_subscription(access: StripeAccess, subscription_id: str) -> SubscriptionFacts:
    found = _call(
        access,
        "subscriptions.retrieve",
        lambda client: client.v1.subscriptions.retrieve(subscription_id, None, cast("Any", _options(access))),
    )
    return subscription_facts(_plain(found))


def read_invoice(access: StripeAccess, invoice_id: str) -> InvoiceFacts:
    found = _call(
        access,
        "invoices.retrieve",
        lambda client: client.v1.invoices.retrieve(
            invoice_id, cast("Any", {"expand": ["payments.data.payment.payment_intent"]}), cast("Any", _options(access))
        ),
    )
    return invoice_facts(_plain(found))


def read_intent(access: StripeAccess, intent_id: str) -> IntentFacts:
    found = _call(
        access,
        "payment_intents.retrieve",
        lambda client: client.v1.payment_intents.retrieve(intent_id, None, cast("Any", _options(access))),
    )
    plain = _plain(found)
    return IntentFacts(
        id=str(plain["id"]),
        status=str(plain["status"]),
        charge_id=_id(plain.get("latest_charge")),
        metadata=_texts(plain.get("metadata")),
    )


def dispute_facts(plain: Mapping[str, Any]) -> DisputeFacts:
    currency = str(plain["currency"]).upper()
    due = _part(plain, "evidence_details").get("due_by")
    return DisputeFacts(
        id=str(plain["id"]),
        charge_id=_id(plain.get("charge")),
        intent_id=_id(plain.get("payment_intent")),
        status=str(plain["status"]),
        reason=str(plain.get("reason") or ""),
        amount=_minor(plain["amount"], currency),
        currency=currency,
        refundable=bool(plain.get("is_charge_refundable")),
        evidence_due_by=_moment(due),
        created_at=_moment(plain["created"]) or datetime.now(UTC),
        movements=tuple(map(balance_facts, plain.get("balance_transactions") or ())),
    )


def subscription_facts(plain: Mapping[str, Any]) -> SubscriptionFacts:
    items = _part(plain, "items").get("data") or ()
    return SubscriptionFacts(
        id=str(plain["id"]),
        customer_id=_id(plain.get("customer")),
        status=str(plain["status"]),
        currency=str(plain.get("currency") or "").upper(),
        items=tuple(
            PlanItem(
                id=str(item.get("id") or ""),
                price_id=_id(item.get("price")),
                quantity=item.get("quantity"),
                period_start=_moment(item.get("current_period_start")),
                period_end=_moment(item.get("current_period_end")),
            )
            for item in items
        ),
        cancel_at_period_end=bool(plain.get("cancel_at_period_end")),
        cancel_at=_moment(plain.get("cancel_at")),
        canceled_at=_moment(plain.get("canceled_at")),
        ended_at=_moment(plain.get("ended_at")),
        trial_end=_moment(plain.get("trial_end")),
        collection_paused=bool(plain.get("pause_collection")),
        latest_invoice_id=_id(plain.get("latest_invoice")),
        metadata=_texts(plain.get("metadata")),
        created_at=_moment(plain["created"]) or datetime.now(UTC),
    )


def invoice_facts(plain: Mapping[str, Any]) -> InvoiceFacts:
    currency = str(plain["currency"]).upper()
    details = _part(_part(plain, "parent"), "subscription_details")
    intent = _payment_of(plain)
    return InvoiceFacts(
        id=str(plain["id"]),
        subscription_id=_id(details.get("subscription")),
        customer_id=_id(plain.get("customer")),
        status=str(plain.get("status") or ""),
        number=str(plain.get("number") or ""),
        billing_reason=str(plain.get("billing_reason") or ""),
        currency=currency,
        amount_due=_minor(plain.get("amount_due"), currency),
        amount_paid=_minor(plain.get("amount_paid"), currency),
        amount_remaining=_minor(plain.get("amount_remaining"), currency),
        attempt_count=int(plain.get("attempt_count") or 0),
        next_attempt_at=_moment(plain.get("next_payment_attempt")),
        metadata=_texts(details.get("metadata")),
        created_at=_moment(plain["created"]) or datetime.now(UTC),
        tax=sum(_minor(part.get("amount"), currency) for part in plain.get("total_taxes") or ()),
        total=max(0, int(plain.get("total") or 0)) and _minor(plain.get("total"), currency),
        intent_id=_id(intent),
        intent_status=str(intent.get("status") or "") if isinstance(intent, Mapping) else "",
        customer_email=str(plain.get("customer_email") or ""),
        page_url=str(plain.get("hosted_invoice_url") or ""),
    )


def _payment_of(plain: Mapping[str, Any]) -> object:
    """The payment intent that collects the invoice: the paid one, else the newest. Several are possible where somebody
    collects an invoice in parts at Stripe; this product doesn't.
    """
    payments = _part(plain, "payments").get("data") or ()
    kept = [payment for payment in payments if payment.get("status") != "canceled"]
    kept.sort(key=lambda payment: (payment.get("status") == "paid", int(payment.get("created") or 0)))
    return _part(kept[-1], "payment").get("payment_intent") if kept else None


def _plain(found: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = storable(found.to_dict(for_json=True))
    return plain


def _minor(stripes: object, currency: str) -> int:
    """Zero in whatever currency it is, without asking whether Stripe takes it in steps."""
    return from_stripe_amount(int(str(stripes)), currency) if stripes else 0


def _moment(stamp: object) -> datetime | None:
    return None if stamp is None else datetime.fromtimestamp(int(str(stamp)), UTC)


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, Mapping) else {}


def _id(value: object) -> str:
    """Id of an expandable field, expanded or not."""
    return str(value.get("id") or "") if isinstance(value, Mapping) else str(value or "")

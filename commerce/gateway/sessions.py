"""A Checkout Session as this product reads it: a frozen value, not Stripe's object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from commerce.money import from_stripe_amount


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One line item: what it is called, how many, and the tax on all of them, in minor units."""

    title: str
    quantity: int
    tax: int


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What Stripe says about one session. Amounts in our minor units of `currency` (ISO 4217, upper case).

    `intent_status` is empty when there is no payment intent yet. `lines` are there when they were asked for, the first
    ones only where there are `more_lines`. Source: Stripe's Checkout Session object.
    """

    id: str
    status: str
    payment_status: str
    url: str
    client_secret: str
    currency: str
    total: int
    discount: int
    shipping: int
    tax: int
    expires_at: datetime
    reference: str
    metadata: Mapping[str, str]
    intent_id: str
    intent_status: str
    charge_id: str
    customer_id: str
    method_id: str
    email: str
    name: str
    phone: str
    billing_address: Mapping[str, Any] | None
    shipping_address: Mapping[str, Any] | None
    lines: tuple[SessionLine, ...] = ()
    more_lines: bool = False
    subscription_id: str = ""
    invoice_id: str = ""


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _id(value: object) -> str:
    """Id of an expandable field, expanded or not."""
    if isinstance(value, Mapping):
        return str(value.get("id") or "")
    return str(value or "")


def session_line(item: Mapping[str, Any]) -> SessionLine:
    """Reads a line item as Stripe sends it."""
    tax, currency = int(item.get("amount_tax") or 0), str(item.get("currency") or "").upper()
    return SessionLine(
        title=str(item.get("description") or ""),
        quantity=int(item.get("quantity") or 0),
        tax=from_stripe_amount(tax, currency) if tax else 0,
    )


def session_facts(session: Mapping[str, Any]) -> SessionFacts:
    """Reads a session as Stripe sends it, with or without `payment_intent` and `line_items` expanded."""
    totals = _part(session, "total_details")
    currency = str(session["currency"] or "").upper()

    def minor(stripes: object) -> int:
        return from_stripe_amount(int(str(stripes or 0)), currency) if stripes else 0

    customer = _part(session, "customer_details")
    intent = _part(session, "payment_intent")
    shipping = _part(_part(session, "collected_information"), "shipping_details")
    return SessionFacts(
        id=str(session["id"]),
        status=str(session["status"] or ""),
        payment_status=str(session["payment_status"] or ""),
        url=str(session.get("url") or ""),
        client_secret=str(session.get("client_secret") or ""),
        currency=currency,
        total=minor(session["amount_total"]),
        discount=minor(totals.get("amount_discount")),
        shipping=minor(totals.get("amount_shipping")),
        tax=minor(totals.get("amount_tax")),
        expires_at=datetime.fromtimestamp(int(session["expires_at"]), UTC),
        reference=str(session.get("client_reference_id") or ""),
        metadata={str(k): str(v) for k, v in _part(session, "metadata").items()},
        intent_id=_id(session.get("payment_intent")),
        intent_status=str(intent.get("status") or ""),
        charge_id=_id(intent.get("latest_charge")),
        customer_id=_id(session.get("customer")),
        method_id=_id(intent.get("payment_method")),
        email=str(customer.get("email") or session.get("customer_email") or ""),
        name=str(customer.get("name") or ""),
        phone=str(customer.get("phone") or ""),
        billing_address=dict(_part(customer, "address")) or None,
        shipping_address=dict(shipping) or None,
        lines=tuple(session_line(item) for item in _part(session, "line_items").get("data") or ()),
        more_lines=bool(_part(session, "line_items").get("has_more")),
        subscription_id=_id(session.get("subscription")),
        invoice_id=_id(session.get("invoice")),
    )

"""Subscriptions, invoices and their payments as the API reads them."""

from __future__ import annotations

from typing import Any

from . import listing, subscription_states
from .errors import Json
from .unit import Unit

ENDED = sorted(subscription_states.ENDED)


def retrieve_subscription(unit: Unit, params: Json, subscription_id: str) -> Json:
    return unit.need("subscription", subscription_id).body


def list_subscriptions(unit: Unit, params: Json) -> Json:
    """Without a status, all that aren't canceled, as Stripe lists them."""
    found: Json = {name: params[name] for name in ("customer", "collection_method") if name in params}
    status = params.get("status")
    more: list[tuple[str, list[Any]]] = []
    if status is None:
        more.append(("json_extract(body, '$.status') != 'canceled'", []))
    elif status == "ended":
        more.append((f"json_extract(body, '$.status') IN ({', '.join('?' for _ in ENDED)})", ENDED))
    elif status != "all":
        found["status"] = status
    if "price" in params:
        held = "SELECT 1 FROM json_each(body, '$.items.data') WHERE json_extract(value, '$.price.id') = ?"
        more.append((f"EXISTS ({held})", [params["price"]]))
    return listing.page(unit, params, "subscription", "/v1/subscriptions", found, more=more)


def retrieve_invoice(unit: Unit, params: Json, invoice_id: str) -> Json:
    return unit.need("invoice", invoice_id).body


def list_invoices(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("customer", "status", "collection_method") if name in params}
    if "subscription" in params:
        found["parent.subscription_details.subscription"] = params["subscription"]
    return listing.page(unit, params, "invoice", "/v1/invoices", found)


def list_lines(unit: Unit, params: Json, invoice_id: str) -> Json:
    invoice = unit.need("invoice", invoice_id)
    lines = invoice.hidden.get("lines") or invoice.body["lines"]["data"]
    return listing.slice_of(params, f"/v1/invoices/{invoice_id}/lines", lines, "line item")


def retrieve_payment(unit: Unit, params: Json, payment_id: str) -> Json:
    return unit.need("invoice_payment", payment_id).body


def list_payments(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("invoice", "status") if name in params}
    if "payment" in params:
        found["payment.payment_intent"] = params["payment"].get("payment_intent")
    return listing.page(unit, params, "invoice_payment", "/v1/invoice_payments", found)


def list_invoice_items(unit: Unit, params: Json) -> Json:
    """What waits for an invoice, and what was on one."""
    found: Json = {name: params[name] for name in ("customer", "invoice") if name in params}
    more: list[tuple[str, list[Any]]] = []
    if "pending" in params:
        more.append((f"json_extract(body, '$.invoice') IS {'' if params['pending'] else 'NOT '}NULL", []))
    return listing.page(unit, params, "invoiceitem", "/v1/invoiceitems", found, more=more)

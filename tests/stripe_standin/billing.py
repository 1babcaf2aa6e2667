"""Subscriptions and invoices: shown as they were put here. The stand-in bills nobody; a test says what Stripe would
have made, by `POST /_control/objects`.
"""

from __future__ import annotations

from . import listing
from .errors import Json
from .unit import Unit


def retrieve_subscription(unit: Unit, params: Json, subscription_id: str) -> Json:
    return unit.need("subscription", subscription_id).body


def list_subscriptions(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("customer", "status") if name in params}
    return listing.page(unit, params, "subscription", "/v1/subscriptions", found)


def retrieve_invoice(unit: Unit, params: Json, invoice_id: str) -> Json:
    return unit.need("invoice", invoice_id).body


def list_invoices(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("customer", "status") if name in params}
    return listing.page(unit, params, "invoice", "/v1/invoices", found)

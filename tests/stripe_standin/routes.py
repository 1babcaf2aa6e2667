"""Which function answers which path, and which SDK endpoint's parameters it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from . import (
    billing,
    catalog,
    disputes,
    intents,
    invoice_acts,
    ledger,
    methods,
    products,
    readouts,
    refunds,
    sessions,
    subscription_acts,
    subscription_changes,
)
from .errors import Json, unknown_url

Handler = Callable[..., Json]


@dataclass(frozen=True, slots=True)
class Route:
    """`endpoint` is the SDK's name for the call, it finds the typed parameters."""

    method: str
    rule: str
    endpoint: str
    handler: Handler


ROUTES = (
    Route("POST", "/v1/checkout/sessions", "checkout.sessions.create", sessions.create),
    Route("GET", "/v1/checkout/sessions", "checkout.sessions.list", sessions.list_all),
    Route("GET", "/v1/checkout/sessions/<id>", "checkout.sessions.retrieve", sessions.retrieve),
    Route("POST", "/v1/checkout/sessions/<id>", "checkout.sessions.update", sessions.update),
    Route("GET", "/v1/checkout/sessions/<id>/line_items", "checkout.sessions.line_items.list", sessions.list_lines),
    Route("POST", "/v1/checkout/sessions/<id>/expire", "checkout.sessions.expire", sessions.expire),
    Route("POST", "/v1/payment_intents", "payment_intents.create", intents.create),
    Route("GET", "/v1/payment_intents", "payment_intents.list", intents.list_all),
    Route("GET", "/v1/payment_intents/<id>", "payment_intents.retrieve", intents.retrieve),
    Route("POST", "/v1/payment_intents/<id>", "payment_intents.update", intents.update),
    Route("POST", "/v1/payment_intents/<id>/confirm", "payment_intents.confirm", intents.confirm),
    Route("POST", "/v1/payment_intents/<id>/capture", "payment_intents.capture", intents.capture),
    Route("POST", "/v1/payment_intents/<id>/cancel", "payment_intents.cancel", intents.cancel),
    Route("GET", "/v1/charges", "charges.list", intents.list_charges),
    Route("GET", "/v1/charges/<id>", "charges.retrieve", intents.retrieve_charge),
    Route("POST", "/v1/refunds", "refunds.create", refunds.create),
    Route("GET", "/v1/refunds", "refunds.list", refunds.list_all),
    Route("GET", "/v1/refunds/<id>", "refunds.retrieve", refunds.retrieve),
    Route("POST", "/v1/refunds/<id>", "refunds.update", refunds.update),
    Route("POST", "/v1/refunds/<id>/cancel", "refunds.cancel", refunds.cancel),
    Route("GET", "/v1/disputes", "disputes.list", disputes.list_all),
    Route("GET", "/v1/disputes/<id>", "disputes.retrieve", disputes.retrieve),
    Route("POST", "/v1/disputes/<id>", "disputes.update", disputes.update),
    Route("GET", "/v1/subscriptions", "subscriptions.list", billing.list_subscriptions),
    Route("GET", "/v1/subscriptions/<id>", "subscriptions.retrieve", billing.retrieve_subscription),
    Route("POST", "/v1/subscriptions", "subscriptions.create", subscription_acts.create),
    Route("DELETE", "/v1/subscriptions/<id>", "subscriptions.cancel", subscription_acts.cancel),
    Route("POST", "/v1/subscriptions/<id>/pause", "subscriptions.pause", subscription_acts.pause),
    Route("POST", "/v1/subscriptions/<id>/resume", "subscriptions.resume", subscription_acts.resume),
    Route("POST", "/v1/invoices/create_preview", "invoices.create_preview", invoice_acts.preview),
    Route("POST", "/v1/invoices/<id>/pay", "invoices.pay", invoice_acts.pay),
    Route("POST", "/v1/invoices/<id>/void", "invoices.void_invoice", invoice_acts.void),
    Route("POST", "/v1/invoices/<id>/finalize", "invoices.finalize_invoice", invoice_acts.finalize),
    Route("POST", "/v1/invoices/<id>/mark_uncollectible", "invoices.mark_uncollectible", invoice_acts.write_off),
    Route("POST", "/v1/subscriptions/<id>", "subscriptions.update", subscription_changes.update),
    Route("GET", "/v1/invoices", "invoices.list", billing.list_invoices),
    Route("GET", "/v1/invoices/<id>", "invoices.retrieve", billing.retrieve_invoice),
    Route("GET", "/v1/invoices/<id>/lines", "invoices.line_items.list", billing.list_lines),
    Route("GET", "/v1/invoice_payments", "invoice_payments.list", billing.list_payments),
    Route("GET", "/v1/invoice_payments/<id>", "invoice_payments.retrieve", billing.retrieve_payment),
    Route("GET", "/v1/invoiceitems", "invoice_items.list", billing.list_invoice_items),
    Route("GET", "/v1/balance", "balance.retrieve", ledger.balance),
    Route("GET", "/v1/balance_transactions", "balance_transactions.list", readouts.list_transactions),
    Route("GET", "/v1/balance_transactions/<id>", "balance_transactions.retrieve", readouts.retrieve_transaction),
    Route("GET", "/v1/events", "events.list", readouts.list_events),
    Route("GET", "/v1/events/<id>", "events.retrieve", readouts.retrieve_event),
    Route("GET", "/v1/account", "accounts.retrieve_current", readouts.own_account),
    Route("GET", "/v1/accounts/<id>", "accounts.retrieve", readouts.retrieve_account),
    Route("POST", "/v1/customers", "customers.create", catalog.create_customer),
    Route("GET", "/v1/customers", "customers.list", catalog.list_customers),
    Route("GET", "/v1/customers/<id>", "customers.retrieve", catalog.retrieve_customer),
    Route("POST", "/v1/customers/<id>", "customers.update", catalog.update_customer),
    Route("DELETE", "/v1/customers/<id>", "customers.delete", subscription_acts.delete_customer),
    Route("GET", "/v1/customers/<id>/payment_methods", "customers.payment_methods.list", methods.list_of_customer),
    Route("GET", "/v1/payment_methods/<id>", "payment_methods.retrieve", methods.retrieve),
    Route("POST", "/v1/payment_methods/<id>/attach", "payment_methods.attach", methods.attach_to_customer),
    Route("POST", "/v1/payment_methods/<id>/detach", "payment_methods.detach", methods.detach),
    Route("POST", "/v1/coupons", "coupons.create", catalog.create_coupon),
    Route("GET", "/v1/coupons", "coupons.list", catalog.list_coupons),
    Route("GET", "/v1/coupons/<id>", "coupons.retrieve", catalog.retrieve_coupon),
    Route("DELETE", "/v1/coupons/<id>", "coupons.delete", catalog.delete_coupon),
    Route("POST", "/v1/products", "products.create", products.create_product),
    Route("GET", "/v1/products", "products.list", products.list_products),
    Route("GET", "/v1/products/<id>", "products.retrieve", products.retrieve_product),
    Route("POST", "/v1/products/<id>", "products.update", products.update_product),
    Route("POST", "/v1/prices", "prices.create", products.create_price),
    Route("GET", "/v1/prices", "prices.list", products.list_prices),
    Route("GET", "/v1/prices/<id>", "prices.retrieve", products.retrieve_price),
    Route("POST", "/v1/prices/<id>", "prices.update", products.update_price),
    Route("POST", "/v1/shipping_rates", "shipping_rates.create", catalog.create_shipping_rate),
    Route("GET", "/v1/shipping_rates/<id>", "shipping_rates.retrieve", catalog.retrieve_shipping_rate),
    Route("POST", "/v1/tax_rates", "tax_rates.create", catalog.create_tax_rate),
    Route("GET", "/v1/tax_rates/<id>", "tax_rates.retrieve", catalog.retrieve_tax_rate),
)
_urls = Map(
    [Rule(route.rule, methods=[route.method], endpoint=route) for route in ROUTES],
    strict_slashes=True,
    merge_slashes=False,
).bind("standin")


def find(method: str, path: str) -> tuple[Route, list[str]]:
    """The route and its path arguments. Raises ApiError(404); a known path with another method is unknown too."""
    try:
        route, found = _urls.match(path, method=method)
    except HTTPException:
        raise unknown_url(method, path) from None
    if route.method != method:  # werkzeug answers HEAD from GET rules
        raise unknown_url(method, path)
    return route, list(found.values())

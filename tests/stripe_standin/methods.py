"""Payment methods: made on the page, saved on a customer, or named by one of the test mode's ready-made ids."""

from __future__ import annotations

from . import cards, ids, listing, shapes
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

DEBIT_KINDS = ("sepa_debit", "us_bank_account", "bacs_debit", "acss_debit", "au_becs_debit")


def no_billing() -> Json:
    return {"address": dict(shapes.NO_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}


def make_card(unit: Unit, number: str, billing: Json | None = None) -> Record:
    details = cards.card_details(number)
    body = shapes.payment_method(ids.new_id("pm"), unit.now, "card", details, billing or no_billing())
    return unit.add("payment_method", body, hidden={"number": number})


def make_debit(unit: Unit, currency: str, billing: Json) -> Record:
    kind = debit_kind(currency)
    details: Json = {"country": "DE", "fingerprint": ids.random_text(16), "last4": "3000"}
    if kind == "us_bank_account":
        details = {
            "account_type": "checking",
            "bank_name": "STAND-IN BANK",
            "last4": "6789",
            "routing_number": "110000000",
        }
    body = shapes.payment_method(ids.new_id("pm"), unit.now, kind, details, billing)
    return unit.add("payment_method", body)


def debit_kind(currency: str) -> str:
    """The bank debit that this currency is collected with."""
    return {"usd": "us_bank_account", "gbp": "bacs_debit", "cad": "acss_debit", "aud": "au_becs_debit"}.get(
        currency, "sepa_debit"
    )


def resolve(unit: Unit, method_id: str) -> Record:
    """The payment method of this id; a ready-made id makes a new one. 400 for an unknown one."""
    number = cards.NAMED_METHODS.get(method_id)
    return make_card(unit, number) if number else unit.need("payment_method", method_id, param="payment_method")


def attach(unit: Unit, method: Record, customer_id: str) -> None:
    if method.body["customer"] not in (None, customer_id):
        raise bad_request("The payment method belongs to another customer.", param="payment_method")
    method.body["customer"] = customer_id
    unit.save(method)


# Endpoints


def retrieve(unit: Unit, params: Json, method_id: str) -> Json:
    return unit.need("payment_method", method_id).body


def list_of_customer(unit: Unit, params: Json, customer_id: str) -> Json:
    unit.need("customer", customer_id)
    found = {"customer": customer_id} | ({"type": params["type"]} if "type" in params else {})
    return listing.page(unit, params, "payment_method", f"/v1/customers/{customer_id}/payment_methods", found)


def attach_to_customer(unit: Unit, params: Json, method_id: str) -> Json:
    unit.need("customer", params["customer"], param="customer")
    method = resolve(unit, method_id)
    attach(unit, method, params["customer"])
    return method.body


def detach(unit: Unit, params: Json, method_id: str) -> Json:
    method = unit.need("payment_method", method_id)
    method.body["customer"] = None
    unit.save(method)
    return method.body

"""Payment intents over the API: deposits, late fees and other payments without the page."""

from __future__ import annotations

from . import billing_payments, catalog, charging, ids, listing, methods, money, shapes
from .charging import Verdict
from .errors import ApiError, Json, bad_request, card_error
from .store import Record
from .unit import Unit

KIND = "payment_intent"
CANCELABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing")
KEPT_AS_SENT = (
    "allowed_payment_method_types", "automatic_payment_methods", "capture_method", "confirmation_method",
    "customer", "description", "excluded_payment_method_types", "on_behalf_of", "payment_method_options",
    "receipt_email", "setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix",
    "transfer_data", "transfer_group", "application_fee_amount",
)  # fmt: skip


def create(unit: Unit, params: Json) -> Json:
    currency, amount = params["currency"].lower(), params["amount"]
    if amount < money.minimum(currency):
        least = money.display(money.minimum(currency), currency)
        raise bad_request(f"Amount must be at least {least}.", param="amount", code="amount_too_small")
    body = shapes.intent(ids.new_id("pi"), unit.now, amount=amount, currency=currency)
    if "customer" in params:
        unit.need("customer", params["customer"], param="customer")
    body |= {name: params[name] for name in KEPT_AS_SENT if name in params}
    body["metadata"] = catalog.merged_metadata({}, params.get("metadata"))
    body["client_secret"] = f"{body['id']}_secret_{ids.random_text(24)}"
    method = methods.resolve(unit, params["payment_method"]) if "payment_method" in params else None
    if method:
        body |= {"payment_method": method.id, "status": "requires_confirmation"}
    intent = unit.add(KIND, body, hidden={"return_url": params.get("return_url")})
    unit.announce("payment_intent.created", intent)
    if params.get("confirm") and method:
        _confirm(unit, intent, method, off_session=bool(params.get("off_session")))
    return intent.body


def confirm(unit: Unit, params: Json, intent_id: str) -> Json:
    intent = unit.need(KIND, intent_id)
    _expect(intent, ("requires_payment_method", "requires_confirmation", "requires_action"), "confirmed")
    wanted = params.get("payment_method") or intent.body["payment_method"]
    if not wanted:
        raise bad_request("The payment intent has no payment method yet.", param="payment_method",
                          code="payment_intent_unexpected_state")  # fmt: skip
    if "return_url" in params:
        intent.hidden["return_url"] = params["return_url"]
    _confirm(unit, intent, methods.resolve(unit, wanted), off_session=bool(params.get("off_session")))
    return intent.body


def _confirm(unit: Unit, intent: Record, method: Record, *, off_session: bool) -> None:
    """Try to pay. A decline is a 402 that carries the intent: the intent was made and stays."""
    owner = method.body["customer"]
    if owner and owner != intent.body["customer"]:
        raise bad_request("The payment method belongs to another customer than the intent.", param="payment_method")
    verdict = charging.attempt(unit, intent, method, off_session=off_session)
    billing_payments.conclude(unit, intent, verdict)
    if verdict is Verdict.DECLINED:
        error = intent.body["last_payment_error"]
        extra = {"charge": error["charge"], "payment_intent": intent.body, "payment_method": error["payment_method"]}
        raise card_error(error["message"], code=error["code"], decline_code=error["decline_code"], extra=extra)
    if intent.body["setup_future_usage"] and intent.body["customer"] and verdict is not Verdict.CHALLENGED:
        methods.attach(unit, method, intent.body["customer"])


def retrieve(unit: Unit, params: Json, intent_id: str) -> Json:
    return unit.need(KIND, intent_id).body


def update(unit: Unit, params: Json, intent_id: str) -> Json:
    """Metadata, description and receipt address; amounts stay what they were created with."""
    unsupported = set(params) - {"metadata", "description", "receipt_email", "expand"}
    if unsupported:
        name = min(unsupported)
        raise bad_request(f"The stand-in can't change {name} of a payment intent.", param=name)
    intent = unit.need(KIND, intent_id)
    intent.body |= {n: catalog.unset(params[n]) for n in ("description", "receipt_email") if n in params}
    intent.body["metadata"] = catalog.merged_metadata(intent.body["metadata"], params.get("metadata"))
    unit.save(intent)
    return intent.body


def list_all(unit: Unit, params: Json) -> Json:
    found: Json = {"customer": params["customer"]} if "customer" in params else {}
    return listing.page(unit, params, KIND, "/v1/payment_intents", found)


def capture(unit: Unit, params: Json, intent_id: str) -> Json:
    intent = unit.need(KIND, intent_id)
    _expect(intent, ("requires_capture",), "captured")
    held: int = intent.body["amount_capturable"]
    amount: int = params.get("amount_to_capture", held)
    if not 1 <= amount <= held:
        raise bad_request(
            f"The amount to capture must lie between 1 and the capturable amount, {held}.",
            param="amount_to_capture",
            code="amount_too_large" if amount > held else "parameter_invalid_integer",
        )
    intent.body["metadata"] = catalog.merged_metadata(intent.body["metadata"], params.get("metadata"))
    charging.capture(unit, intent, amount)
    return intent.body


def cancel(unit: Unit, params: Json, intent_id: str) -> Json:
    """Cancel; an intent of a checkout session only where it holds money, else its session must be expired."""
    intent = unit.need(KIND, intent_id)
    _expect(intent, CANCELABLE, "canceled")
    if intent.hidden.get("invoice"):
        raise bad_request("This intent belongs to an invoice; void the invoice instead.")
    if intent.hidden.get("session") and intent.body["status"] != "requires_capture":
        raise bad_request("This intent belongs to a Checkout Session; expire the session instead.")
    charging.cancel(unit, intent, params.get("cancellation_reason"))
    return intent.body


def _expect(intent: Record, statuses: tuple[str, ...], verb: str) -> None:
    status = intent.body["status"]
    if status not in statuses:
        raise ApiError(
            400,
            f"This PaymentIntent could not be {verb} because it has a status of {status}. "
            f"Only a PaymentIntent with one of these statuses may be: {', '.join(statuses)}.",
            code="payment_intent_unexpected_state",
            extra={"payment_intent": intent.body},
        )


# Charges


def retrieve_charge(unit: Unit, params: Json, charge_id: str) -> Json:
    return unit.need("charge", charge_id).body


def list_charges(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("customer", "payment_intent") if name in params}
    return listing.page(unit, params, "charge", "/v1/charges", found)

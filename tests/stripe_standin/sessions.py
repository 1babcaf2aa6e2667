"""Checkout sessions as the API has them: create, retrieve, list, expire."""

from __future__ import annotations

from . import charging, ids, listing, methods, session_lines, shapes, subscribing
from .catalog import merged_metadata
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "checkout.session"
DEFAULT_SECONDS = 24 * 60 * 60
SUBSCRIPTION = "subscription"
# The first payment of a subscription saves the card for the next ones.
SUBSCRIPTION_INTENT: Json = {"description": "Subscription creation", "setup_future_usage": "off_session"}
KEPT_AS_SENT = (
    "allow_promotion_codes", "allowed_payment_method_types", "billing_address_collection", "branding_settings",
    "cancel_url", "client_reference_id", "consent_collection", "customer", "customer_creation", "customer_email",
    "excluded_payment_method_types", "integration_identifier", "locale", "name_collection", "origin_context",
    "payment_method_collection", "permissions", "redirect_on_completion", "return_url",
    "saved_payment_method_options", "shipping_address_collection", "submit_type", "success_url",
    "tax_id_collection", "wallet_options", "phone_number_collection", "payment_method_options",
)  # fmt: skip


def create(unit: Unit, params: Json) -> Json:
    """Open a session. The payment intent comes when the customer confirms, not now."""
    if params["mode"] not in ("payment", SUBSCRIPTION):
        raise bad_request("The stand-in has no sessions of this mode.", param="mode")
    subscribes = params["mode"] == SUBSCRIPTION
    if params.get("invoice_creation", {}).get("enabled"):
        raise bad_request("The stand-in makes no invoices.", param="invoice_creation")
    session_id = ids.session_id()
    body = shapes.session(session_id, unit.now)
    body |= {name: params[name] for name in KEPT_AS_SENT if name in params}
    _check_customer(unit, params)
    lines = session_lines.build_lines(unit, params["line_items"], recurring=subscribes)
    data: Json = params.get("subscription_data") or {}
    if subscribes:
        subscribing.check_lines(lines)
        subscribing.check_data(unit, data)
        subscribing.prepare(unit, lines, data)
    currency = lines[0]["currency"]
    if str(params.get("currency", currency)).lower() != currency:
        raise bad_request("The session's currency differs from its lines'.", param="currency")
    body |= _derived(unit, params, session_id, currency)
    taxed = body["automatic_tax"]["enabled"] and unit.engine.options.tax_rate_percent
    shipping = session_lines.build_shipping(unit, params.get("shipping_options") or [], currency)
    coupon = session_lines.find_coupon(unit, params.get("discounts") or [], currency)
    body["shipping_options"] = [{"shipping_amount": o["amount"], "shipping_rate": o["id"]} for o in shipping]
    body["discounts"] = [{"coupon": coupon["id"], "promotion_code": None}] if coupon else []
    hidden: Json = {
        "lines": lines,
        "shipping": shipping,
        "shipping_choice": shipping[0]["id"] if shipping else None,
        "coupon": coupon,
        "located": False,
        "tax_percent": str(unit.engine.options.tax_rate_percent) if taxed else None,
        "intent_data": SUBSCRIPTION_INTENT if subscribes else params.get("payment_intent_data") or {},
        "data": data,
    }
    record = Record(unit.caller.account, unit.caller.platform, KIND, body, hidden, due_at=body["expires_at"])
    session_lines.apply_totals(unit, record)
    unit.save(record)
    return record.body


def _check_customer(unit: Unit, params: Json) -> None:
    if "customer" in params:
        unit.need("customer", params["customer"], param="customer")


def _derived(unit: Unit, params: Json, session_id: str, currency: str) -> Json:
    """The members that follow from several parameters."""
    ui_mode = params.get("ui_mode", "hosted_page")
    secret = f"{session_id}_secret_{ids.random_text(32)}"
    recovery = params.get("after_expiration", {}).get("recovery")
    debit = charging.pays_by_debit(
        params.get("allowed_payment_method_types"), params.get("excluded_payment_method_types"), currency
    )
    manual = (params.get("payment_intent_data") or {}).get("capture_method") == "manual"
    allowed = params.get("allowed_payment_method_types")
    card = allowed is None or "card" in allowed
    # Of what is collected later without the customer, the stand-in knows cards only.
    subscribes = params["mode"] == SUBSCRIPTION
    automatic_tax = params.get("automatic_tax", {"enabled": False})["enabled"]
    return {
        "adaptive_pricing": {"enabled": True} | params.get("adaptive_pricing", {}),
        "after_expiration": {"recovery": recovery | {"expires_at": None, "url": None}} if recovery else None,
        "automatic_tax": {
            "enabled": automatic_tax,
            "liability": {"type": "self"} if automatic_tax else None,
            "provider": "stripe" if automatic_tax else None,
            # Until the customer has typed an address.
            "status": "requires_location_inputs" if automatic_tax else None,
        },
        "client_secret": secret if ui_mode in ("embedded_page", "elements", "form") else None,
        "currency": currency,
        "custom_text": shapes.NO_CUSTOM_TEXT | params.get("custom_text", {}),
        "customer_creation": _customer_creation(params),
        "expires_at": params.get("expires_at", unit.now + DEFAULT_SECONDS),
        "metadata": merged_metadata({}, params.get("metadata")),
        "mode": params["mode"],
        "payment_method_collection": params.get("payment_method_collection", "always" if subscribes else None),
        "payment_method_types": (["card"] if card else [])
        + ([methods.debit_kind(currency)] if debit and not manual and not subscribes else []),
        "ui_mode": ui_mode,
        "url": f"{unit.engine.base_url}/c/pay/{session_id}" if ui_mode == "hosted_page" else None,
    }


def _customer_creation(params: Json) -> str | None:
    """A subscription always has a customer."""
    if "customer" in params:
        return None
    return "always" if params["mode"] == SUBSCRIPTION else str(params.get("customer_creation", "if_required"))


def intent_id(session: Record) -> str:
    """The payment intent behind a session, empty before the first try. A subscription's is its invoice's to show."""
    return str(session.body["payment_intent"] or session.hidden.get("intent") or "")


def retrieve(unit: Unit, params: Json, session_id: str) -> Json:
    return unit.need(KIND, session_id).body


def update(unit: Unit, params: Json, session_id: str) -> Json:
    """Metadata only; lines and shipping of a session stay what they were created with."""
    unsupported = set(params) - {"metadata", "expand"}
    if unsupported:
        name = min(unsupported)
        raise bad_request(f"The stand-in can't change {name} of a session.", param=name)
    record = unit.need(KIND, session_id)
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    unit.save(record)
    return record.body


def list_all(unit: Unit, params: Json) -> Json:
    found: Json = {
        name: params[name] for name in ("customer", "payment_intent", "status", "subscription") if name in params
    }
    if "customer_details" in params:
        found["customer_details.email"] = params["customer_details"]["email"]
    return listing.page(unit, params, KIND, "/v1/checkout/sessions", found)


def list_lines(unit: Unit, params: Json, session_id: str) -> Json:
    lines = session_lines.shown_lines(unit.need(KIND, session_id))
    return listing.slice_of(params, f"/v1/checkout/sessions/{session_id}/line_items", lines, "line item")


def expire(unit: Unit, params: Json, session_id: str) -> Json:
    """End an open session. Against a payment it is decided by who comes first; the loser gets this 400."""
    record = unit.need(KIND, session_id)
    status = record.body["status"]
    if status != "open":
        raise bad_request(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{status}`."
        )
    close(unit, record)
    return record.body


def lapse(unit: Unit, record: Record) -> None:
    """The clock reached `expires_at`."""
    if record.body["status"] == "open":
        close(unit, record)


def close(unit: Unit, record: Record) -> None:
    """Make an open session expired and cancel its payment intent.

    A 3-D Secure challenge in flight is left to itself: the bank doesn't know of the expiry, and whether its approval
    still counts is what `late_challenge` decides when it comes.
    """
    record.body |= {"status": "expired", "url": None}
    record.due_at = None
    unit.save(record)
    intent = unit.get("payment_intent", intent_id(record))
    if intent and intent.body["status"] == "requires_payment_method":
        charging.cancel(unit, intent, "automatic")
    unit.announce("checkout.session.expired", record)

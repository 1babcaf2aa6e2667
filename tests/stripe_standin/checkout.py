"""What the customer does to a session: pay, come back from 3-D Secure, have a debit collected."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import billing_payments, cards, catalog, charging, ids, methods, session_lines, sessions, shapes, subscribing
from .charging import Verdict
from .errors import Json
from .store import Record
from .unit import Unit

CARD, BANK_DEBIT = "card", "bank_debit"


@dataclass(frozen=True, slots=True)
class Payment:
    """What the customer filled in. `shipping_rate` None keeps the choice made so far."""

    method: str = CARD
    card: str = ""
    email: str = ""
    name: str = "Robin Example"
    phone: str | None = None
    address: Json = field(default_factory=dict)
    shipping_address: Json = field(default_factory=dict)
    shipping_rate: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """How it went. state: complete, already_complete, challenge, declined, expired or invalid."""

    state: str
    code: str | None = None
    message: str | None = None

    @property
    def done(self) -> bool:
        return self.state in ("complete", "already_complete")


def pay(unit: Unit, session: Record, payment: Payment) -> Paid:
    """Submit the form of the page. A second submission finds the session complete and charges nothing."""
    refused = _refusal(session, payment) or choose_shipping(unit, session, payment.shipping_rate)
    if refused:
        return refused
    billing = _collect_details(unit, session, payment)
    session_lines.locate(unit, session)
    if session.body["amount_total"] == 0:
        return _owe_nothing(unit, session, payment, billing)
    intent = _intent(unit, session, payment)
    if payment.method == BANK_DEBIT:
        method = methods.make_debit(unit, session.body["currency"], billing)
    else:
        method = methods.make_card(unit, payment.card, billing)
    verdict = charging.attempt(unit, intent, method, off_session=False)
    return _conclude(unit, session, intent, verdict)


def _owe_nothing(unit: Unit, session: Record, payment: Payment, billing: Json) -> Paid:
    """Nothing is due now. A subscription's card is taken all the same, for what comes; its bank is asked."""
    method = None
    if session.body["payment_method_collection"] == "always" and session.body["mode"] == sessions.SUBSCRIPTION:
        declined = cards.bank_of(payment.card).declines
        if declined:
            return Paid("declined", declined, cards.REASONS[declined][1])
        method = methods.make_card(unit, payment.card, billing)
    _complete(unit, session, "no_payment_required", None, method)
    return Paid("complete")


def choose_shipping(unit: Unit, session: Record, rate: str | None) -> Paid | None:
    """Change the shipping of an open session and its totals with it; returns why not. None as `rate` keeps it."""
    if rate is None or session.body["status"] != "open":
        return None
    if rate not in [option["id"] for option in session.hidden["shipping"]]:
        return Paid("invalid", "unknown_shipping_rate", "Choose one of the shipping options.")
    session.hidden["shipping_choice"] = rate
    session_lines.apply_totals(unit, session)
    unit.save(session)
    return None


def _refusal(session: Record, payment: Payment) -> Paid | None:
    body = session.body
    if body["status"] == "complete":
        return Paid("already_complete")
    if body["status"] == "expired":
        return Paid("expired", "session_expired", "This checkout session has expired.")
    if not (payment.email or body["customer_email"] or body["customer"]):
        return Paid("invalid", "email_required", "Enter your e-mail address.")
    if payment.email and "@" not in payment.email:
        return Paid("invalid", "email_invalid", "This is not an e-mail address.")
    countries = (body["shipping_address_collection"] or {}).get("allowed_countries")
    if countries and payment.shipping_address.get("country", countries[0]) not in countries:
        return Paid("invalid", "country_not_offered", f"Goods are shipped to: {', '.join(countries)}.")
    wanted = methods.debit_kind(body["currency"]) if payment.method == BANK_DEBIT else "card"
    if body["amount_total"] and wanted not in body["payment_method_types"]:
        return Paid("invalid", "method_not_offered", "This payment method isn't offered here.")
    return None


def _collect_details(unit: Unit, session: Record, payment: Payment) -> Json:
    """Write the customer's details into the hidden part (shown at completion); returns the billing details."""
    customer = unit.get("customer", session.body["customer"] or "")
    known_email = session.body["customer_email"] or (customer.body["email"] if customer else None)
    address = shapes.NO_ADDRESS | (payment.address or {"country": "US", "postal_code": "94107"})
    session.hidden["details"] = {
        "address": address,
        "business_name": None,
        "email": payment.email or known_email,
        "individual_name": None,
        "name": payment.name,
        "phone": payment.phone,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    session.hidden["shipping_details"] = None
    if session.body["shipping_address_collection"]:
        countries = session.body["shipping_address_collection"]["allowed_countries"]
        sent = {"country": countries[0]} | (
            payment.shipping_address or {"line1": "1 Example Street", "city": "Exampleton"}
        )
        name = sent.get("name", payment.name)
        shipping = shapes.NO_ADDRESS | {key: value for key, value in sent.items() if key != "name"}
        session.hidden["shipping_details"] = {"address": shipping, "name": name}
    email = session.hidden["details"]["email"]
    return {"address": address, "email": email, "name": payment.name, "phone": payment.phone, "tax_id": None}


def _intent(unit: Unit, session: Record, payment: Payment) -> Record:
    """The session's payment intent: made at the first confirmation, used again by the next tries."""
    existing = unit.get("payment_intent", sessions.intent_id(session))
    amount = session.body["amount_total"]
    if existing:
        existing.body["amount"] = amount
        return existing
    wanted = session.hidden["intent_data"]
    body = shapes.intent(ids.new_id("pi"), unit.now, amount=amount, currency=session.body["currency"])
    copied = ("capture_method", "description", "receipt_email", "setup_future_usage", "statement_descriptor",
              "statement_descriptor_suffix", "on_behalf_of", "transfer_group", "application_fee_amount")  # fmt: skip
    body |= {name: wanted[name] for name in copied if name in wanted}
    shipping = session.hidden["shipping_details"] or wanted.get("shipping")
    body |= {
        "metadata": catalog.merged_metadata({}, wanted.get("metadata")),
        "customer": _customer(unit, session),
        "client_secret": f"{body['id']}_secret_{ids.random_text(24)}",
        "payment_method_types": list(session.body["payment_method_types"]),
        "shipping": shipping,
    }
    intent = unit.add("payment_intent", body, hidden={"session": session.id})
    if session.body["mode"] == sessions.SUBSCRIPTION:
        session.hidden["intent"] = intent.id
    else:
        session.body["payment_intent"] = intent.id
    unit.save(session)
    unit.announce("payment_intent.created", intent)
    return intent


def _customer(unit: Unit, session: Record) -> str | None:
    """The session's customer; a saved payment method or `customer_creation=always` makes one."""
    body = session.body
    if body["customer"] is None:
        wanted = session.hidden["intent_data"].get("setup_future_usage") or body["customer_creation"] == "always"
        if not wanted:
            return None
        details = session.hidden["details"]
        known = {"email": details["email"], "name": details["name"], "phone": details["phone"] or ""}
        body["customer"] = catalog.new_customer(unit, known).id
    return str(body["customer"])


def _conclude(unit: Unit, session: Record, intent: Record, verdict: Verdict) -> Paid:
    if verdict is Verdict.CHALLENGED:
        unit.save(session)
        return Paid("challenge")
    if verdict is Verdict.DECLINED:
        unit.save(session)
        error = intent.body["last_payment_error"]
        return Paid("declined", error["decline_code"] or error["code"], error["message"])
    _complete(unit, session, "paid" if verdict is Verdict.SUCCEEDED else "unpaid", intent)
    return Paid("complete")


def _complete(
    unit: Unit, session: Record, payment_status: str, intent: Record | None, method: Record | None = None
) -> None:
    """`method` is a card to keep although nothing was paid with it."""
    hidden = session.hidden
    customer = _customer(unit, session) if intent is None else intent.body["customer"]
    if intent and intent.body["setup_future_usage"] and customer:
        method = unit.need("payment_method", intent.body["payment_method"])
    if method and customer:
        methods.attach(unit, method, customer)
    if hidden["coupon"]:
        catalog.redeem_coupon(unit, hidden["coupon"]["id"])
    session.body |= {
        "status": "complete",
        "payment_status": payment_status,
        "url": None,
        "customer_details": hidden["details"],
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": hidden["shipping_details"],
        },
    }
    session.due_at = None
    subscribes = session.body["mode"] == sessions.SUBSCRIPTION
    if subscribes:
        session.body |= {"subscription": ids.new_id("sub"), "invoice": ids.new_id("in")}
    unit.save(session)
    unit.announce("checkout.session.completed", session)
    if subscribes:
        subscribing.from_session(unit, session, intent, method)


def answer_challenge(unit: Unit, intent: Record, *, approved: bool, late: bool = False) -> Paid:
    """The customer approved or failed 3-D Secure. `late` lets an approval count although the session expired."""
    session = session_of(unit, intent)
    if intent.body["status"] != "requires_action":
        done = session is not None and session.body["status"] == "complete"
        return Paid("already_complete") if done else Paid("invalid", "no_challenge", "There is nothing to approve.")
    if session is None:
        verdict = charging.answer_challenge(unit, intent, approved=approved)
        billing_payments.conclude(unit, intent, verdict)
        return Paid("declined" if verdict is Verdict.DECLINED else "complete")
    expired = session.body["status"] == "expired"
    if expired and not (approved and (late or unit.engine.options.late_challenge == "succeed")):
        charging.cancel(unit, intent, "automatic")
        return Paid("expired", "session_expired", "This checkout session has expired.")
    return _conclude(unit, session, intent, charging.answer_challenge(unit, intent, approved=approved))


def settle_debit(unit: Unit, intent: Record, *, succeeded: bool) -> bool:
    """The bank debit behind a processing intent arrives or bounces. False when there is none."""
    if intent.body["status"] != "processing":
        return False
    charging.settle_debit(unit, intent, succeeded=succeeded)
    session = session_of(unit, intent)
    if session:
        session.body["payment_status"] = "paid" if succeeded else "unpaid"
        unit.save(session)
        unit.announce(f"checkout.session.async_payment_{'succeeded' if succeeded else 'failed'}", session)
    return True


def lapse_intent(unit: Unit, intent: Record) -> None:
    """The clock reached the end of a capture window, or the day a debit arrives."""
    if intent.body["status"] == "requires_capture":
        charging.cancel(unit, intent, "automatic", lapsed=True)
    else:
        settle_debit(unit, intent, succeeded=True)


def session_of(unit: Unit, intent: Record) -> Record | None:
    return unit.get("checkout.session", intent.hidden.get("session") or "")


def return_url(session: Record) -> str | None:
    """Where the customer goes after paying, with the session's id filled in."""
    url = session.body["success_url"] or session.body["return_url"]
    return str(url).replace("{CHECKOUT_SESSION_ID}", session.id) if url else None

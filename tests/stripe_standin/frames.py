"""The frames that stripe.js, the stand-in's, puts into a shop's page: the embedded page, single elements, 3-D Secure.

Whoever knows a session's client secret may pay it, as with Stripe; a publishable key must be of the session's account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from markupsafe import Markup

from . import cards, checkout, money, page_flow, pages, sessions, subscribing
from .checkout import Paid, Payment
from .engine import Engine
from .errors import ApiError, Json
from .messages import Reply, Request, json_reply
from .store import Record

HERE = Path(__file__).parent
SCRIPTS = {name: HERE.joinpath(name).read_bytes() for name in ("stripe.js", "frame.js")}
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'"
ADDRESS = ("line1", "city", "postal_code", "country")
# What js.stripe.com allows too: the page around reads the session from another origin.
READABLE = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
PUBLIC_KEY = "pk_test_"


@dataclass(frozen=True, slots=True)
class Frames:
    engine: Engine

    def answer(self, request: Request) -> Reply:
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", "stripe.js"] | ["GET", "c", "assets", "frame.js"]:
                script = SCRIPTS[request.path.rpartition("/")[2]]
                return Reply(200, script, {"Cache-Control": "no-cache"}, "text/javascript; charset=utf-8")
            case [method, "c", "frame", secret, part]:
                session = self._session(secret)
                if session is None:
                    return _refused(404, "No such payment_page.")
                return self._of_session(method, part, session, request)
        return _refused(404, "There is no such frame.")

    def _of_session(self, method: str, part: str, session: Record, request: Request) -> Reply:
        match [method, part]:
            case ["GET", "session"]:
                return self._facts(session, page_flow.query_of(request))
            case ["GET", "embedded"]:
                return self._embedded(session, 200, None, {})
            case ["POST", "embedded"]:
                return self._submit(session, page_flow.form_of(request))
            case ["GET", "payment" | "shipping" | "billing"]:
                return _frame(200, "Payment", element(session, part))
            case ["POST", "address"]:
                page_flow.add_tax(self.engine, session)
                return Reply(200, json.dumps(facts(self._again(session))).encode(), READABLE, "application/json")
            case ["POST", "confirm"]:
                return self._confirm(session, request)
            case ["GET", "challenge"]:
                return self._challenge(session)
            case ["POST", "challenge"]:
                return self._answer_challenge(session, page_flow.form_of(request))
        return _refused(404, "There is no such frame.")

    def _session(self, secret: str) -> Record | None:
        """The session that a client secret belongs to; its id alone opens nothing here."""
        with self.engine.lock:
            self.engine.lapse_due()
            found = self.engine.store.find("checkout.session", secret.split("_secret_")[0])
        return found if found and found.body["client_secret"] == secret else None

    def _facts(self, session: Record, asked: Mapping[str, str]) -> Reply:
        key = asked.get("key", "")
        account = asked.get("account") or f"acct_{key.removeprefix(PUBLIC_KEY)}"
        if not key.startswith(PUBLIC_KEY) or account != session.account:
            return _refused(401, "The publishable key is of another account than the session.")
        if session.body["status"] != "open":
            return _refused(400, "This Checkout Session is no longer active.")
        return Reply(200, json.dumps(facts(session)).encode(), READABLE, "application/json")

    # The embedded page

    def _embedded(self, session: Record, status: int, paid: Paid | None, typed: Json) -> Reply:
        if session.body["status"] != "open":
            return self._over(session, paid)
        if _intent_waits(self.engine, session):
            return self._challenge(session)
        page = pages.payment_form(session, known_email=session.body["customer_email"], paid=paid, typed=typed,
                                  action=_address(session, "embedded"))  # fmt: skip
        return _frame(status, "Payment", page)

    def _submit(self, session: Record, form: dict[str, str]) -> Reply:
        refused = page_flow.missing(session, form)
        if refused:
            return self._embedded(session, 422, refused, form)
        if page_flow.add_tax(self.engine, session):
            return self._embedded(self._again(session), 200, page_flow.TAX_ADDED, form)
        paid, session = self._pay(session, page_flow.payment_of(form))
        if paid.state == "challenge":
            return self._challenge(session)
        return self._embedded(session, 402 if paid.state == "declined" else 422, paid, form)

    def _pay(self, session: Record, payment: Payment) -> tuple[Paid, Record]:
        ran = page_flow.pay(self.engine, session, payment)
        if ran.value.done:
            page_flow.await_shop(self.engine, ran)
        return ran.value, self._again(session)

    def _again(self, session: Record) -> Record:
        with self.engine.lock:
            return self.engine.store.find("checkout.session", session.id) or session

    def _over(self, session: Record, paid: Paid | None) -> Reply:
        if session.body["status"] == "complete":
            url = checkout.return_url(session)
            return _frame(200, "Thank you", outcome("complete", "The payment is made.", url=url))
        text = (paid and paid.message) or "This checkout session has expired. Nothing was charged."
        return _frame(410, "Session expired", outcome("failed", text))

    # Single elements

    def _confirm(self, session: Record, request: Request) -> Reply:
        given: Json = json.loads(request.body or b"{}")
        refused = _incomplete(session, given)
        if refused is None:
            payment = Payment(
                card=cards.digits(str(given.get("card", ""))),
                email=str(given.get("email") or session.body["customer_email"] or ""),
                name=str((given.get("billing") or given.get("shipping") or given).get("name") or "Robin Example"),
                phone=given.get("phone"),
                address=_address_of(given.get("billing") or {}),
                shipping_address=_address_of(given.get("shipping") or {}, "name"),
            )
            refused, session = self._pay(session, payment)
        url = checkout.return_url(session) if refused.done else None
        state = "complete" if refused.done else refused.state
        return json_reply(200, {"state": state, "message": refused.message, "url": url})

    # 3-D Secure

    def _challenge(self, session: Record) -> Reply:
        with self.engine.lock:
            intent = self.engine.store.find("payment_intent", sessions.intent_id(session))
        if intent is None or intent.body["status"] != "requires_action":
            return _frame(404, "Nothing to approve", outcome("failed", "This payment doesn't wait for an approval."))
        action = _address(session, "challenge")
        return _frame(200, "3-D Secure", pages.challenge_form(intent, action=action, leave=Markup("")))

    def _answer_challenge(self, session: Record, form: dict[str, str]) -> Reply:
        with self.engine.lock:
            intent = self.engine.store.find("payment_intent", sessions.intent_id(session))
        if intent is None:
            return _refused(404, "This payment doesn't exist.")
        approved = form.get("outcome") == "approve"
        ran = page_flow.answer_challenge(self.engine, intent, approved=approved, late=False)
        if ran.value.done:
            page_flow.await_shop(self.engine, ran)
        session = self._again(session)
        if session.body["status"] != "open":
            return self._over(session, ran.value)
        if session.body["ui_mode"] == "elements":
            return _frame(200, "3-D Secure", outcome("failed", ran.value.message or "The authentication failed."))
        return self._embedded(session, 402, ran.value, {})


def facts(session: Record) -> Json:
    """The session as the Checkout Elements SDK shows it. Source: Stripe.js reference, "Session object"."""
    body, currency = session.body, session.body["currency"]
    details = body["total_details"]

    def amount(minor: int) -> Json:
        return {"amount": money.display(minor, currency), "minorUnitsAmount": minor}

    return {
        "id": session.id,
        "uiMode": body["ui_mode"],
        "redirectOnCompletion": body["redirect_on_completion"] or "always",
        "status": {"type": body["status"]},
        "canConfirm": False,
        "currency": currency,
        "minorUnitsAmountDivisor": 10 ** money.exponent(currency),
        "email": body["customer_email"],
        "recurring": _recurring(session, amount),
        "lineItems": [
            {"id": line["id"], "name": line["description"], "quantity": line["quantity"],
             "total": amount(line["amount_total"])}
            for line in session.hidden["lines"]
        ],
        "total": {
            "subtotal": amount(body["amount_subtotal"]),
            "discount": amount(details["amount_discount"]),
            "shippingRate": amount(details["amount_shipping"]),
            "tax": amount(details["amount_tax"]),
            "total": amount(body["amount_total"]),
        },
    }  # fmt: skip


def _recurring(session: Record, amount: Callable[[int], Json]) -> Json | None:
    """What is due at the first renewal, before discounts and taxes, and how often; None for a single payment."""
    lines = [line for line in session.hidden["lines"] if line["price"]["type"] == "recurring"]
    if not lines:
        return None
    due = sum(Decimal(line["price"]["unit_amount_decimal"]) * line["quantity"] for line in lines)
    end = subscribing.trial_end(session.hidden["data"], session.body["created"])
    return {
        "interval": lines[0]["price"]["recurring"]["interval"],
        "intervalCount": lines[0]["price"]["recurring"]["interval_count"],
        "dueNext": {"subtotal": amount(money.round_half_up(Decimal(due)))},
        "trial": {"trialEnd": end, "trialPeriodDays": session.hidden["data"].get("trial_period_days")} if end else None,
    }


def element(session: Record, part: str) -> Markup:
    """One element's form: a card, or an address."""
    if part == "payment":
        fields = [pages.field("Card number", "card", "4242 4242 4242 4242", complete="off", more='inputmode="numeric"')]
    else:
        offered = (session.body["shipping_address_collection"] or {}).get("allowed_countries", ["US"])
        fields = pages.address_fields("", {}, offered[0] if part == "shipping" else "US")
        fields.insert(0, pages.field("Name", "name", "", complete="name"))
    return Markup('<form data-element="{}" action="{}" novalidate>{}</form>').format(
        part, _address(session, "confirm"), Markup("").join(fields)
    )


def outcome(state: str, text: str, *, url: str | None = None) -> Markup:
    """What frame.js tells the page around, and a person who looks at the frame alone."""
    return Markup('<p data-outcome="{}" data-url="{}" data-message="{}">{}</p>').format(state, url or "", text, text)


def _incomplete(session: Record, given: Mapping[str, Any]) -> Paid | None:
    if session.body["status"] != "open":
        return Paid("expired", "session_expired", "This checkout session is no longer open.")
    if session.body["shipping_address_collection"] and not (given.get("shipping") or {}).get("line1"):
        return Paid("invalid", "address_required", "Enter a shipping address.")
    if session.body["billing_address_collection"] == "required" and not (given.get("billing") or {}).get("line1"):
        return Paid("invalid", "address_required", "Enter a billing address.")
    return None


def _intent_waits(engine: Engine, session: Record) -> bool:
    with engine.lock:
        intent = engine.store.find("payment_intent", sessions.intent_id(session))
    return intent is not None and intent.body["status"] == "requires_action"


def _address_of(sent: Mapping[str, Any], *more: str) -> Json:
    return {name: str(sent[name]).strip() for name in (*ADDRESS, *more) if sent.get(name)}


def _address(session: Record, part: str) -> str:
    return f"/c/frame/{session.body['client_secret']}/{part}"


def _frame(status: int, title: str, content: Markup) -> Reply:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Reply(status, pages.document(title, content, layout="frame", script=True), headers, page_flow.HTML)


def _refused(status: int, message: str) -> Reply:
    body = ApiError(status, message).body()
    return Reply(status, json.dumps(body).encode(), READABLE, "application/json")

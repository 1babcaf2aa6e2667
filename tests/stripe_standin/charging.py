"""Moving a payment intent through its states: approved, declined, challenged, processing, captured, canceled."""

from __future__ import annotations

from enum import Enum

from . import cards, ids, ledger, methods, shapes
from .errors import Json
from .store import Record
from .unit import Unit

# How long an authorisation can be captured. Visa gives payments without the customer less: 4 days 18 hours.
CAPTURE_SECONDS = 7 * 86_400
CAPTURE_SECONDS_LATER_VISA = 4 * 86_400 + 18 * 3_600


class Verdict(Enum):
    """How an attempt to pay went."""

    SUCCEEDED = "succeeded"
    AUTHORISED = "requires_capture"
    PROCESSING = "processing"
    CHALLENGED = "requires_action"
    DECLINED = "declined"


def attempt(unit: Unit, intent: Record, method: Record, *, off_session: bool) -> Verdict:
    """Confirm the intent with this payment method, as its bank decides."""
    intent.body["payment_method"] = method.id
    intent.body["payment_method_types"] = sorted({*intent.body["payment_method_types"], method.body["type"]})
    intent.body["next_action"] = None
    intent.body["last_payment_error"] = None
    intent.hidden["off_session"] = off_session
    if method.body["type"] != "card":
        return _process(unit, intent, method)
    bank = cards.bank_of(method.hidden["number"])
    decline = bank.declines_later if off_session else bank.declines
    if decline:
        return decline_attempt(unit, intent, decline)
    if off_session and bank.challenges_later:
        return decline_attempt(unit, intent, "authentication_required")
    if not off_session and bank.challenges:
        return _challenge(unit, intent)
    return approve(unit, intent)


def approve(unit: Unit, intent: Record) -> Verdict:
    """The bank says yes: a charge, captured at once or held until it is captured."""
    charge = _new_charge(unit, intent)
    charge.body |= {"status": "succeeded", "paid": True, "outcome": shapes.outcome(approved=True)}
    intent.body |= {"latest_charge": charge.id, "next_action": None, "processing": None, "last_payment_error": None}
    if intent.body["capture_method"] == "manual":
        return _authorise(unit, intent, charge)
    _collect(unit, intent, charge, announce_charge="charge.succeeded")
    return Verdict.SUCCEEDED


def answer_challenge(unit: Unit, intent: Record, *, approved: bool) -> Verdict:
    """The customer came back from the 3-D Secure page."""
    if not approved:
        return decline_attempt(unit, intent, "authentication_failed", with_charge=False)
    method = unit.need("payment_method", intent.body["payment_method"])
    declined = cards.bank_of(method.hidden.get("number", "")).declines_after_challenge
    return decline_attempt(unit, intent, declined) if declined else approve(unit, intent)


def settle_debit(unit: Unit, intent: Record, *, succeeded: bool) -> None:
    """The bank debit of a processing intent arrives, or bounces."""
    charge = unit.need("charge", intent.body["latest_charge"])
    intent.body["processing"] = None
    intent.due_at = None
    if succeeded:
        charge.body |= {"status": "succeeded", "paid": True, "outcome": shapes.outcome(approved=True)}
        _collect(unit, intent, charge, announce_charge="charge.succeeded")
        return
    code, message = cards.REASONS["debit_failed"]
    charge.body |= {"status": "failed", "paid": False, "failure_code": code, "failure_message": message}
    unit.save(charge)
    unit.announce("charge.failed", charge)
    _fail(unit, intent, "debit_failed", charge.id)


def capture(unit: Unit, intent: Record, amount: int) -> None:
    """Collect `amount` of what is held (minor units, at most the capturable amount); the rest is released."""
    charge = unit.need("charge", intent.body["latest_charge"])
    intent.due_at = None
    _collect(unit, intent, charge, announce_charge="charge.captured", amount=amount)


def cancel(unit: Unit, intent: Record, reason: str | None, *, lapsed: bool = False) -> None:
    """Cancel; money that was only held goes back. `lapsed`: the capture window closed by itself."""
    held = intent.body["status"] == "requires_capture"
    intent.body |= {"status": "canceled", "canceled_at": unit.now, "cancellation_reason": reason}
    intent.body |= {"amount_capturable": 0, "next_action": None, "processing": None}
    intent.due_at = None
    unit.save(intent)
    if held:
        charge = unit.need("charge", intent.body["latest_charge"])
        charge.body |= {"refunded": True, "amount_refunded": charge.body["amount"]}
        unit.save(charge)
        unit.announce("charge.expired" if lapsed else "charge.refunded", charge)
    unit.announce("payment_intent.canceled", intent)


def decline_attempt(unit: Unit, intent: Record, reason: str, *, with_charge: bool = True) -> Verdict:
    """The bank says no: a failed charge, and an intent that waits for another payment method."""
    charge_id = None
    if with_charge:
        code, message = cards.REASONS[reason]
        charge = _new_charge(unit, intent)
        charge.body |= {"status": "failed", "failure_code": code, "failure_message": message}
        charge.body["outcome"] = shapes.outcome(approved=False, reason=reason)
        unit.save(charge)
        unit.announce("charge.failed", charge)
        intent.body["latest_charge"] = charge_id = charge.id
    _fail(unit, intent, reason, charge_id)
    return Verdict.DECLINED


def _fail(unit: Unit, intent: Record, reason: str, charge_id: str | None) -> None:
    code, message = cards.REASONS[reason]
    method = unit.need("payment_method", intent.body["payment_method"])
    intent.body["last_payment_error"] = {
        "advice_code": None,
        "charge": charge_id,
        "code": code,
        "decline_code": None if reason == "authentication_failed" else reason,
        "doc_url": None,
        "message": message,
        "payment_method": method.body,
        "payment_method_type": method.body["type"],
        "type": "card_error",
    }
    intent.body |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    unit.save(intent)
    unit.announce("payment_intent.payment_failed", intent)


def _challenge(unit: Unit, intent: Record) -> Verdict:
    url = f"{unit.engine.base_url}/c/3ds/{intent.id}"
    intent.body["next_action"] = {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": intent.hidden.get("return_url"), "url": url},
    }
    intent.body["status"] = "requires_action"
    unit.save(intent)
    unit.announce("payment_intent.requires_action", intent)
    return Verdict.CHALLENGED


def _process(unit: Unit, intent: Record, method: Record) -> Verdict:
    charge = _new_charge(unit, intent)
    intent.body |= {"status": "processing", "latest_charge": charge.id}
    wait = unit.engine.options.bank_debit_settles_after_seconds
    intent.due_at = unit.now + int(wait) if wait is not None else None
    unit.save(charge)
    unit.save(intent)
    unit.announce("charge.pending", charge)
    unit.announce("payment_intent.processing", intent)
    return Verdict.PROCESSING


def _authorise(unit: Unit, intent: Record, charge: Record) -> Verdict:
    later_visa = intent.hidden.get("off_session") and charge.body["payment_method_details"]["card"]["brand"] == "visa"
    capture_before = unit.now + (CAPTURE_SECONDS_LATER_VISA if later_visa else CAPTURE_SECONDS)
    charge.body["payment_method_details"]["card"]["capture_before"] = capture_before
    intent.body |= {"status": "requires_capture", "amount_capturable": intent.body["amount"]}
    intent.due_at = capture_before
    unit.save(charge)
    unit.save(intent)
    unit.announce("charge.succeeded", charge)
    unit.announce("payment_intent.amount_capturable_updated", intent)
    return Verdict.AUTHORISED


def _collect(unit: Unit, intent: Record, charge: Record, *, announce_charge: str, amount: int | None = None) -> None:
    collected = charge.body["amount"] if amount is None else amount
    charge.body |= {"captured": True, "amount_captured": collected}
    unit.save(charge)
    # The first event has no balance transaction yet, the update brings it: that is how asynchronous capture shows.
    unit.announce(announce_charge, charge)
    booked = ledger.book(unit, "charge", charge, collected, price=ledger.fee)
    charge.body["balance_transaction"] = booked
    unit.save(charge)
    unit.announce("charge.updated", charge, previous={"balance_transaction": None})
    intent.body |= {"status": "succeeded", "amount_received": collected, "amount_capturable": 0}
    unit.save(intent)
    unit.announce("payment_intent.succeeded", intent)


def _new_charge(unit: Unit, intent: Record) -> Record:
    shown, method = intent.body, unit.need("payment_method", intent.body["payment_method"])
    prefix = "ch" if method.body["type"] == "card" else "py"
    body = shapes.charge(ids.new_id(prefix), unit.now, amount=shown["amount"], currency=shown["currency"])
    copied = ("customer", "description", "receipt_email", "shipping", "on_behalf_of", "transfer_group")
    body |= {name: shown[name] for name in copied}
    body |= {
        "metadata": dict(shown["metadata"]),
        "payment_intent": intent.id,
        "payment_method": method.id,
        "billing_details": method.body["billing_details"],
        "payment_method_details": _details(method, shown["amount"]),
    }
    return unit.add("charge", body)


def _details(method: Record, amount: int) -> Json:
    kind = method.body["type"]
    shown = method.body[kind]
    if kind != "card":
        return {"type": kind, kind: dict(shown)}
    kept = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    unavailable = {name: {"status": "unavailable"} for name in ("incremental_authorization", "multicapture")}
    return {
        "type": "card",
        "card": {name: shown[name] for name in kept}
        | unavailable
        | {
            "amount_authorized": amount,
            "authorization_code": None,
            "extended_authorization": {"status": "disabled"},
            "installments": None,
            "mandate": None,
            "network": shown["brand"],
            "network_token": {"used": False},
            "network_transaction_id": ids.random_text(15),
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": None,
        },
    }


def pays_by_debit(allowed: list[str] | None, excluded: list[str] | None, currency: str) -> bool:
    """Whether a session with these filters offers the bank debit of its currency."""
    kind = methods.debit_kind(currency)
    return (allowed is None or kind in allowed) and kind not in (excluded or [])

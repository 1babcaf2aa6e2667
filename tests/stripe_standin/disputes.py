"""Disputes: the bank takes a charge's money back, the shop answers or doesn't, somebody wins. By the control surface,
because nothing but a customer's bank begins one.

The fee is Stripe's usual price of a dispute, and stays with Stripe whoever wins.
"""

from __future__ import annotations

from . import ids, ledger, listing, shapes
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "dispute"
FEE = 1500
ANSWER_SECONDS = 7 * 86_400
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def begin(unit: Unit, charge: Record, *, reason: str, amount: int, inquiry: bool) -> Record:
    """A dispute of `amount`; an inquiry moves no money yet."""
    currency = charge.body["currency"]
    body = shapes.dispute(ids.new_id("du"), unit.now, amount=amount, currency=currency)
    body |= {
        "charge": charge.id,
        "payment_intent": charge.body["payment_intent"],
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
        "is_charge_refundable": inquiry,
    }
    body["evidence_details"]["due_by"] = unit.now + ANSWER_SECONDS
    dispute = unit.add(KIND, body)
    charge.body["disputed"] = True
    unit.save(charge)
    if not inquiry:
        _move(unit, dispute, -amount)
    unit.announce("charge.dispute.created", dispute)
    if not inquiry:
        unit.announce("charge.dispute.funds_withdrawn", dispute)
    return dispute


def escalate(unit: Unit, dispute: Record) -> bool:
    """An inquiry becomes a dispute, which takes the money. False when it is no open inquiry."""
    if dispute.body["status"] not in ("warning_needs_response", "warning_under_review"):
        return False
    dispute.body |= {"status": "needs_response", "is_charge_refundable": False}
    _move(unit, dispute, -dispute.body["amount"])
    unit.announce("charge.dispute.updated", dispute)
    unit.announce("charge.dispute.funds_withdrawn", dispute)
    return True


def respond(unit: Unit, dispute: Record) -> bool:
    """The shop's evidence is in. False when none is asked for."""
    status = dispute.body["status"]
    if status not in ("needs_response", "warning_needs_response"):
        return False
    dispute.body["status"] = status.replace("needs_response", "under_review")
    dispute.body["evidence_details"] |= {"has_evidence": True, "submission_count": 1}
    unit.save(dispute)
    unit.announce("charge.dispute.updated", dispute)
    return True


def close(unit: Unit, dispute: Record, *, won: bool) -> bool:
    """The bank decides. What was taken comes back to who wins. False when it is closed already."""
    if dispute.body["status"] not in OPEN:
        return False
    taken = sum(movement["amount"] for movement in dispute.body["balance_transactions"]) < 0
    inquiry = dispute.body["status"].startswith("warning_")
    dispute.body["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    unit.save(dispute)
    if won and taken:
        _move(unit, dispute, dispute.body["amount"])
        unit.announce("charge.dispute.funds_reinstated", dispute)
    unit.announce("charge.dispute.closed", dispute)
    return True


def _price(amount: int) -> int:
    return FEE if amount < 0 else 0


def _move(unit: Unit, dispute: Record, amount: int) -> None:
    booked = ledger.book(unit, "adjustment", dispute, amount, price=_price)
    transaction = unit.need("balance_transaction", booked)
    transaction.body["reporting_category"] = "dispute" if amount < 0 else "dispute_reversal"
    unit.save(transaction)
    dispute.body["balance_transactions"] = [*dispute.body["balance_transactions"], dict(transaction.body)]
    unit.save(dispute)


def retrieve(unit: Unit, params: Json, dispute_id: str) -> Json:
    return unit.need(KIND, dispute_id).body


def update(unit: Unit, params: Json, dispute_id: str) -> Json:
    """Evidence is taken as a whole: `submit` sends what there is."""
    dispute = unit.need(KIND, dispute_id)
    if dispute.body["status"] not in OPEN:
        raise bad_request(f"This dispute is {dispute.body['status']}: it can't be changed any more.")
    dispute.body["evidence"] = {**dispute.body["evidence"], **(params.get("evidence") or {})}
    unit.save(dispute)
    if params.get("submit", True):
        respond(unit, dispute)
    return dispute.body


def list_all(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("charge", "payment_intent") if name in params}
    return listing.page(unit, params, KIND, "/v1/disputes", found)

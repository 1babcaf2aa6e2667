"""Refunds: never above what was captured, several per charge, and able to fail long after they succeeded."""

from __future__ import annotations

from . import cards, catalog, ids, ledger, listing, money, shapes
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "refund"
NO_FUNDS = "insufficient_funds"
"""Why a card's refund waits while the account's balance can't cover it: nothing is booked until it can."""


def create(unit: Unit, params: Json) -> Json:
    charge = _charge(unit, params)
    left = charge.body["amount_captured"] - charge.body["amount_refunded"]
    currency = charge.body["currency"]
    if left <= 0:
        raise bad_request(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    amount = params.get("amount", left)
    if amount > left:
        raise bad_request(
            f"Refund amount ({money.display(amount, currency)}) is greater than unrefunded amount on charge "
            f"({money.display(left, currency)})",
            param="amount",
        )
    status, why = _beginning(unit, charge)
    body = shapes.refund(ids.new_id("re"), unit.now, amount=amount, currency=currency)
    body |= {
        "charge": charge.id,
        "metadata": catalog.merged_metadata({}, params.get("metadata")),
        "payment_intent": charge.body["payment_intent"],
        "pending_reason": why,
        "reason": params.get("reason"),
        "status": status,
    }
    refund = unit.add(KIND, body)
    if why != NO_FUNDS:
        body["balance_transaction"] = ledger.book(unit, "refund", refund, -amount)
        unit.save(refund)
    _add_refunded(unit, charge, amount)
    unit.announce("refund.created", refund)
    unit.announce("charge.refunded", charge)
    return body


def _beginning(unit: Unit, charge: Record) -> tuple[str, str | None]:
    """The status that a refund begins with, and why it is pending."""
    wanted = unit.engine.options.refund_status
    if wanted == NO_FUNDS:
        return "pending", NO_FUNDS
    if wanted == "pending" or _bank(unit, charge).refunds_pend:
        return "pending", "processing"
    return wanted, None


def _charge(unit: Unit, params: Json) -> Record:
    """The captured charge that is meant, whichever way it was named."""
    if "charge" in params:
        charge = unit.need("charge", params["charge"], param="charge")
    else:
        intent = unit.need("payment_intent", params["payment_intent"], param="payment_intent")
        found = unit.get("charge", intent.body["latest_charge"] or "")
        if found is None or intent.body["status"] != "succeeded":
            raise bad_request(f"{intent.id} has no successful charge to refund.", param="payment_intent")
        charge = found
    if not charge.body["captured"] or charge.body["status"] != "succeeded":
        raise bad_request(f"Charge {charge.id} was not captured, there is nothing to refund.", param="charge")
    return charge


def _bank(unit: Unit, charge: Record) -> cards.Bank:
    method = unit.need("payment_method", charge.body["payment_method"])
    return cards.BANKS.get(method.hidden.get("number", ""), cards.Bank())


def _add_refunded(unit: Unit, charge: Record, amount: int) -> None:
    refunded = charge.body["amount_refunded"] + amount
    charge.body |= {"amount_refunded": refunded, "refunded": refunded >= charge.body["amount_captured"]}
    unit.save(charge)


def retrieve(unit: Unit, params: Json, refund_id: str) -> Json:
    return unit.need(KIND, refund_id).body


def update(unit: Unit, params: Json, refund_id: str) -> Json:
    refund = unit.need(KIND, refund_id)
    refund.body["metadata"] = catalog.merged_metadata(refund.body["metadata"], params.get("metadata"))
    unit.save(refund)
    unit.announce("refund.updated", refund)
    return refund.body


def list_all(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("charge", "payment_intent") if name in params}
    return listing.page(unit, params, KIND, "/v1/refunds", found)


def cancel(unit: Unit, params: Json, refund_id: str) -> Json:
    refund = unit.need(KIND, refund_id)
    if refund.body["status"] != "requires_action":
        raise bad_request(f"A refund with the status {refund.body['status']} can't be canceled.")
    refund.body["status"] = "canceled"
    refund.body["failure_balance_transaction"] = _give_back(unit, refund)
    unit.save(refund)
    unit.announce("refund.updated", refund)
    return refund.body


def fail(unit: Unit, refund: Record, reason: str) -> bool:
    """The bank sends the money back, also long after `succeeded`. False when it failed or was canceled already."""
    if refund.body["status"] in ("failed", "canceled"):
        return False
    before = refund.body["status"]
    refund.body |= {"status": "failed", "failure_reason": reason, "pending_reason": None}
    refund.body["failure_balance_transaction"] = _give_back(unit, refund)
    unit.save(refund)
    unit.announce("refund.updated", refund, previous={"status": before})
    unit.announce("refund.failed", refund)
    return True


def succeed(unit: Unit, refund: Record) -> bool:
    """A refund that waited arrives. False when it doesn't wait."""
    before = refund.body["status"]
    if before not in ("pending", "requires_action"):
        return False
    refund.body |= {"status": "succeeded", "pending_reason": None}
    if refund.body["balance_transaction"] is None:
        refund.body["balance_transaction"] = ledger.book(unit, "refund", refund, -refund.body["amount"])
    unit.save(refund)
    unit.announce("refund.updated", refund, previous={"status": before})
    return True


def _give_back(unit: Unit, refund: Record) -> str | None:
    charge = unit.need("charge", refund.body["charge"])
    _add_refunded(unit, charge, -refund.body["amount"])
    if refund.body["balance_transaction"] is None:
        return None
    return ledger.book(unit, "refund_failure", refund, refund.body["amount"])

"""Stripe's refunds as this product reads and makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import stripe

from commerce.gateway.balance import PAGE, BalanceFacts, balance_facts, signed_minor
from commerce.gateway.client import StripeAccess, _call, _options
from tenants.storable import storable

BOOKED: Final = ("balance_transaction", "failure_balance_transaction")


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """What Stripe says of one refund. `amount` in our minor units of `currency`.

    `taken` is there once the money has left the account's balance, `returned` once it has come back. `reference` is
    the row that asked for it, as its metadata names it; empty where it was made elsewhere.
    Source: Stripe's Refund object, "Refunds": `succeeded` is not terminal.
    """

    id: str
    status: str
    amount: int
    currency: str
    charge_id: str
    intent_id: str
    reference: str
    failure_reason: str
    pending_reason: str
    taken: BalanceFacts | None
    returned: BalanceFacts | None


def refund_facts(found: Mapping[str, Any]) -> RefundFacts:
    """Reads a refund as Stripe sends it, its balance transactions expanded."""
    currency = str(found["currency"]).upper()
    taken, returned = (found.get(name) for name in BOOKED)
    metadata = found.get("metadata")
    return RefundFacts(
        id=str(found["id"]),
        status=str(found["status"] or ""),
        amount=signed_minor(int(found["amount"]), currency),
        currency=currency,
        charge_id=str(found.get("charge") or ""),
        intent_id=str(found.get("payment_intent") or ""),
        reference=str(metadata.get("refund_id") or "") if isinstance(metadata, Mapping) else "",
        failure_reason=str(found.get("failure_reason") or ""),
        pending_reason=str(found.get("pending_reason") or ""),
        taken=balance_facts(taken) if isinstance(taken, Mapping) else None,
        returned=balance_facts(returned) if isinstance(returned, Mapping) else None,
    )


def _facts(refund: stripe.Refund) -> RefundFacts:
    return refund_facts(storable(refund.to_dict(for_json=True)))


def create_refund(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> str:
    """Sends stored parameters under their stored key; the refund's id. Raises StripeFailure.

    The answer's other members aren't for use: under a key that was used before they are as old as the first answer.
    """
    return _call(
        access,
        "refunds.create",
        lambda client: str(client.v1.refunds.create(cast("Any", dict(params)), cast("Any", _options(access, key))).id),
    )


def read_refund(access: StripeAccess, refund_id: str) -> RefundFacts:
    """The refund now. Raises StripeFailure."""
    params = {"expand": list(BOOKED)}
    return _call(
        access,
        "refunds.retrieve",
        lambda client: _facts(
            client.v1.refunds.retrieve(refund_id, cast("Any", params), cast("Any", _options(access)))
        ),
    )


def refunds_of(access: StripeAccess, intent_id: str) -> list[RefundFacts]:
    """Every refund of a payment now, the newest first. Raises StripeFailure."""
    found: list[RefundFacts] = []
    while True:
        params: dict[str, Any] = {
            "payment_intent": intent_id,
            "limit": PAGE,
            "expand": [f"data.{name}" for name in BOOKED],
        }
        if found:
            params["starting_after"] = found[-1].id
        page, more = _page(access, params)
        found += page
        if not more or not page:
            return found


def _page(access: StripeAccess, params: dict[str, Any]) -> tuple[list[RefundFacts], bool]:
    def send(client: stripe.StripeClient) -> tuple[list[RefundFacts], bool]:
        page = client.v1.refunds.list(cast("Any", params), cast("Any", _options(access)))
        return [_facts(row) for row in page.data], bool(page.has_more)

    return _call(access, "refunds.list", send)

"""Payment intents that nobody pays on a page: made on a saved card, captured, let go. As Stripe has them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

import stripe

from commerce.gateway.balance import PAGE, BalanceFacts, balance_facts, signed_minor
from commerce.gateway.client import StripeAccess, _call, _options
from commerce.gateway.failures import StripeFailure
from tenants.storable import storable

BOOKED: Final = "latest_charge.balance_transaction"
CHARGE_KEY: Final = "charge_row_id"
"""The metadata that names the row behind an intent."""


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What Stripe says of one payment intent. Amounts in our minor units of `currency` (ISO 4217, upper case).

    `reference` is the row that asked for it, as its metadata names it. `capture_before` is the card network's word on
    how long an authorisation lives. `transaction` is there once what was collected is in the account's books.
    Source: Stripe's PaymentIntent object; "Place a hold on a payment method".
    """

    id: str
    status: str
    amount: int
    received: int
    currency: str
    reference: str
    charge_id: str
    capture_before: datetime | None
    error_code: str
    canceled_because: str
    transaction: BalanceFacts | None


def payment_facts(found: Mapping[str, Any]) -> PaymentFacts:
    """Reads an intent as Stripe sends it, its charge and balance transaction expanded."""
    currency = str(found["currency"]).upper()
    charge = _part(found, "latest_charge")
    error = _part(found, "last_payment_error")
    before = _part(_part(charge, "payment_method_details"), "card").get("capture_before")
    transaction = charge.get("balance_transaction")
    return PaymentFacts(
        id=str(found["id"]),
        status=str(found["status"] or ""),
        amount=signed_minor(int(found["amount"]), currency),
        received=signed_minor(int(found.get("amount_received") or 0), currency),
        currency=currency,
        reference=str(_part(found, "metadata").get(CHARGE_KEY) or ""),
        charge_id=str(charge.get("id") or ""),
        capture_before=None if before is None else datetime.fromtimestamp(int(before), UTC),
        error_code=str(error.get("decline_code") or error.get("code") or ""),
        canceled_because=str(found.get("cancellation_reason") or ""),
        transaction=balance_facts(transaction) if isinstance(transaction, Mapping) else None,
    )


def create_intent(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> str:
    """Sends stored parameters under their stored key; the intent's id. Raises StripeFailure, which names the intent
    where a card was declined.

    The answer's other members aren't for use: under a key that was used before they are as old as the first answer.
    """
    return _acted(
        access,
        "payment_intents.create",
        lambda client, options: client.v1.payment_intents.create(cast("Any", dict(params)), options),
        key,
    )


def confirm_intent(access: StripeAccess, intent_id: str, *, params: Mapping[str, Any], key: str) -> str:
    """Tries once more to collect an intent. Raises as `create_intent`."""
    return _acted(
        access,
        "payment_intents.confirm",
        lambda client, options: client.v1.payment_intents.confirm(intent_id, cast("Any", dict(params)), options),
        key,
    )


def capture_intent(access: StripeAccess, intent_id: str, *, amount: int, key: str) -> str:
    """Takes `amount` (Stripe's units) of what is held; the rest is released. Possible once. Raises StripeFailure."""
    return _acted(
        access,
        "payment_intents.capture",
        lambda client, options: client.v1.payment_intents.capture(intent_id, {"amount_to_capture": amount}, options),
        key,
    )


def cancel_intent(access: StripeAccess, intent_id: str) -> bool:
    """Ends an intent; what it holds goes back. False when it can't be ended any more: then read it.

    Raises StripeFailure when neither is known.
    """

    def send(client: stripe.StripeClient) -> None:
        client.v1.payment_intents.cancel(
            intent_id, {"cancellation_reason": "requested_by_customer"}, cast("Any", _options(access))
        )

    try:
        _call(access, "payment_intents.cancel", send)
    except StripeFailure as failure:
        if failure.http_status == 400:
            return False
        raise
    return True


def read_payment(access: StripeAccess, intent_id: str) -> PaymentFacts:
    """The intent now. Raises StripeFailure."""

    def send(client: stripe.StripeClient) -> PaymentFacts:
        found = client.v1.payment_intents.retrieve(intent_id, {"expand": [BOOKED]}, cast("Any", _options(access)))
        return payment_facts(storable(found.to_dict(for_json=True)))

    return _call(access, "payment_intents.retrieve", send)


def find_payment(access: StripeAccess, *, customer_id: str, reference: str) -> str | None:
    """The customer's intent whose metadata names `reference`, newest first. Raises StripeFailure."""
    last = ""
    while True:
        params: dict[str, Any] = {"customer": customer_id, "limit": PAGE}
        if last:
            params["starting_after"] = last
        page, more = _page(access, params)
        for intent_id, named in page:
            if named == reference:
                return intent_id
        if not more or not page:
            return None
        last = page[-1][0]


def _page(access: StripeAccess, params: dict[str, Any]) -> tuple[list[tuple[str, str]], bool]:
    def send(client: stripe.StripeClient) -> tuple[list[tuple[str, str]], bool]:
        found = client.v1.payment_intents.list(cast("Any", params), cast("Any", _options(access)))
        rows = [row.to_dict(for_json=True) for row in found.data]
        return [(str(row["id"]), str(_part(row, "metadata").get(CHARGE_KEY) or "")) for row in rows], bool(
            found.has_more
        )

    return _call(access, "payment_intents.list", send)


def _acted(
    access: StripeAccess, operation: str, act: Callable[[stripe.StripeClient, Any], stripe.PaymentIntent], key: str
) -> str:
    return _call(access, operation, lambda client: str(act(client, cast("Any", _options(access, key))).id))


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}

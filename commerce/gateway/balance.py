"""Stripe's own books as this product reads them: charges with their balance transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import stripe

from commerce.gateway.client import StripeAccess, _call, _options
from commerce.money import from_stripe_amount
from tenants.storable import storable

PAGE = 100
"""Stripe's most for one page of a list."""


@dataclass(frozen=True, slots=True)
class BalanceFacts:
    """One movement of an account's balance. `amount`, `fee` and `net = amount - fee` in our minor units of `currency`,
    signed: what leaves is negative. `source` is the object it is of, empty where Stripe names none.

    Source: Stripe's Balance Transaction object.
    """

    id: str
    type: str
    source: str
    currency: str
    amount: int
    fee: int
    created_at: datetime

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """The charge of a paid intent, and its balance transaction once there is one: capture may be asynchronous."""

    id: str
    amount: int
    currency: str
    transaction: BalanceFacts | None


def balance_facts(found: Mapping[str, Any]) -> BalanceFacts:
    """Reads a balance transaction as Stripe sends it."""
    currency = str(found["currency"]).upper()
    return BalanceFacts(
        id=str(found["id"]),
        type=str(found["type"]),
        source=str(found.get("source") or ""),
        currency=currency,
        amount=signed_minor(int(found["amount"]), currency),
        fee=signed_minor(int(found["fee"]), currency),
        created_at=datetime.fromtimestamp(int(found["created"]), UTC),
    )


def signed_minor(amount: int, currency: str) -> int:
    """Stripe's amount in our minor units; what leaves an account is negative."""
    size = from_stripe_amount(abs(amount), currency) if amount else 0
    return -size if amount < 0 else size


def read_charge(access: StripeAccess, intent_id: str) -> ChargeFacts | None:
    """The charge that paid an intent, with its balance transaction; None while there is none. Raises StripeFailure."""

    def send(client: stripe.StripeClient) -> ChargeFacts | None:
        intent = client.v1.payment_intents.retrieve(
            intent_id, {"expand": ["latest_charge.balance_transaction"]}, cast("Any", _options(access))
        )
        charge = storable(intent.to_dict(for_json=True)).get("latest_charge")
        if not isinstance(charge, Mapping) or charge.get("status") != "succeeded":
            return None
        currency, txn = str(charge["currency"]).upper(), charge.get("balance_transaction")
        return ChargeFacts(
            id=str(charge["id"]),
            amount=signed_minor(int(charge["amount_captured"]), currency),
            currency=currency,
            transaction=balance_facts(txn) if isinstance(txn, Mapping) else None,
        )

    return _call(access, "payment_intents.retrieve", send)


def transactions_between(access: StripeAccess, *, since: datetime, until: datetime) -> Iterator[BalanceFacts]:
    """The account's balance transactions in `[since, until)`, newest first, a page at a time. Raises StripeFailure."""
    yield from _pages(access, {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}})


def transactions_of(access: StripeAccess, source: str) -> Iterator[BalanceFacts]:
    """Everything that one object moved on the account's balance, newest first. Raises StripeFailure."""
    yield from _pages(access, {"source": source})


def _pages(access: StripeAccess, wanted: Mapping[str, Any]) -> Iterator[BalanceFacts]:
    last = ""
    while True:
        params: dict[str, Any] = {"limit": PAGE, **wanted}
        if last:
            params["starting_after"] = last
        page, more = _page(access, params)
        yield from page
        if not more or not page:
            return
        last = page[-1].id


def _page(access: StripeAccess, params: dict[str, Any]) -> tuple[list[BalanceFacts], bool]:
    def send(client: stripe.StripeClient) -> tuple[list[BalanceFacts], bool]:
        found = client.v1.balance_transactions.list(cast("Any", params), cast("Any", _options(access)))
        return [balance_facts(storable(row.to_dict(for_json=True))) for row in found.data], bool(found.has_more)

    return _call(access, "balance_transactions.list", send)


def read_balance(access: StripeAccess) -> dict[str, int]:
    """What the account holds, available and pending together, by currency in minor units. Raises StripeFailure."""

    def send(client: stripe.StripeClient) -> dict[str, int]:
        found = storable(client.v1.balance.retrieve(None, cast("Any", _options(access))).to_dict(for_json=True))
        sums: dict[str, int] = {}
        for part in (*found["available"], *found["pending"]):
            currency = str(part["currency"]).upper()
            sums[currency] = sums.get(currency, 0) + signed_minor(int(part["amount"]), currency)
        return sums

    return _call(access, "balance.retrieve", send)

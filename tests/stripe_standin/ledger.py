"""The account's balance: one balance transaction per movement of money, and the sums of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from . import ids, money
from .errors import Json
from .store import Record
from .unit import Unit

# A card's usual price, the same for every card and country so that expected nets can be computed by hand.
FEE_RATE = Decimal("0.029")
FEE_FIXED = 30
SETTLES_AFTER = 2 * 86_400
SIDES = {"charge": "charged", "payment": "charged", "adjustment": "disputed"}


def fee(amount: int) -> int:
    """Stripe's fee on a captured amount, in minor units: 2.9 % rounded half up, plus 30."""
    return money.round_half_up(amount * FEE_RATE) + FEE_FIXED


def no_fee(amount: int) -> int:
    return 0


def book(unit: Unit, kind: str, source: Record, moved: int, *, price: Callable[[int], int] = no_fee) -> str:
    """Write a balance transaction of signed `moved` (in the source's currency); returns its id.

    Amount and fee are in the currency that the account is settled in: `price` is asked for the fee of the amount there.
    """
    amount, currency, rate = unit.engine.convert(unit.caller.account, moved, str(source.body["currency"]))
    charged = price(amount)
    details = {"amount": charged, "application": None, "currency": currency, "type": "stripe_fee"}
    body: Json = {
        "id": ids.new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": unit.now + SETTLES_AFTER,
        "balance_type": "payments",
        "created": unit.now,
        "currency": currency,
        "description": source.body.get("description"),
        "exchange_rate": rate,
        "fee": charged,
        "fee_details": [details | {"description": "Processing fees"}] if charged else [],
        "net": amount - charged,
        "reporting_category": kind,
        "source": source.id,
        "status": "pending",
        "type": kind,
    }
    return unit.add("balance_transaction", body).id


def shown(record: Record, now: int) -> Json:
    """The transaction as the API shows it: available once the clock has passed its day."""
    status = "available" if record.body["available_on"] <= now else "pending"
    return record.body | {"status": status}


def balance(unit: Unit, params: Json) -> Json:
    """`GET /v1/balance`."""
    sums: dict[str, dict[str, int]] = {"available": {}, "pending": {}}
    where = "account = ? AND kind = 'balance_transaction'"
    for record in unit.engine.store.select(where, (unit.caller.account,), newest_first=False):
        body = shown(record, unit.now)
        side = sums[body["status"]]
        side[body["currency"]] = side.get(body["currency"], 0) + body["net"]
    currencies = sorted({currency for side in sums.values() for currency in side} or {"usd"})
    return {"object": "balance", "livemode": False} | {
        name: [
            {"amount": side.get(currency, 0), "currency": currency, "source_types": {"card": side.get(currency, 0)}}
            for currency in currencies
        ]
        for name, side in sums.items()
    }


def totals(transactions: list[Record]) -> dict[str, dict[str, Json]]:
    """Per account and currency: what came in, went out and was charged as fees, for the control surface."""
    found: dict[str, dict[str, Json]] = {}
    for record in transactions:
        body = record.body
        empty = {"charged": 0, "refunded": 0, "disputed": 0, "fees": 0, "net": 0, "transactions": 0}
        sums = found.setdefault(record.account, {}).setdefault(body["currency"], empty)
        sums[SIDES.get(body["type"], "refunded")] += body["amount"]
        sums["fees"] += body["fee"]
        sums["net"] += body["net"]
        sums["transactions"] += 1
    return found

"""What an account's balance is kept in: Stripe converts a charge whose currency the account has no bank account for.

Source: Stripe's Balance Transaction object. `amount` in the charge's currency times `exchange_rate` is `amount` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from . import money
from .errors import Json
from .options import BadControl


@dataclass(frozen=True, slots=True)
class Settlement:
    """One account's currency, and what one unit of another is worth in it. What isn't in `rates` stays as it is."""

    account: str
    currency: str
    rates: dict[str, str]

    def convert(self, amount: int, currency: str) -> tuple[int, str, float | None]:
        """Minor units of `currency` as `(minor units, currency, rate)` of the balance, rounded half to even."""
        rate = self.rates.get(currency)
        if rate is None:
            return amount, currency, None
        shift = money.exponent(self.currency) - money.exponent(currency)
        whole = (Decimal(amount) * Decimal(rate)).scaleb(shift).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
        return int(whole), self.currency, float(rate)


def read(sent: Json) -> Settlement:
    """`{account?, currency, rates}`; without rates everything settles as it was charged. Raises BadControl."""
    account, currency, rates = sent.get("account", "acct_standin"), sent.get("currency"), sent.get("rates")
    if set(sent) - {"account", "currency", "rates"} or not isinstance(account, str):
        raise BadControl("send currency, rates and, if you like, account")
    if currency not in money.SUPPORTED - money.WHOLE_UNITS:
        raise BadControl("currency must be one that Stripe settles in, in lower case")
    if not isinstance(rates, dict):
        raise BadControl('rates must be a JSON object such as {"eur": "1.08"}')
    for known, rate in rates.items():
        if known not in money.SUPPORTED or known == currency or not _is_rate(rate):
            raise BadControl("rates are positive decimals as texts, by other currencies in lower case")
    return Settlement(account, str(currency), dict(rates))


def _is_rate(value: Any) -> bool:
    return isinstance(value, str) and value.replace(".", "", 1).isdecimal() and Decimal(value) > 0

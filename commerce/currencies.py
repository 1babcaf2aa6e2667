"""Currencies: the committed table of exponents and of what Stripe asks of each.

Sources: ISO 4217 list one as of January 2026 (the table is committed because locale data is not a source for it: it
counts RSD, ALL or IQD without decimals), and Stripe's "Supported currencies" with its special cases and limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# ISO 4217 codes by exponent. Codes without a minor unit (precious metals, bond market units, XDR, XSU, XUA, XTS, XXX)
# hold no amounts and are absent on purpose.
_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
        "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
        "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
        "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG "
        "YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

# Stripe takes these without decimals. MGA is the one whose ISO exponent differs (2): its fractions can't be charged.
STRIPE_ZERO_DECIMAL: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
# Without decimals in ISO, yet sent ×100. UGX is on Stripe's zero-decimal list too: the special case wins.
STRIPE_TIMES_HUNDRED: Final = frozenset({"ISK", "UGX"})
# Charged with two decimals, paid out in whole units only: of no effect on charges, known to the payout reports.
STRIPE_WHOLE_UNIT_PAYOUTS: Final = frozenset({"HUF", "TWD"})

# The least that can be charged, in our minor units, when the account settles in the same currency.
_MINIMUM_CHARGE: Final = {
    "AED": 200, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
    "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200,
    "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip
_MAX_DIGITS: Final = {"IDR": 12, "INR": 9}
_MAX_DIGITS_OTHERWISE: Final = 8


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency. `exponent`: decimals of our minor unit (ISO 4217).

    Stripe's integer is ours × `stripe_multiplier` ÷ `stripe_divisor`; ours must be a multiple of `step` for it to be
    chargeable. `minimum`: the least charge in our minor units. `stripe_max_digits`: digits of Stripe's integer.
    """

    code: str
    exponent: int
    stripe_multiplier: int
    stripe_divisor: int
    step: int
    minimum: int
    stripe_max_digits: int
    whole_unit_payouts: bool


def _currency(code: str, exponent: int) -> Currency:
    divisor = 10**exponent if code in STRIPE_ZERO_DECIMAL else 1
    # Three-decimal charges end in 0 (https://docs.stripe.com/currencies#three-decimal).
    step = 10 if exponent == 3 else divisor
    return Currency(
        code=code,
        exponent=exponent,
        stripe_multiplier=100 if code in STRIPE_TIMES_HUNDRED else 1,
        stripe_divisor=divisor,
        step=step,
        minimum=_MINIMUM_CHARGE.get(code, step),
        stripe_max_digits=_MAX_DIGITS.get(code, _MAX_DIGITS_OTHERWISE),
        whole_unit_payouts=code in STRIPE_WHOLE_UNIT_PAYOUTS,
    )


CURRENCIES: Final[dict[str, Currency]] = {
    code: _currency(code, exponent) for exponent, codes in _BY_EXPONENT.items() for code in codes.split()
}

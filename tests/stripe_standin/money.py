"""Currencies as Stripe counts them, for the limits of the API and for the amounts on the page.

Kept apart from the product's own money module on purpose: a shared mistake would confirm itself.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())  # noqa: SIM905
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())  # noqa: SIM905
# Sent times one hundred, yet only whole units can be charged.
WHOLE_UNITS = frozenset({"isk", "ugx"})
_TWO_DECIMAL = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc "
    "cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes kgs khr "
    "kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk "
    "php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx usd "
    "uyu uzs wst xcd yer zar zmw"
)
TWO_DECIMAL = frozenset(_TWO_DECIMAL.split())
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL
# The least that can be charged, in minor units, where the account settles in the same currency.
MINIMUM = {
    "usd": 50, "eur": 50, "gbp": 30, "jpy": 50, "sek": 300, "nok": 300, "dkk": 250, "chf": 50, "cad": 50, "aud": 50,
    "nzd": 50, "sgd": 50, "hkd": 400, "huf": 17_500, "pln": 200, "czk": 1_500, "ron": 200, "mxn": 1_000, "brl": 50,
    "inr": 50, "aed": 200, "myr": 200, "thb": 1_000,
}  # fmt: skip
MAX_DIGITS = {"idr": 12, "inr": 9}
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "chf": "CHF ", "cad": "CA$", "aud": "A$", "inr": "₹"}


def exponent(currency: str) -> int:
    """How many digits of an amount lie behind the decimal point."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """Amounts must be a multiple of this many minor units."""
    if currency in WHOLE_UNITS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def max_digits(currency: str) -> int:
    return MAX_DIGITS.get(currency, 8)


def minimum(currency: str) -> int:
    return MINIMUM.get(currency, 1)


def round_half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def display(amount: int, currency: str) -> str:
    """An amount in minor units as a person reads it: `€1,234.50`, `¥500`, `1,200.00 ISK`."""
    digits = exponent(currency)
    text = f"{Decimal(abs(amount)).scaleb(-digits):,.{digits}f}"
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {currency.upper()}"

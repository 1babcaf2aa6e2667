"""Money: integers in minor units of a currency, everywhere. No floats.

Everything that shows an amount (templates, admin, mails) goes through `format_minor`; everything that reads one from
the outside goes through `to_minor`, `require_minor` or `from_stripe_amount`.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, parse_pattern

from commerce.currencies import CURRENCIES, Currency
from tenants.errors import InvalidRequest

# What a PostgreSQL bigint holds; also keeps a hostile string of digits from becoming a huge integer.
LARGEST: Final = 2**63 - 1
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,6})?\Z")


class MoneyError(InvalidRequest):
    """An amount or currency that isn't one; the caller's input is at fault."""


class UnknownCurrency(MoneyError):
    """Not an active ISO 4217 code with a minor unit, in upper case."""


class InvalidAmount(MoneyError):
    """Not an exact amount of its currency."""


class NotChargeable(MoneyError):
    """An exact amount that Stripe's API can't carry: wrong step or too many digits."""


def currency_of(code: str) -> Currency:
    """The table's row for an upper-case ISO 4217 code. Raises UnknownCurrency."""
    currency = CURRENCIES.get(code)
    if currency is None:
        raise UnknownCurrency(
            f"{code!r} is not a currency that amounts can be in.", {"currency": ["Unknown currency."]}
        )
    return currency


def require_minor(value: object) -> int:
    """`value` itself when it is an integer amount in minor units that the database can hold.

    Booleans, floats, decimals and strings are refused, never converted. Raises InvalidAmount.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidAmount(f"Expected an integer in minor units, got {type(value).__name__}.")
    if not -LARGEST <= value <= LARGEST:
        raise InvalidAmount("The amount is out of range.")
    return value


def to_minor(value: str | Decimal | int, currency: str) -> int:
    """An amount in major units as minor units, exactly: `to_minor("12.50", "EUR") == 1250`.

    An int means whole major units. More decimals than the currency has are refused even when they are zeros, and so are
    floats, booleans, exponents, signs other than a leading minus, spaces, NaN and infinities.
    Raises InvalidAmount or UnknownCurrency.
    """
    exponent = currency_of(currency).exponent
    if isinstance(value, bool) or not isinstance(value, (str, Decimal, int)):
        raise InvalidAmount(f"Expected a decimal string, got {type(value).__name__}.")
    number = _decimal(value)
    _, digits, scale = number.as_tuple()
    if not isinstance(scale, int):
        raise InvalidAmount("The amount is not a finite number.")
    if -scale > exponent:
        raise InvalidAmount(f"{currency} has {exponent} decimals, got {-scale}.")
    # Judged before scaling: Decimal("1E+999999") would otherwise become a million digits.
    if len(digits) + scale > 19:
        raise InvalidAmount("The amount is out of range.")
    return require_minor(int(number.scaleb(exponent)))


def _decimal(value: str | Decimal | int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int):
        return Decimal(require_minor(value))
    if not _PLAIN_NUMBER.match(value):
        raise InvalidAmount("Expected a plain decimal number, such as 12.50.")
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise InvalidAmount("Expected a plain decimal number, such as 12.50.") from error


def from_minor(amount: int, currency: str) -> Decimal:
    """Minor units as an exact decimal in major units, with all the currency's decimals: 1250 EUR → Decimal("12.50")."""
    exponent = currency_of(currency).exponent
    number = require_minor(amount)
    return Decimal((int(number < 0), tuple(int(digit) for digit in str(abs(number))), -exponent))


def format_minor(amount: int, currency: str, locale: str) -> str:
    """An amount as a person reads it in `locale` ("de" or "de-DE"); an unknown locale reads as English.

    For display only. The locale's data gives symbol, separators and order; the number of decimals is ours, because the
    locale's own would hide them for some currencies. Contains no-break spaces and, in some locales, direction marks.
    """
    value = from_minor(amount, currency)
    known = _locale(locale)
    pattern = _pattern(known.language, str(known), currency_of(currency).exponent)
    return str(pattern.apply(value, known, currency=currency, currency_digits=False))


@lru_cache(maxsize=64)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale("en")


@lru_cache(maxsize=256)
def _pattern(language: str, locale: str, exponent: int) -> NumberPattern:
    pattern = parse_pattern(Locale.parse(locale).currency_formats["standard"].pattern)
    pattern.frac_prec = (exponent, exponent)
    return pattern


def stripe_amount(amount: int, currency: str) -> int:
    """Our minor units as the integer that Stripe's API takes for `currency`.

    ISK and UGX are sent ×100; three-decimal amounts must end in 0; MGA is sent in whole units.
    Source: https://docs.stripe.com/currencies (zero-decimal, three-decimal, special cases, maximum amounts).
    Raises NotChargeable for an amount off the step or with more digits than Stripe takes, InvalidAmount if negative.
    """
    rule = currency_of(currency)
    if require_minor(amount) < 0:
        raise InvalidAmount("A charge is never negative.")
    if amount % rule.step:
        raise NotChargeable(f"Amounts in {currency} are charged in steps of {rule.step} minor units.")
    sent = amount * rule.stripe_multiplier // rule.stripe_divisor
    if len(str(sent)) > rule.stripe_max_digits:
        raise NotChargeable(f"The amount has more than {rule.stripe_max_digits} digits in {currency}.")
    return sent


def from_stripe_amount(amount: int, currency: str) -> int:
    """Stripe's integer as our minor units; `currency` in Stripe's lower case or ISO's upper case.

    Raises InvalidAmount when a currency that is sent ×100 carries a fraction that it hasn't got: guessing would change
    what was paid. Negative amounts (balance transactions) convert alike.
    """
    rule = currency_of(currency.upper())
    whole, rest = divmod(require_minor(amount) * rule.stripe_divisor, rule.stripe_multiplier)
    if rest:
        raise InvalidAmount(f"{rule.code} has no fractions, Stripe's amount ends in {rest}.")
    return require_minor(whole)


def minimum_charge(currency: str) -> int:
    """The least that Stripe charges, in our minor units; one step of the currency where Stripe publishes none.

    Stripe judges it in the account's settlement currency: this is the figure for an account that settles in `currency`.
    """
    return currency_of(currency).minimum


def maximum_charge(currency: str) -> int:
    """The most that Stripe charges at once, in our minor units. Source: https://docs.stripe.com/currencies."""
    rule = currency_of(currency)
    most: int = (10**rule.stripe_max_digits - 1) * rule.stripe_divisor // rule.stripe_multiplier
    return most - most % rule.step


def is_chargeable(amount: int, currency: str) -> bool:
    """Whether Stripe takes this amount: on the step, at least the minimum, within the digits. Zero is no charge."""
    try:
        stripe_amount(amount, currency)
    except MoneyError:
        return False
    return amount >= minimum_charge(currency)

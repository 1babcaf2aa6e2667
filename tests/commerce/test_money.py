"""Conversions are exact or refused; nothing is ever rounded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.currencies import CURRENCIES
from commerce.money import (
    LARGEST,
    InvalidAmount,
    NotChargeable,
    UnknownCurrency,
    currency_of,
    format_minor,
    from_minor,
    from_stripe_amount,
    is_chargeable,
    minimum_charge,
    require_minor,
    stripe_amount,
    to_minor,
)

codes = st.sampled_from(sorted(CURRENCIES))
amounts = st.integers(min_value=-LARGEST, max_value=LARGEST)


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("12.50", "EUR", 1250), ("12.5", "EUR", 1250), ("12", "EUR", 1200), ("0", "EUR", 0), ("-0.01", "EUR", -1),
        ("500", "JPY", 500), ("5", "ISK", 5), ("1.234", "KWD", 1234), ("1.2345", "CLF", 12345),
        ("00012.50", "EUR", 1250),
        (Decimal("12.50"), "EUR", 1250), (Decimal("1E+3"), "JPY", 1000), (Decimal("-3"), "EUR", -300), (7, "EUR", 700),
        (7, "JPY", 7), (0, "EUR", 0), ("92233720368547758.07", "EUR", LARGEST),
    ],
)  # fmt: skip
def test_to_minor_is_exact(value, currency, minor):
    assert to_minor(value, currency) == minor


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("12.505", "EUR"), ("12.500", "EUR"), ("500.0", "JPY"), ("1.2345", "KWD"), (Decimal("1.001"), "EUR"),
        (1.5, "EUR"), (True, "EUR"), (None, "EUR"), (b"1", "EUR"), ([], "EUR"),
        ("", "EUR"), (" 1", "EUR"), ("1 ", "EUR"), ("1\n", "EUR"), ("+1", "EUR"), ("1e3", "EUR"), ("1,5", "EUR"),
        (".5", "EUR"),
        ("1.", "EUR"), ("--1", "EUR"), ("0x10", "EUR"), ("١٢", "EUR"), ("1_000", "EUR"), ("NaN", "EUR"),
        ("Infinity", "EUR"),
        (Decimal("NaN"), "EUR"), (Decimal("sNaN"), "EUR"), (Decimal("Infinity"), "EUR"), (Decimal("-Infinity"), "EUR"),
        (Decimal("1E+999999"), "EUR"), (Decimal("1E-999999"), "EUR"), ("9" * 100, "EUR"), ("9" * 100_000, "EUR"),
        ("92233720368547758.08", "EUR"), (10**30, "EUR"), (LARGEST, "EUR"),
    ],
)  # fmt: skip
def test_to_minor_refuses_what_is_not_an_exact_amount(value, currency):
    with pytest.raises(InvalidAmount) as caught:
        to_minor(value, currency)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "XAU", "BGN", "€", "EU", "EUR ", None])
def test_unknown_currencies_are_refused_everywhere(code):
    for call in (
        lambda: to_minor("1", code),
        lambda: from_minor(1, code),
        lambda: format_minor(1, code, "en"),
        lambda: stripe_amount(1, code),
        lambda: minimum_charge(code),
        lambda: currency_of(code),
    ):
        with pytest.raises(UnknownCurrency):
            call()


@pytest.mark.parametrize("value", [True, False, 1.0, "1", Decimal(1), None, LARGEST + 1, -LARGEST - 1])
def test_require_minor_converts_nothing(value):
    with pytest.raises(InvalidAmount):
        require_minor(value)


@given(amounts)
def test_require_minor_passes_integers(amount):
    assert require_minor(amount) == amount


@given(amounts, codes)
def test_there_and_back(amount, code):
    exact = from_minor(amount, code)
    assert to_minor(exact, code) == amount
    assert to_minor(f"{exact:f}", code) == amount
    assert -exact.as_tuple().exponent == CURRENCIES[code].exponent


@given(st.integers(min_value=0, max_value=99_999_999), codes)
def test_stripe_there_and_back_or_refused(amount, code):
    try:
        sent = stripe_amount(amount, code)
    except NotChargeable:
        rule = CURRENCIES[code]
        assert amount % rule.step or amount * rule.stripe_multiplier // rule.stripe_divisor > 99_999_999
        assert not is_chargeable(amount, code)
        return
    assert from_stripe_amount(sent, code) == amount
    assert from_stripe_amount(sent, code.lower()) == amount
    assert 0 <= sent < 10 ** CURRENCIES[code].stripe_max_digits


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [
        (1250, "EUR", 1250), (0, "EUR", 0), (500, "JPY", 500), (5, "ISK", 500), (7, "UGX", 700), (5120, "KWD", 5120),
        (1000, "MGA", 10), (1045, "HUF", 1045), (80001, "TWD", 80001), (99_999_999, "USD", 99_999_999),
        (999_999_999, "INR", 999_999_999), (999_999_999_999, "IDR", 999_999_999_999), (999_999, "ISK", 99_999_900),
    ],
)  # fmt: skip
def test_stripe_amount(amount, currency, sent):
    assert stripe_amount(amount, currency) == sent


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (5124, "KWD"), (1, "BHD"), (150, "MGA"), (100_000_000, "USD"), (1_000_000_000, "INR"),
        (1_000_000_000_000, "IDR"), (1_000_000, "ISK"),
    ],
)  # fmt: skip
def test_stripe_amount_refuses_what_the_api_cannot_carry(amount, currency):
    with pytest.raises(NotChargeable):
        stripe_amount(amount, currency)


@pytest.mark.parametrize("amount", [-1, True, 1.0, "1"])
def test_stripe_amount_refuses_what_is_not_an_amount(amount):
    with pytest.raises(InvalidAmount):
        stripe_amount(amount, "EUR")


def test_from_stripe_refuses_fractions_that_the_currency_has_not():
    assert from_stripe_amount(500, "isk") == 5
    assert from_stripe_amount(-1250, "eur") == -1250
    assert from_stripe_amount(10, "mga") == 1000
    with pytest.raises(InvalidAmount):
        from_stripe_amount(550, "isk")


def test_minimum_charge_and_chargeable():
    assert (minimum_charge("EUR"), minimum_charge("GBP"), minimum_charge("JPY")) == (50, 30, 50)
    assert (minimum_charge("HUF"), minimum_charge("KWD"), minimum_charge("MGA")) == (17500, 10, 100)
    assert is_chargeable(50, "EUR") and not is_chargeable(49, "EUR") and not is_chargeable(0, "EUR")
    assert is_chargeable(10, "KWD") and not is_chargeable(15, "KWD")


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (123456, "EUR", "en", "€1,234.56"),
        (123456, "EUR", "de", "1.234,56\N{NO-BREAK SPACE}€"),
        (123456, "EUR", "de-DE", "1.234,56\N{NO-BREAK SPACE}€"),
        (123456, "EUR", "de_AT", "€\N{NO-BREAK SPACE}1.234,56"),
        (-5, "EUR", "en", "-€0.05"),
        (0, "USD", "en", "$0.00"),
        (500, "JPY", "en", "¥500"),
        (1234, "KWD", "en", "KWD1.234"),
        (500, "ISK", "de", "500\N{NO-BREAK SPACE}ISK"),
        (12345, "RSD", "de", "123,45\N{NO-BREAK SPACE}RSD"),
        (1250, "EUR", "xx", "€12.50"),
        (1250, "EUR", "", "€12.50"),
    ],
)
def test_format_minor(amount, currency, locale, text):
    assert format_minor(amount, currency, locale) == text


@given(amounts, codes, st.sampled_from(["en", "de", "fr", "ja", "ar", "hi", "de-CH", "pt-BR"]))
def test_every_amount_can_be_shown(amount, code, locale):
    assert format_minor(amount, code, locale).strip()


@given(st.integers(min_value=0, max_value=LARGEST), codes)
def test_what_is_shown_has_all_digits(amount, code):
    shown = "".join(character for character in format_minor(amount, code, "en") if character.isdigit())
    assert int(shown) == amount

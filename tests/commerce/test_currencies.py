"""The table against the rules as written in the sources, spelt out a second time on purpose."""

from __future__ import annotations

import re

import pytest

from commerce.currencies import CURRENCIES

ISO_WITHOUT_DECIMALS = {
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
    "XPF",
}  # fmt: skip
ISO_THREE_DECIMALS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
ISO_FOUR_DECIMALS = {"CLF", "UYW"}
STRIPE_ZERO_DECIMAL = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
]  # fmt: skip


def test_the_table_has_every_active_currency_with_a_minor_unit_and_no_other():
    assert len(CURRENCIES) == 165
    assert all(re.fullmatch(r"[A-Z]{3}", code) and currency.code == code for code, currency in CURRENCIES.items())
    withdrawn = {"HRK", "ANG", "BGN", "CUC", "SLL", "ZWL"}
    without_minor_unit = {"XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XUA", "XTS", "XXX"}
    assert not (withdrawn | without_minor_unit) & set(CURRENCIES)
    assert {"XCG", "ZWG", "SLE", "XAD", "VED", "VES", "MRU", "STN"} <= set(CURRENCIES)


def test_exponents():
    by_exponent = {
        exponent: {code for code, currency in CURRENCIES.items() if currency.exponent == exponent}
        for exponent in range(5)
    }
    assert by_exponent[0] == ISO_WITHOUT_DECIMALS
    assert by_exponent[1] == set()
    assert by_exponent[3] == ISO_THREE_DECIMALS
    assert by_exponent[4] == ISO_FOUR_DECIMALS
    assert len(by_exponent[2]) == 165 - 17 - 7 - 2


@pytest.mark.parametrize("code", ["RSD", "ALL", "LBP", "AFN", "HUF", "TWD", "MGA", "YER", "IRR"])
def test_currencies_that_locale_data_gets_wrong_have_two_decimals(code):
    assert CURRENCIES[code].exponent == 2


def test_stripe_multiplies_isk_and_ugx_and_divides_mga():
    assert {code for code, currency in CURRENCIES.items() if currency.stripe_multiplier != 1} == {"ISK", "UGX"}
    assert {code for code, currency in CURRENCIES.items() if currency.stripe_divisor != 1} == {"MGA"}
    assert all(CURRENCIES[code].exponent == 0 for code in STRIPE_ZERO_DECIMAL if code != "MGA")


def test_steps():
    steps = {code: currency.step for code, currency in CURRENCIES.items() if currency.step != 1}
    assert steps == {**dict.fromkeys(ISO_THREE_DECIMALS, 10), "MGA": 100}


def test_whole_unit_payouts():
    assert {code for code, currency in CURRENCIES.items() if currency.whole_unit_payouts} == {"HUF", "TWD"}


@pytest.mark.parametrize(
    ("code", "minimum"),
    [
        ("USD", 50), ("EUR", 50), ("GBP", 30), ("JPY", 50), ("SEK", 300), ("NOK", 300), ("DKK", 250), ("CHF", 50),
        ("HUF", 17500), ("CZK", 1500), ("PLN", 200), ("HKD", 400), ("MXN", 1000), ("THB", 1000), ("AED", 200),
        ("KWD", 10), ("MGA", 100), ("ISK", 1), ("RSD", 1),
    ],
)  # fmt: skip
def test_minimum_charges(code, minimum):
    assert CURRENCIES[code].minimum == minimum


def test_digits_are_limited_to_eight_but_for_rupee_and_rupiah():
    others = {
        code: currency.stripe_max_digits for code, currency in CURRENCIES.items() if currency.stripe_max_digits != 8
    }
    assert others == {"INR": 9, "IDR": 12}

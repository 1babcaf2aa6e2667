"""The arithmetic of a session, without a server."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.stripe_standin import money
from tests.stripe_standin.ledger import fee
from tests.stripe_standin.totals import Discount, Line, Tax, add_up


def line(amount: str, quantity: int = 1, *taxes: Tax, discountable: bool = True) -> Line:
    return Line(Decimal(amount), quantity, taxes, discountable)


@pytest.mark.parametrize(
    ("lines", "discount", "parts"),
    [
        ([line("100"), line("100"), line("100")], Discount(amount_off=100), [34, 33, 33]),
        ([line("1"), line("1")], Discount(amount_off=500), [1, 1]),
        ([line("999"), line("1")], Discount(percent_off=Decimal("12.5")), [125, 0]),
        ([line("500"), line("500", discountable=False)], Discount(percent_off=Decimal(50)), [250, 0]),
        ([line("0"), line("0")], Discount(amount_off=5), [0, 0]),
        ([line("7")], None, [0]),
    ],
)
def test_discounts_are_spread_to_the_last_unit(lines: list[Line], discount: Discount | None, parts: list[int]) -> None:
    totals = add_up(lines, discount, 0)
    assert [amounts.discount for amounts in totals.lines] == parts
    assert totals.total == totals.subtotal - sum(parts)


def test_tax_comes_after_the_discount_and_leaves_shipping_alone() -> None:
    totals = add_up([line("1000", 2, Tax(Decimal(19)))], Discount(percent_off=Decimal(25)), 490)
    assert (totals.subtotal, totals.discount, totals.tax, totals.shipping, totals.total) == (2000, 500, 285, 490, 2275)


def test_inclusive_tax_is_shown_and_not_added() -> None:
    totals = add_up([line("1190", 1, Tax(Decimal(19), inclusive=True))], None, 0)
    assert (totals.tax, totals.total) == (190, 1190)


def test_fractions_of_a_minor_unit_are_rounded_per_line() -> None:
    assert add_up([line("0.5", 3)], None, 0).total == 2


@pytest.mark.parametrize(("amount", "charged"), [(3998, 146), (100, 33), (50, 31), (1200, 65)])
def test_the_fee(amount: int, charged: int) -> None:
    assert fee(amount) == charged


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(123_456, "eur", "€1,234.56"), (-5, "usd", "-$0.05"), (1_000, "jpy", "¥1,000"), (1_500, "kwd", "1.500 KWD"),
     (12_000, "isk", "120.00 ISK"), (99, "sek", "0.99 SEK")],
)  # fmt: skip
def test_amounts_as_people_read_them(amount: int, currency: str, shown: str) -> None:
    assert money.display(amount, currency) == shown

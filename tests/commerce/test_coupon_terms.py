"""What a coupon takes off: arithmetic on minor units, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.coupons.codes import canonical
from commerce.coupons.terms import Priced, Refusal, Terms, discount
from commerce.currencies import CURRENCIES

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def terms(**more: Any) -> Terms:
    fields: dict[str, Any] = {
        "basis_points": None, "amounts": {}, "minimums": {}, "only_for": frozenset(), "starts_at": None,
        "ends_at": None, "active": True,
    }  # fmt: skip
    return Terms(**fields | more)


def lines(*amounts: int) -> list[Priced]:
    return [Priced(f"S{number}", f"S{number}#size:M", amount) for number, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("share", "amounts", "currency", "parts"),
    [
        (1000, [2500], "EUR", [250]),
        (1250, [999], "EUR", [125]),  # 124.875
        (1500, [999], "EUR", [150]),  # 149.85
        (5000, [1], "EUR", [1]),  # a half is rounded up
        (4999, [1], "EUR", [0]),
        (10_000, [999, 1, 0], "EUR", [999, 1, 0]),
        (3333, [100, 100, 100], "EUR", [34, 33, 33]),
        (1000, [1005], "JPY", [101]),
        (1000, [10_050], "KWD", [1010]),  # in steps of ten: 1,005 is halfway
        (3333, [100, 100, 100], "KWD", [40, 30, 30]),
        (1, [10**12], "EUR", [10**8]),
    ],
)
def test_a_share_is_rounded_once_and_spread(share: int, amounts: list[int], currency: str, parts: list[int]) -> None:
    found = discount(terms=terms(basis_points=share), lines=lines(*amounts), currency=currency, now=NOW)
    assert list(found.parts) == parts
    assert found.amount == sum(parts)


@pytest.mark.parametrize(
    ("off", "amounts", "parts"),
    [(500, [2500], [500]), (500, [400], [400]), (100, [100, 100, 100], [34, 33, 33]), (5, [0, 3, 3], [0, 3, 2])],
)
def test_an_amount_never_exceeds_the_merchandise(off: int, amounts: list[int], parts: list[int]) -> None:
    found = discount(terms=terms(amounts={"EUR": off}), lines=lines(*amounts), currency="EUR", now=NOW)
    assert (list(found.parts), found.refusal) == (parts, None)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"active": False}, Refusal.WINDOW),
        ({"starts_at": NOW + HOUR}, Refusal.WINDOW),
        ({"starts_at": NOW}, None),
        ({"ends_at": NOW}, Refusal.WINDOW),
        ({"ends_at": NOW + HOUR}, None),
        ({"basis_points": None, "amounts": {"USD": 100}}, Refusal.CURRENCY),
        ({"minimums": {"USD": 100}}, Refusal.CURRENCY),
        ({"minimums": {"EUR": 3000}}, None),
        ({"minimums": {"EUR": 3001}}, Refusal.MINIMUM),
        ({"only_for": frozenset({"S1"}), "minimums": {"EUR": 3000}}, None),
        ({"only_for": frozenset({"S1#size:M"})}, None),
        ({"only_for": frozenset({"S1#size:L", "S9"})}, Refusal.PRODUCTS),
        ({"basis_points": 1}, Refusal.MINIMUM),  # a third of a cent
        ({"active": False, "only_for": frozenset({"S9"})}, Refusal.WINDOW),
    ],
)
def test_why_a_coupon_is_refused(changes: dict[str, Any], refusal: Refusal | None) -> None:
    found = discount(terms=terms(**{"basis_points": 1000} | changes), lines=lines(2000, 1000), currency="EUR", now=NOW)
    assert found.refusal is refusal


def test_what_is_not_covered_keeps_its_price() -> None:
    found = discount(
        terms=terms(basis_points=5000, only_for=frozenset({"S1"})), lines=lines(2000, 1000), currency="EUR", now=NOW
    )
    assert list(found.parts) == [0, 500]


def test_a_refused_coupon_still_says_what_it_took_off() -> None:
    """An open checkout keeps it: repeating that request is still the same purchase."""
    found = discount(terms=terms(basis_points=1000, active=False), lines=lines(2000), currency="EUR", now=NOW)
    assert (found.amount, found.refusal) == (200, Refusal.WINDOW)


@given(
    currency=st.sampled_from(sorted(CURRENCIES)),
    steps=st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
    covered=st.sets(st.integers(0, 7)),
    share=st.integers(1, 10_000),
    amount=st.one_of(st.none(), st.integers(1, 10**7)),
)
def test_parts_add_up_on_the_step_and_within_each_line(
    currency: str, steps: list[int], covered: set[int], share: int, amount: int | None
) -> None:
    step = CURRENCIES[currency].step
    priced = lines(*(units * step for units in steps))
    some = terms(
        basis_points=share if amount is None else None,
        amounts={} if amount is None else {currency: amount * step},
        only_for=frozenset(f"S{number}" for number in covered),
    )
    found = discount(terms=some, lines=priced, currency=currency, now=NOW)
    bases = [line.amount if some.covers(line) else 0 for line in priced]
    assert all(0 <= part <= base and part % step == 0 for part, base in zip(found.parts, bases, strict=True))
    whole = sum(bases)
    if amount is not None:
        assert found.amount == min(amount * step, whole)
    else:
        # Off by half a step at most, and exact for the whole.
        assert abs(2 * (found.amount * 10_000 - whole * share)) <= step * 10_000
        assert share < 10_000 or found.amount == whole


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("spring", "SPRING"), (" Spring-10 ", "SPRING-10"), ("A_1", "A_1"), ("A" * 40, "A" * 40), ("10", "10"),
        ("a", None), ("A" * 41, None), ("", None), ("-A", None), ("SPR ING", None), ("ß1", None), ("ı10", None),
        ("spring\n10", None), ("ＡＢ", None), ("A'--", None), ("A\x00B", None),
    ],
)  # fmt: skip
def test_a_code_has_one_spelling(typed: str, code: str | None) -> None:
    assert canonical(typed) == code

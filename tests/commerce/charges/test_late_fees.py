"""What being late costs, in whole days and minor units, without a database."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.charges.collecting import Sources, spread
from commerce.charges.late_fees import FeeTerms, RentedLine, counted_days, late_units, unit_fee

FRIDAY = date(2027, 3, 5)
LINE = UUID(int=1)


def terms(**more: Any) -> FeeTerms:
    plain: dict[str, Any] = {
        "kind": "amount", "amount": 500, "per_mille": 0, "grace_days": 0, "cap": "none", "cap_amount": 0,
        "holidays": frozenset(),
    }  # fmt: skip
    return FeeTerms(**{**plain, **more})


def line(*back: tuple[int, int], **more: Any) -> RentedLine:
    """Due on a Friday; `back`: so many days after it, so many units."""
    plain: dict[str, Any] = {
        "line_id": LINE, "title": "Cape", "due_on": FRIDAY, "unit_amount": 8000, "rental_days": 3,
        "deposit_amount": 1200,
    }  # fmt: skip
    return RentedLine(back=[(FRIDAY + timedelta(days=after), units) for after, units in back], **{**plain, **more})


def fee(*back: tuple[int, int], currency: str = "EUR", **more: Any) -> int:
    found = late_units(lines=[line(*back)], terms=terms(**more), currency=currency)
    return sum(units.amount for units in found)


@pytest.mark.parametrize(
    ("back", "policy", "amount"),
    [
        ([(0, 1)], {}, 0),
        ([(-2, 1)], {}, 0),
        ([(1, 1)], {}, 500),
        ([(3, 2)], {}, 3000),
        ([(0, 1), (2, 1)], {}, 1000),
        ([(3, 1)], {"kind": "none"}, 0),
        ([(2, 1)], {"grace_days": 2}, 0),
        ([(3, 1)], {"grace_days": 2}, 500),
        ([(3, 1)], {"holidays": frozenset({FRIDAY, FRIDAY + timedelta(days=2)})}, 1000),
        ([(3, 1)], {"holidays": frozenset({FRIDAY + timedelta(days=2)}), "grace_days": 1}, 500),
        ([(9, 2)], {"cap": "deposit"}, 2400),
        ([(9, 2)], {"cap": "amount", "cap_amount": 700}, 1400),
        # 80.00 for three days: 26.67 a day, and 53.33 for two of them.
        ([(1, 1)], {"kind": "share", "per_mille": 1000}, 2667),
        ([(2, 1)], {"kind": "share", "per_mille": 1000}, 5333),
        ([(2, 3)], {"kind": "share", "per_mille": 1500, "cap": "deposit"}, 3600),
    ],
)
def test_what_it_costs(back: list[tuple[int, int]], policy: dict[str, Any], amount: int) -> None:
    assert fee(*back, **policy) == amount


def test_in_currencies_that_are_charged_in_steps() -> None:
    assert fee((1, 1), currency="KWD", kind="share", per_mille=1000) == 2660


@given(
    late=st.integers(0, 400),
    grace=st.integers(0, 30),
    free=st.frozensets(st.integers(-5, 400), max_size=20),
    amount=st.integers(1, 10_000),
    cap=st.integers(1, 50_000),
)
def test_later_never_costs_less_and_never_more_than_the_cap(
    late: int, grace: int, free: frozenset[int], amount: int, cap: int
) -> None:
    policy = terms(
        amount=amount, grace_days=grace, cap="amount", cap_amount=cap,
        holidays=frozenset(FRIDAY + timedelta(days=after) for after in free),
    )  # fmt: skip
    costs = []
    for after in (late, late + 1):
        days = counted_days(due_on=FRIDAY, returned_on=FRIDAY + timedelta(days=after), terms=policy)
        assert 0 <= days <= after
        costs.append(unit_fee(line=line(), days=days, terms=policy, currency="EUR"))
    assert 0 <= costs[0] <= costs[1] <= cap


@given(st.lists(st.integers(1, 10_000), max_size=6), st.integers(0, 20_000), st.integers(0, 20_000))
def test_all_that_is_owed_comes_from_somewhere(amounts: list[int], deposit: int, held: int) -> None:
    parts = spread(amounts, deposit_left=deposit, held=held)
    assert [part.from_deposit + part.from_hold + part.from_card for part in parts] == amounts
    assert sum(part.from_deposit for part in parts) == min(deposit, sum(amounts))
    assert sum(part.from_hold for part in parts) == min(held, max(0, sum(amounts) - deposit))


def test_where_it_comes_from_first() -> None:
    assert spread([700, 500], deposit_left=900, held=200) == [Sources(700, 0, 0), Sources(200, 200, 100)]

"""Who gets what back: the arithmetic by itself. Whatever the steps, all parts add up to the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from commerce.returns.shares import mirrored_parts, shares_of, tax_part, units_share

AMOUNTS = st.integers(0, 10**9)


@given(AMOUNTS, st.lists(st.integers(0, 10**8), max_size=30))
def test_shares_add_up_and_follow_the_weights(paid: int, weights: list[int]) -> None:
    shares = shares_of(paid, weights)
    assert len(shares) == len(weights)
    assert sum(shares) == (paid if sum(weights) else 0)
    assert all(share >= 0 and (share == 0 or weight) for share, weight in zip(shares, weights, strict=True))


def test_shares_by_hand() -> None:
    assert shares_of(100, [1, 1, 1]) == [33, 33, 34]
    assert shares_of(2240, [2500]) == [2240]
    assert shares_of(5, []) == []
    assert shares_of(0, [5, 5]) == [0, 0]


@given(AMOUNTS, st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_units_in_any_steps_give_back_the_whole_share(share: int, steps: list[int]) -> None:
    quantity, already, given_back = sum(steps), 0, 0
    for units in steps:
        worth = units_share(share, quantity, already=already, units=units)
        assert 0 <= worth <= share
        already, given_back = already + units, given_back + worth
    assert given_back == share


@given(st.data())
def test_tax_is_given_back_whole_with_the_last_refund(data: st.DataObject) -> None:
    goods = data.draw(st.integers(1, 10**7))
    tax = data.draw(st.integers(0, goods))
    left, tax_back = goods, 0
    while left:
        amount = data.draw(st.integers(1, left)) if data.draw(st.booleans()) else left
        part = tax_part(tax, goods, refunded=goods - left, tax_refunded=tax_back, amount=amount)
        assert 0 <= part <= amount
        left, tax_back = left - amount, tax_back + part
    assert tax_back == tax


def test_no_tax_no_part() -> None:
    assert tax_part(0, 100, refunded=0, tax_refunded=0, amount=50) == 0
    assert tax_part(0, 0, refunded=0, tax_refunded=0, amount=0) == 0


@given(st.integers(1, 10**9), AMOUNTS, AMOUNTS)
def test_a_mirrored_refund_takes_goods_first(amount: int, goods_left: int, deposit_left: int) -> None:
    goods, deposit = mirrored_parts(amount=amount, goods_left=goods_left, deposit_left=deposit_left)
    assert goods + deposit == amount
    assert 0 <= deposit <= deposit_left
    assert deposit == 0 or goods >= goods_left

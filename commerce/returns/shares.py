"""Who gets what back: pure arithmetic in minor units. All parts of a whole always add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NOTHING: Final = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """How one refund divides: what was a deposit, what was tax, the rest."""

    amount: int
    deposit: int
    tax: int


def shares_of(paid: int, weights: Sequence[int]) -> list[int]:
    """`paid` divided by weight, so that the shares add up to it: each is the difference of two rounded-down prefixes.

    With no weight at all everything is free, and every share is 0.
    """
    total = sum(weights)
    if total == 0:
        return [0 for _ in weights]
    shares, reached, before = [], 0, 0
    for weight in weights:
        reached += weight
        until = paid * reached // total
        shares.append(until - before)
        before = until
    return shares


def line_taxes(tax: int, known: Sequence[int | None], weights: Sequence[int]) -> list[int]:
    """The tax on each line of an order with a tax of `tax`: as it was charged where every line says so, else `tax` in
    proportion. The sum is the tax on the goods; what is missing to `tax` is on shipping.
    """
    said = [one for one in known if one is not None]
    return said if len(said) == len(known) and sum(said) <= tax else shares_of(tax, weights)


def units_share(share: int, quantity: int, *, already: int, units: int) -> int:
    """Of a line's share, what `units` more of its `quantity` are worth after `already` of them: all units together
    give the share back to the last minor unit, in whatever steps they come.
    """
    return share * (already + units) // quantity - share * already // quantity


def tax_part(tax: int, goods: int, *, refunded: int, tax_refunded: int, amount: int) -> int:
    """Of `amount` refunded of `goods` (deposits apart, tax included), what was tax: in proportion, half rounded up over
    everything refunded so far, so that a payment refunded whole gives back its whole tax.
    """
    if goods == 0 or tax == 0:
        return NOTHING
    due = (2 * tax * (refunded + amount) + goods) // (2 * goods) - tax_refunded
    return max(0, min(due, amount, tax - tax_refunded))


def mirrored_parts(*, amount: int, goods_left: int, deposit_left: int) -> tuple[int, int]:
    """Of a refund that nobody here asked for, `(goods, deposit)`: goods first, then the deposit, and whatever neither
    explains (a kept deposit that was given back after all) as goods.
    """
    deposit = min(max(amount - goods_left, 0), deposit_left)
    return amount - deposit, deposit

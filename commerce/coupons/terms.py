"""What a coupon takes off, and when it doesn't. Pure arithmetic on minor units; no floats, no fractions kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from commerce.currencies import CURRENCIES

WHOLE = 10_000
"""Basis points of the whole."""


class Refusal(StrEnum):
    """The contract's `reason`. A coupon of another shop is unknown; one that was ended is out of its window."""

    UNKNOWN = "unknown"
    WINDOW = "window"
    USAGE = "usage"
    CURRENCY = "currency"
    MINIMUM = "minimum"
    PRODUCTS = "products"


@dataclass(frozen=True, slots=True)
class Priced:
    """One line of merchandise: deposits and shipping are none. `amount` for all its units, in minor units."""

    sku: str
    variant_key: str
    amount: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What was promised to whoever knows the code. `basis_points` is None where amounts are taken off."""

    basis_points: int | None
    amounts: Mapping[str, int]
    minimums: Mapping[str, int]
    only_for: frozenset[str]
    starts_at: datetime | None
    ends_at: datetime | None
    active: bool

    def covers(self, line: Priced) -> bool:
        return not self.only_for or line.sku in self.only_for or line.variant_key in self.only_for


@dataclass(frozen=True, slots=True)
class Discount:
    """Minor units off each line, in the lines' order, and why the coupon can't be used; None when it can."""

    parts: Sequence[int]
    refusal: Refusal | None

    @property
    def amount(self) -> int:
        return sum(self.parts)


def discount(*, terms: Terms, lines: Sequence[Priced], currency: str, now: datetime) -> Discount:
    """What `terms` take off `lines` in `currency`, even where they are refused now: an open checkout keeps it.

    A share is taken of the covered lines' sum, once, and rounded half up to a step in which the currency is charged; a
    share of the whole is exactly the whole. An amount never exceeds the covered lines. Either is spread over them by
    their size, in steps, the largest remainders getting the odd ones, and no line falls below zero.
    """
    step = CURRENCIES[currency].step
    bases = [line.amount // step if terms.covers(line) else 0 for line in lines]
    covered = sum(bases)
    if terms.basis_points is not None:
        off = _half_up(covered * terms.basis_points, WHOLE)
    else:
        off = min(terms.amounts.get(currency, 0) // step, covered)
    parts = [part * step for part in _spread(off, bases)]
    return Discount(parts, _refusal(terms, sum(line.amount for line in lines), covered, off, currency, now))


def _refusal(terms: Terms, subtotal: int, covered: int, off: int, currency: str, now: datetime) -> Refusal | None:
    """The first reason of the closed list. The minimum looks at all merchandise, covered or not."""
    too_early = terms.starts_at is not None and now < terms.starts_at
    too_late = terms.ends_at is not None and now >= terms.ends_at
    if not terms.active or too_early or too_late:
        return Refusal.WINDOW
    if terms.basis_points is None and currency not in terms.amounts:
        return Refusal.CURRENCY
    if terms.minimums and currency not in terms.minimums:
        return Refusal.CURRENCY  # a minimum in another currency can't be judged, and isn't waived
    if subtotal < terms.minimums.get(currency, 0):
        return Refusal.MINIMUM
    if covered == 0 and terms.only_for:
        return Refusal.PRODUCTS
    return Refusal.MINIMUM if off == 0 else None


def _half_up(number: int, divisor: int) -> int:
    return (2 * number + divisor) // (2 * divisor)


def _spread(off: int, bases: Sequence[int]) -> list[int]:
    whole = sum(bases)
    if whole == 0:
        return [0] * len(bases)
    parts = [off * base // whole for base in bases]
    by_remainder = sorted(range(len(bases)), key=lambda i: (-(off * bases[i] % whole), i))
    for position in by_remainder[: off - sum(parts)]:
        parts[position] += 1
    return parts

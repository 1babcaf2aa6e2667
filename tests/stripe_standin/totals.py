"""What a session costs: lines, one discount, shipping and tax, in minor units. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from .money import round_half_up


@dataclass(frozen=True, slots=True)
class Tax:
    percent: Decimal
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """`discountable`: whether the coupon applies to the line's product. Taxes are whole multiples of `step`."""

    unit_amount: Decimal
    quantity: int
    taxes: Sequence[Tax] = ()
    discountable: bool = True
    step: int = 1

    @property
    def subtotal(self) -> int:
        return round_half_up(self.unit_amount * self.quantity)


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """`taxes` are the amounts of the line's taxes, one by one; `tax` is their sum."""

    subtotal: int
    discount: int
    tax: int
    total: int
    taxes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    lines: Sequence[LineAmounts]
    subtotal: int
    discount: int
    shipping: int
    shipping_tax: int
    tax: int
    total: int


@dataclass(frozen=True, slots=True)
class Discount:
    """A share of the discountable lines in per cent, or an amount off them; never both."""

    percent_off: Decimal | None = None
    amount_off: int = 0


def add_up(lines: Sequence[Line], discount: Discount | None, shipping: Line | int) -> Totals:
    """The discount is spread over the lines by their size; tax comes after it. Shipping is taxed as a line is."""
    offs = _spread(lines, discount)
    amounts = [_line(line, off) for line, off in zip(lines, offs, strict=True)]
    sent = _line(shipping if isinstance(shipping, Line) else Line(Decimal(shipping), 1), 0)
    return Totals(
        lines=amounts,
        subtotal=sum(line.subtotal for line in amounts),
        discount=sum(line.discount for line in amounts),
        # As Stripe says: what shipping costs without the tax on top, which total_details.amount_tax has.
        shipping=sent.subtotal,
        shipping_tax=sent.tax,
        tax=sum(line.tax for line in amounts) + sent.tax,
        total=sum(line.total for line in amounts) + sent.total,
    )


def _line(line: Line, off: int) -> LineAmounts:
    taxable = line.subtotal - off

    def whole(tax: Tax) -> int:
        exact = taxable * tax.percent / (100 + tax.percent if tax.inclusive else 100)
        return round_half_up(exact / line.step) * line.step

    taxes = [whole(tax) for tax in line.taxes]
    added = sum(amount for tax, amount in zip(line.taxes, taxes, strict=True) if not tax.inclusive)
    return LineAmounts(line.subtotal, off, sum(taxes), taxable + added, taxes)


def _spread(lines: Sequence[Line], discount: Discount | None) -> list[int]:
    """Each line's part of the discount; parts add up exactly, the largest remainders get the odd units."""
    bases = [line.subtotal if line.discountable else 0 for line in lines]
    whole = sum(bases)
    if discount is None or whole == 0:
        return [0] * len(lines)
    if discount.percent_off is not None:
        off = round_half_up(whole * discount.percent_off / 100)
    else:
        off = min(discount.amount_off, whole)
    parts = [off * base // whole for base in bases]
    by_remainder = sorted(range(len(bases)), key=lambda i: (-(off * bases[i] % whole), i))
    for position in by_remainder[: off - sum(parts)]:
        parts[position] += 1
    return parts

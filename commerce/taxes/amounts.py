"""How much tax is on what is bought: integer arithmetic, per line, as Stripe rounds it.

Source: Stripe, the Checkout Session's line items (`amount_tax`, whole minor units per line), and its support page on
rounding, whose example rounds each line half up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from commerce.currencies import CURRENCIES

# Percentages have four decimals: 19 % is 190,000 of a million.
MILLION = 1_000_000


def tax_on(amount: int, *, percentage: Decimal, inclusive: bool, currency: str) -> int:
    """The tax on `amount`, on top of it or inside it, in minor units; rounded half up to what can be charged."""
    share = int(percentage * 10_000)
    whole = MILLION + share if inclusive else MILLION
    step = CURRENCIES[currency].step
    return (2 * amount * share + whole * step) // (2 * whole * step) * step


def spread(off: int, bases: Sequence[int]) -> list[int]:
    """Each base's part of a discount of `off`, which is at most their sum: by size, the odd units to the largest
    remainders. Stripe takes a session's discount off every line item before it taxes them.
    """
    whole = sum(bases)
    if not off or not whole:
        return [0] * len(bases)
    parts = [off * base // whole for base in bases]
    by_remainder = sorted(range(len(bases)), key=lambda at: (-(off * bases[at] % whole), at))
    for at in by_remainder[: off - sum(parts)]:
        parts[at] += 1
    return parts

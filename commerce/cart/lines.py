"""Values of a cart's lines, and the pure rules of merging and subtracting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

from inventory.variants import parse_variant_key
from tenants.errors import InvalidRequest

MAX_LINES = 100  # Stripe takes as many line items in one session
MAX_QUANTITY = 999

LineIdentity: TypeAlias = tuple[str, tuple[tuple[str, str], ...], date | None, date | None]


@dataclass(frozen=True, slots=True)
class CartLineFacts:
    """One line as stored. `shown_amount`: unit price last shown, in minor units of `shown_currency`, never charged."""

    line_id: UUID
    sku: str
    variant_key: str
    quantity: int
    options: Mapping[str, str]
    rental_start: date | None
    rental_end: date | None
    shown_amount: int | None
    shown_currency: str

    @property
    def identity(self) -> LineIdentity:
        return identity(self.variant_key, self.options, self.rental_start, self.rental_end)


Lines: TypeAlias = tuple[CartLineFacts, ...]


@dataclass(frozen=True, slots=True)
class CartSnapshot:
    """A cart at one moment. A checkout that bought `generation` buys exactly these lines.

    `lost`: Redis no longer has what it was given to keep, and nobody has told the customer yet.
    """

    cart_id: UUID
    generation: int
    lines: Lines
    lost: bool = False


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line to be put into a cart, already resolved in the catalog at `shown_amount`."""

    sku: str
    variant_key: str
    quantity: int
    options: Mapping[str, str]
    rental_start: date | None
    rental_end: date | None
    shown_amount: int | None
    shown_currency: str

    def stored(self) -> CartLineFacts:
        """This wish as a line of its own."""
        return CartLineFacts(
            line_id=uuid7(),
            sku=self.sku,
            variant_key=self.variant_key,
            quantity=self.quantity,
            options=dict(self.options),
            rental_start=self.rental_start,
            rental_end=self.rental_end,
            shown_amount=self.shown_amount,
            shown_currency=self.shown_currency,
        )


class BoughtLine(NamedTuple):
    """A line that an order bought. A plain tuple of the same values serves as well."""

    variant_key: str
    quantity: int
    options: Mapping[str, str]
    rental_start: date | None
    rental_end: date | None


def identity(
    variant_key: str, options: Mapping[str, str], rental_start: date | None, rental_end: date | None
) -> LineIdentity:
    """What makes two lines the same line: variant, options and period. Matches the table's unique constraint."""
    return (variant_key, tuple(sorted(options.items())), rental_start, rental_end)


def merged(lines: Iterable[NewLine]) -> list[NewLine]:
    """Equal lines summed into the first of them, in order. Raises InvalidRequest beyond the bounds of a cart."""
    found: dict[LineIdentity, NewLine] = {}
    for line in lines:
        key = identity(line.variant_key, line.options, line.rental_start, line.rental_end)
        known = found.get(key)
        found[key] = line if known is None else replace(known, quantity=known.quantity + line.quantity)
    for line in found.values():
        check_quantity(line.quantity)
    check_line_count(len(found))
    return list(found.values())


def check_quantity(quantity: int) -> None:
    """Raises InvalidRequest unless a line may hold `quantity` units."""
    if not 1 <= quantity <= MAX_QUANTITY:
        raise InvalidRequest(
            f"A line holds 1 to {MAX_QUANTITY} units.", {"quantity": [f"The line would hold {quantity} units."]}
        )


def check_line_count(count: int) -> None:
    """Raises InvalidRequest unless a cart may have `count` lines."""
    if count > MAX_LINES:
        raise InvalidRequest(f"A cart has at most {MAX_LINES} lines.", {"lines": [f"At most {MAX_LINES}."]})


def bought_by_identity(bought: Iterable[BoughtLine]) -> dict[LineIdentity, int]:
    """Units bought per line identity, summed."""
    units: dict[LineIdentity, int] = {}
    for variant_key, quantity, options, rental_start, rental_end in bought:
        key = identity(variant_key, options, rental_start, rental_end)
        units[key] = units.get(key, 0) + quantity
    return units


def without_bought(lines: Lines, bought: Iterable[BoughtLine]) -> Lines:
    """`lines` less the units bought; a line that has none left is gone. Unchanged, the same tuple."""
    units = bought_by_identity(bought)
    left = tuple(replace(line, quantity=line.quantity - units.get(line.identity, 0)) for line in lines)
    return lines if left == lines else tuple(line for line in left if line.quantity > 0)


def taken_lines(bought: Iterable[BoughtLine]) -> Lines:
    """What was bought, summed, in the shape of lines. For subtracting alone: they name no SKU."""
    return tuple(
        CartLineFacts(uuid7(), "", variant_key, min(MAX_QUANTITY, quantity), dict(options), start, end, None, "")
        for (variant_key, options, start, end), quantity in bought_by_identity(bought).items()
    )


def returned_lines(bought: Iterable[BoughtLine]) -> Lines:
    """What was bought as lines for a cart again, with ids of their own. No price was shown for them."""
    return tuple(replace(line, sku=parse_variant_key(line.variant_key)[0]) for line in taken_lines(bought))


def with_returned(lines: Lines, returned: Lines) -> Lines:
    """`lines` and what comes back, which joins a line of its kind, up to 999. The cart may exceed 100 lines."""
    back = {line.identity: line.quantity for line in returned}
    joined = tuple(
        replace(line, quantity=min(MAX_QUANTITY, line.quantity + back.pop(line.identity, 0))) for line in lines
    )
    return joined + tuple(line for line in returned if line.identity in back)

"""Values of a cart's lines, and the pure rules of merging and subtracting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, TypeAlias
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class CartSnapshot:
    """A cart at one moment. A checkout that bought `generation` buys exactly these lines."""

    cart_id: UUID
    generation: int
    lines: tuple[CartLineFacts, ...]


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

"""Shape of what the cart takes. Anything else is 400 with the field's path: unknown members, other types or sizes."""

from __future__ import annotations

from datetime import date
from typing import Annotated, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from commerce.cart.lines import MAX_LINES, MAX_QUANTITY
from commerce.rentals.periods import period_problem
from tenants.errors import InvalidRequest
from tenants.models.shop import LONGEST_RENTAL_DAYS
from tenants.policy import RentalTerms

BAD_PERIOD = "The rental period is not valid."

Sku: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
# Small and flat: both end up in a unique index and on a packing list.
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=40)]
Value: TypeAlias = Annotated[str, Meta(min_length=1, max_length=80)]
SmallMap: TypeAlias = Annotated[dict[Name, Value], Meta(max_length=8)]


class Rental(Struct, forbid_unknown_fields=True, frozen=True):
    """Days of pick-up and return, `YYYY-MM-DD`, in the shop's time zone."""

    start: date
    end: date


class AddLine(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST /api/cart`, and each line of `PUT`."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    variant_attributes: SmallMap = {}
    options: SmallMap = {}
    rental: Rental | None = None


class SetQuantity(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`PATCH /api/cart`; 0 removes the line."""

    line_id: UUID
    quantity: Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]


class ReplaceLines(Struct, forbid_unknown_fields=True, frozen=True):
    """`PUT /api/cart`."""

    lines: Annotated[list[AddLine], Meta(max_length=MAX_LINES)]


class RemoveLine(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`DELETE /api/cart`; without a line, or without a body, the whole cart is emptied."""

    line_id: UUID | None = None


def check_rental(rental: Rental | None, *, kind: str, path: str) -> None:
    """A rental shop needs a period, a sale shop has none; no rental is longer than any shop's. Raises InvalidRequest
    under `path`. What the product allows is `check_period`'s to say.
    """
    problem = ""
    if kind != "rental":
        problem = "This shop doesn't rent out." if rental is not None else ""
    elif rental is None:
        problem = "A rental needs the days of pick-up and return."
    elif rental.end < rental.start:
        problem = "The return is before the pick-up."
    elif (rental.end - rental.start).days >= LONGEST_RENTAL_DAYS:
        problem = f"A rental lasts at most {LONGEST_RENTAL_DAYS} days."
    if problem:
        raise InvalidRequest(BAD_PERIOD, {path: [problem]})


def check_period(rental: Rental, *, terms: RentalTerms, today: date, path: str) -> None:
    """Raises InvalidRequest under `path` for a period that `terms` don't allow on the shop's `today`."""
    if problem := period_problem(start=rental.start, end=rental.end, terms=terms, today=today):
        raise InvalidRequest(BAD_PERIOD, {path: [problem.text]})

"""Shape of the inventory API's input."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final, TypeAlias
from uuid import UUID, uuid4

import msgspec
from django.http import QueryDict
from msgspec import Meta, Struct

from inventory.errors import ContradictingVariant, HoldNotFound, VariantConflict
from inventory.holds import MAX_TTL_SECONDS, MIN_TTL_SECONDS
from inventory.lines import LONGEST_PERIOD_DAYS, MAX_LINES, MAX_QUANTITY, Line
from inventory.variants import MAX_KEY_LENGTH, MAX_SKU_LENGTH, MalformedVariant, complete_key, variant_key
from tenants.errors import InvalidRequest

MAX_SKUS: Final = 100
MAX_KEY: Final = 200

# Keys of this API and of the checkout, whose keys are ids of attempts, are told apart by their beginnings: neither can
# be made to find the other's hold.
GIVEN_KEY: Final = "api:"
OWN_KEY: Final = "once:"

Sku: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_SKU_LENGTH)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_LENGTH)]
Ttl: TypeAlias = Annotated[int, Meta(ge=MIN_TTL_SECONDS, le=MAX_TTL_SECONDS)]


class Period(Struct, forbid_unknown_fields=True, frozen=True):
    """Days of pick-up and return, both included, `YYYY-MM-DD`, by the shop's clocks."""

    start: date
    end: date


class Item(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """Units of one variant. `variantKey`, whole or without its SKU, is the older way to name it."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    variant_attributes: Annotated[dict[Name, Name], Meta(max_length=20)] | None = None
    variant_key: Name | None = None
    rental: Period | None = None


Items: TypeAlias = Annotated[list[Item], Meta(min_length=1, max_length=MAX_LINES)]


class Validate(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST /api/inventory/validate`."""

    items: Items
    shop_id: str | None = None


class PlaceHold(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST /api/inventory/holds`; without a key every request is a hold of its own."""

    items: Items
    ttl_seconds: Ttl | None = None
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=MAX_KEY)] | None = None
    shop_id: str | None = None


class ExtendHold(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST …/{id}/extend`."""

    ttl_seconds: Ttl
    shop_id: str | None = None


class CommitHold(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST …/{id}/commit`; the body may be left out."""

    shop_id: str | None = None


class ReleaseHold(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """`POST …/{id}/release`; the body may be left out."""

    reason: Annotated[str, Meta(max_length=200)] = ""
    shop_id: str | None = None


def to_lines(items: Sequence[Item], *, rents: bool) -> list[Line]:
    """The items with their canonical keys. In a shop that `rents` out each has a period, elsewhere none. Raises
    VariantConflict and InvalidRequest.
    """
    lines, contradicting = [], []
    for number, item in enumerate(items):
        key = by_attributes = _by_attributes(item, number)
        if item.variant_key is not None:
            key = _by_key(item, item.variant_key, number)
            if item.variant_attributes is not None and key != by_attributes:
                contradicting.append(ContradictingVariant(item.sku, item.variant_key, item.variant_attributes))
        if (item.rental is not None) != rents:
            said = "A rental needs the days of pick-up and return." if rents else "This shop doesn't rent out."
            raise InvalidRequest("The request body is not valid.", {f"items[{number}].rental": [said]})
        starts, ends = (item.rental.start, item.rental.end) if item.rental else (None, None)
        lines.append(Line(item.sku, key, item.quantity, starts, ends))
    if contradicting:
        raise VariantConflict(contradicting)
    return lines


def hold_key(given: str | None) -> str:
    """The key that a hold gets: the caller's, apart from all others, or one that nobody repeats."""
    return f"{OWN_KEY}{uuid4()}" if given is None else f"{GIVEN_KEY}{given}"


def read_hold_id(text: str) -> UUID:
    """A hold's id as addresses have it. Raises HoldNotFound for anything else: there can be no such hold."""
    try:
        hold_id = UUID(text)
    except ValueError as error:
        raise HoldNotFound from error
    if str(hold_id) != text.lower():  # the other spellings that Python reads: braces, urn:uuid:, no hyphens
        raise HoldNotFound
    return hold_id


def read_period(query: QueryDict) -> Period | None:
    """The days between `start` and `end`, or None without either. Raises InvalidRequest."""
    asked = {name: query[name] for name in ("start", "end") if name in query}
    if not asked:
        return None
    try:
        period = msgspec.convert(asked, Period, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest("The query is not valid.", {"start": [str(error)]}) from error
    if not 0 <= (period.end - period.start).days < LONGEST_PERIOD_DAYS:
        raise InvalidRequest("The query is not valid.", {"end": [f"From the start on, {LONGEST_PERIOD_DAYS} days."]})
    return period


def read_skus(query: QueryDict) -> list[str]:
    """The `sku` parameters in their order, each once. Raises InvalidRequest on anything else in the query."""
    if unknown := sorted(set(query) - {"sku", "start", "end"}):
        raise InvalidRequest("The query is not valid.", {name: ["Unknown parameter."] for name in unknown})
    given = query.getlist("sku")
    if not 1 <= len(given) <= MAX_SKUS:
        raise InvalidRequest("The query is not valid.", {"sku": [f"1 to {MAX_SKUS} of them."]})
    if any(not 1 <= len(sku) <= MAX_SKU_LENGTH or "\0" in sku for sku in given):
        raise InvalidRequest("The query is not valid.", {"sku": [f"Each has 1 to {MAX_SKU_LENGTH} characters."]})
    return list(dict.fromkeys(given))


def _by_attributes(item: Item, number: int) -> str:
    try:
        return variant_key(item.sku, item.variant_attributes or {})
    except MalformedVariant as error:
        raise _malformed(error, number, "variantAttributes" if item.variant_attributes else "sku") from error


def _by_key(item: Item, key: str, number: int) -> str:
    try:
        return complete_key(item.sku, key)
    except MalformedVariant as error:
        raise _malformed(error, number, "variantKey") from error


def _malformed(error: MalformedVariant, number: int, field: str) -> InvalidRequest:
    return InvalidRequest("The request body is not valid.", {f"items[{number}].{field}": [error.detail]})

"""What somebody wants of the stock: lines, summed per variant and compared by their digest. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tenants.errors import InvalidRequest

MAX_LINES: Final = 100
MAX_QUANTITY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """Units of one variant. `variant_key` is the canonical key (inventory/variants.py), which names the SKU too."""

    sku: str
    variant_key: str
    quantity: int


def combined(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line per variant in order of key, duplicates summed.

    Raises InvalidRequest on no lines or more than 100, and on quantities that aren't integers from 1 to 1,000,000.
    """
    totals: dict[str, Line] = {}
    for position, line in enumerate(lines):
        quantity: object = line.quantity
        if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidRequest(
                "A quantity is a whole number.", {f"items[{position}].quantity": [f"From 1 to {MAX_QUANTITY:,}."]}
            )
        known = totals.get(line.variant_key)
        total = quantity + (known.quantity if known else 0)
        if position >= MAX_LINES or total > MAX_QUANTITY:
            raise InvalidRequest(f"At most {MAX_LINES} lines, and {MAX_QUANTITY:,} units of one variant.")
        totals[storable(line.variant_key, "variantKey")] = Line(line.sku, line.variant_key, total)
    if not totals:
        raise InvalidRequest("There are no lines.", {"items": ["At least one."]})
    return tuple(totals[key] for key in sorted(totals))


def lines_digest(lines: Iterable[Line]) -> str:
    """SHA-256 of what is asked for, whatever the order and however often a variant is named. Raises InvalidRequest."""
    return digest_of(combined(lines))


def digest_of(wanted: Iterable[Line]) -> str:
    """As lines_digest, of lines that are combined already."""
    return hashlib.sha256(json.dumps([[line.variant_key, line.quantity] for line in wanted]).encode()).hexdigest()


def storable(value: str, field: str) -> str:
    """What the database can store: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    storable = "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if not storable or not 1 <= len(value) <= 255:
        raise InvalidRequest("A key is 1 to 255 characters of text.", {field: ["Not a usable key."]})
    return value

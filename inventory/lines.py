"""What somebody wants of the stock: lines, summed per variant and compared by their digest. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from tenants.errors import InvalidRequest

MAX_LINES: Final = 100
MAX_QUANTITY: Final = 1_000_000
LONGEST_PERIOD_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Line:
    """Units of one variant. `variant_key` is the canonical key (inventory/variants.py), which names the SKU too.

    With `starts` and `ends`, both included, the units are wanted for these days and come back; without, for good.
    """

    sku: str
    variant_key: str
    quantity: int
    starts: date | None = None
    ends: date | None = None


def combined(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line per variant and period, in order of both, duplicates summed.

    Raises InvalidRequest on no lines or more than 100, on quantities that aren't integers from 1 to 1,000,000, and
    unless all lines or none have a period, which ends on or after the day it starts and lasts 366 days at most.
    """
    totals: dict[tuple[str, date, date], Line] = {}
    for position, line in enumerate(lines):
        quantity: object = line.quantity
        if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidRequest(
                "A quantity is a whole number.", {f"items[{position}].quantity": [f"From 1 to {MAX_QUANTITY:,}."]}
            )
        key = (line.variant_key, *_period(line, position))
        known = totals.get(key)
        total = quantity + (known.quantity if known else 0)
        if position >= MAX_LINES or total > MAX_QUANTITY:
            raise InvalidRequest(f"At most {MAX_LINES} lines, and {MAX_QUANTITY:,} units of one variant.")
        storable(line.variant_key, "variantKey")
        totals[key] = replace(line, quantity=total)
    if not totals:
        raise InvalidRequest("There are no lines.", {"items": ["At least one."]})
    if len({line.starts is None for line in totals.values()}) > 1:
        raise InvalidRequest("Some lines have a period and some don't.", {"items": ["All of them or none."]})
    return tuple(totals[key] for key in sorted(totals))


def _period(line: Line, position: int) -> tuple[date, date]:
    """What tells periods apart; any one day for a line without."""
    if line.starts is None and line.ends is None:
        return date.min, date.min
    if line.starts is None or line.ends is None or not 0 <= (line.ends - line.starts).days < LONGEST_PERIOD_DAYS:
        raise InvalidRequest(
            "A period is not valid.",
            {f"items[{position}].rental": [f"Two days in order, at most {LONGEST_PERIOD_DAYS} days."]},
        )
    return line.starts, line.ends


def lines_digest(lines: Iterable[Line]) -> str:
    """SHA-256 of what is asked for, whatever the order and however often a variant is named. Raises InvalidRequest."""
    return digest_of(combined(lines))


def digest_of(wanted: Iterable[Line]) -> str:
    """As lines_digest, of lines that are combined already."""
    told = [
        [line.variant_key, line.quantity, *([str(line.starts), str(line.ends)] if line.starts else [])]
        for line in wanted
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def storable(value: str, field: str) -> str:
    """What the database can store: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    storable = "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if not storable or not 1 <= len(value) <= 255:
        raise InvalidRequest("A key is 1 to 255 characters of text.", {field: ["Not a usable key."]})
    return value

"""What a line of a file says: which variant, how many units, which threshold. Pure; knows no file format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from inventory.stock import MAX_ON_HAND
from inventory.variants import (
    MAX_SKU_LENGTH,
    MalformedVariant,
    complete_key,
    parse_attributes_key,
    parse_variant_key,
    variant_key,
)


class Mode(StrEnum):
    """What the numbers of a file mean. SET: the units somebody counted. DELTA: units that came, or went."""

    SET = "set"
    DELTA = "delta"


class Code(StrEnum):
    """Why a row can't be applied."""

    MALFORMED = "malformed"
    OTHER_SHOP = "other_shop"
    UNKNOWN_SKU = "unknown_sku"
    DUPLICATE = "duplicate"
    HELD = "held"
    STALE = "stale"
    RANGE = "range"
    NO_ROW = "no_row"
    BUSY = "busy"
    ERROR = "error"


# A column's name without case, spaces, hyphens and underscores → what it means. What isn't here, a file may not have.
COLUMNS: Final[Mapping[str, str]] = {
    "sku": "sku",
    "variant": "attributes",
    "attributes": "attributes",
    "variantattributes": "attributes",
    "variantkey": "key",
    "onhand": "on_hand",
    "quantity": "quantity",
    "delta": "delta",
    "lowstockthreshold": "threshold",
    "shop": "shop",
    "shopid": "shop",
    # Written by our own exports, for people.
    "line": "ignored",
    "problem": "ignored",
    "held": "ignored",
    "available": "ignored",
}
NUMBERS: Final[Mapping[Mode, tuple[str, ...]]] = {Mode.SET: ("on_hand", "quantity"), Mode.DELTA: ("delta", "quantity")}
MAX_CELL: Final = 1000
"""Characters of a cell that are kept and looked at. The longest that means something is a variant key."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,10}\Z")


class RowRefused(Exception):
    """A row that says nothing usable, for a reason that its author can act on."""

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code, self.problem = code, problem


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as the file has it. `line` counts from 1; `problem` is set where the format itself was broken.

    `cells` are texts by meaning (the values of COLUMNS), trimmed of nothing.
    """

    line: int
    cells: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WantedRow:
    """What a row asks for. `number` are units, absolute or to add by the file's mode; None: leave them.

    `threshold`: None leaves it.
    """

    sku: str
    variant_key: str
    number: int | None
    threshold: int | None


def meaning_of(name: str) -> str | None:
    """What a column or member called `name` means; None for one that nothing is known about."""
    return COLUMNS.get(re.sub(r"[\s_-]", "", name).lower())


def columns_problem(meanings: list[str], mode: Mode) -> str:
    """Why a file with these columns can't be read in this mode; empty when it can."""
    if twice := sorted({name for name in meanings if name != "ignored" and meanings.count(name) > 1}):
        return f"Two columns mean the same: {', '.join(twice)}."
    if not {"sku", "key"} & set(meanings):
        return "There is no column variant_key and none named sku."
    other = NUMBERS[Mode.DELTA if mode is Mode.SET else Mode.SET][0]
    if other in meanings:
        meant = "adds to the stock" if mode is Mode.DELTA else "sets the stock"
        return f"The column {other} doesn't go with an import that {meant}: leave it out, or choose the other kind."
    if len([name for name in meanings if name in NUMBERS[mode]]) > 1:
        return f"Two columns have the units: {' and '.join(NUMBERS[mode])}."
    if not {*NUMBERS[mode], "threshold"} & set(meanings):
        return f"There is no column with the units; it is called {NUMBERS[mode][0]}."
    return ""


def wanted_row(row: RawRow, *, mode: Mode, shop_id: str) -> WantedRow:
    """What `row` asks of the shop's stock. Raises RowRefused."""
    if row.problem:
        raise RowRefused(Code.MALFORMED, row.problem)
    cells = row.cells
    if any(len(cell) > MAX_CELL for cell in cells.values()):
        raise RowRefused(Code.MALFORMED, f"A cell has more than {MAX_CELL:,} characters.")
    if (shop := cells.get("shop", "")) and shop != shop_id:
        raise RowRefused(Code.OTHER_SHOP, "The row names another shop.")
    try:
        sku, key = _variant(cells)
    except MalformedVariant as error:
        raise RowRefused(Code.MALFORMED, error.detail) from error
    number = next((_whole(cells[name], name) for name in NUMBERS[mode] if cells.get(name, "").strip()), None)
    threshold = _whole(cells["threshold"], "low_stock_threshold") if cells.get("threshold", "").strip() else None
    if number is None and threshold is None:
        raise RowRefused(Code.MALFORMED, "The row has neither units nor a threshold.")
    if (mode is Mode.SET and number is not None and number < 0) or (threshold is not None and threshold < 0):
        raise RowRefused(Code.MALFORMED, "A number of units is never below 0.")
    if any(found is not None and abs(found) > MAX_ON_HAND for found in (number, threshold)):
        raise RowRefused(Code.RANGE, f"A number is above {MAX_ON_HAND:,}.")
    return WantedRow(sku, key, number, threshold)


def _variant(cells: Mapping[str, str]) -> tuple[str, str]:
    """(SKU, canonical key) from a whole key, or from a SKU with or without attributes; all of them must agree."""
    key, sku, attributes = cells.get("key", ""), cells.get("sku", ""), cells.get("attributes", "").strip()
    if key:
        named, key = _whole_key(key.strip())
        if sku and sku != named:
            raise MalformedVariant(f"The variant key names the SKU {named!r}, the column sku {sku!r}.")
        if attributes and complete_key(named, attributes) != key:
            raise MalformedVariant("The variant key and the attributes name two variants.")
        return _short(named), key
    if not sku.strip():
        raise MalformedVariant("No variant is named.")
    if sku != sku.strip():
        # Part of the SKU, or a slip: spreadsheets show neither.
        raise MalformedVariant("The SKU begins or ends with a space; if it is meant, write it as %20 in variant_key.")
    return _short(sku), complete_key(sku, attributes)


def _whole_key(key: str) -> tuple[str, str]:
    """As `parse_variant_key`, with the attributes in any order: older files didn't sort them."""
    named, separator, rest = key.partition("#")
    sku, _ = parse_variant_key(named)
    return sku, variant_key(sku, parse_attributes_key(rest) if separator else {})


def _short(sku: str) -> str:
    if len(sku) > MAX_SKU_LENGTH:
        raise MalformedVariant(f"A SKU has at most {MAX_SKU_LENGTH} characters.")
    if "\x00" in sku:
        raise MalformedVariant("The SKU has a character that can't be stored.")
    return sku


def _whole(text: str, name: str) -> int:
    if not _WHOLE.match(stripped := text.strip()):
        # 1,000 is a thousand here and one there.
        raise RowRefused(Code.MALFORMED, f"{name} is not a whole number written with digits alone: {stripped[:40]!r}.")
    return int(stripped)

"""Rows of a workbook's sheet. Streams the sheet; formulas are refused, as what they say depends on who opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final
from zipfile import BadZipFile

# Imported for its absence to be noticed: openpyxl reads XML with it where it is there, without a word where it isn't.
import defusedxml.ElementTree
from openpyxl import load_workbook

from inventory.bulk.formats import FileRefused
from inventory.bulk.formulae import restore
from inventory.bulk.reading_csv import meanings_of
from inventory.bulk.rows import Mode, RawRow

SHEET: Final = "stock"
MAX_COLUMNS: Final = 50
# What a damaged or hostile workbook makes of a parser.
UNREADABLE: Final = (
    KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, EOFError, BadZipFile, NotImplementedError,
    defusedxml.common.DefusedXmlException, defusedxml.ElementTree.ParseError,
)  # fmt: skip


def read_xlsx(data: bytes, *, mode: Mode) -> Iterator[RawRow]:
    """The rows of the sheet named stock, or of the only sheet; empty ones left out. Raises FileRefused."""
    try:
        workbook = load_workbook(BytesIO(data), read_only=True, data_only=False, keep_links=False)
        try:
            yield from _rows(_sheet(workbook), mode)
        finally:
            workbook.close()
    except UNREADABLE as error:
        raise FileRefused(f"The workbook can't be read ({type(error).__name__}); save it again as .xlsx.") from error


def expected_rows(data: bytes) -> int:
    """How many rows the sheet says that it has, for a progress bar; 0 when it doesn't."""
    try:
        workbook = load_workbook(BytesIO(data), read_only=True, keep_links=False)
        try:
            return max(int(_sheet(workbook).max_row or 1) - 1, 0)
        finally:
            workbook.close()
    except UNREADABLE:
        return 0


def _sheet(workbook: Any) -> Any:
    """The sheet that is meant. Raises FileRefused where there are several and none is named stock."""
    sheets = workbook.worksheets
    named = [sheet for sheet in sheets if sheet.title.lower() == SHEET]
    if len(sheets) != 1 and len(named) != 1:
        raise FileRefused(f"The workbook has {len(sheets)} sheets; name the one that is meant “{SHEET}”.")
    return named[0] if named else sheets[0]


def _rows(sheet: Any, mode: Mode) -> Iterator[RawRow]:
    sheet.reset_dimensions()  # what a file says of its own size isn't to be believed
    meanings: list[str] | None = None
    for line, cells in enumerate(sheet.iter_rows(), start=1):
        values, problem = _values(cells)
        if not any(value.strip() for value in values) and not problem:
            continue
        if meanings is None:
            meanings = meanings_of(values, mode)
            continue
        if any(value.strip() for value in values[len(meanings) :]):
            problem = problem or "The row has more cells than the first line."
        if problem:
            yield RawRow(line, dict(zip(meanings, values, strict=False)), problem)
            continue
        padded = [*values, *[""] * len(meanings)]
        yield RawRow(line, {name: restore(value) for name, value in zip(meanings, padded, strict=False)})
    if meanings is None:
        raise FileRefused("The sheet has no rows.")


def _values(cells: Sequence[Any]) -> tuple[list[str], str]:
    """The texts of a row's cells, and what is wrong with the first one that has none."""
    values, problem = list[str](), ""
    for position, cell in enumerate(cells[:MAX_COLUMNS], start=1):
        value = cell.value
        if value is None:
            values.append("")
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            values.append(str(value))
            problem = problem or f"Cell {position} is no text and no number; spreadsheets make dates of what looks so."
        elif cell.data_type in {"f", "e"}:
            values.append(str(value))
            problem = problem or f"Cell {position} is a formula or an error; paste its value instead."
        elif isinstance(value, float):
            values.append(str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value))
        else:
            values.append(str(value))
    return values, problem

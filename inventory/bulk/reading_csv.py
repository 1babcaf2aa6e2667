"""Rows of a CSV file: comma, semicolon or tab, with a line of column names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from typing import Final

from inventory.bulk.formats import FileRefused, text_of
from inventory.bulk.formulae import restore
from inventory.bulk.rows import Mode, RawRow, columns_problem, meaning_of

DELIMITERS: Final = (",", ";", "\t")

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


def expected_rows(data: bytes) -> int:
    """About how many rows there are, for a progress bar."""
    return max(data.count(b"\n") - 1, 1)


def read_csv(data: bytes, *, mode: Mode) -> Iterator[RawRow]:
    """The rows, empty lines left out. Raises FileRefused when the columns can't be told."""
    text = text_of(data)
    delimiter = _delimiter(text)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records = _records(reader)
    _, header = next(records, (1, list[str]()))
    if isinstance(header, str):
        raise FileRefused(f"The first line can't be read: {header}.")
    meanings = meanings_of(header, mode)
    for line, record in records:
        if isinstance(record, str):
            raise FileRefused(f"Line {line}: {record}. Rows after it can't be told apart.")
        if not any(cell.strip() for cell in record):
            continue
        if len(record) != len(meanings):
            yield RawRow(line, problem=f"The row has {len(record)} cells, the first line {len(meanings)}.")
            continue
        yield RawRow(line, {name: restore(cell) for name, cell in zip(meanings, record, strict=True)})


def meanings_of(header: list[str], mode: Mode) -> list[str]:
    """What each column means. Raises FileRefused for a name that nothing is known about, and for a useless set."""
    while header and not header[-1].strip():
        header = header[:-1]
    if unknown := [name for name in header if meaning_of(name) is None]:
        raise FileRefused(
            f"Unknown columns in the first line: {', '.join(repr(name[:40]) for name in unknown[:5])}. "
            "Columns are variant_key (or sku and variant), on_hand or delta, and low_stock_threshold."
        )
    meanings = [meaning_of(name) or "" for name in header]
    if problem := columns_problem(meanings, mode):
        raise FileRefused(problem)
    return meanings


def _delimiter(text: str) -> str:
    """The one that makes known names of the first line; a comma where none does, so that the message names columns."""
    first = _LINE_END.split(text, maxsplit=1)[0]
    for delimiter in DELIMITERS:
        names = next(csv.reader([first], delimiter=delimiter), [])
        if len(names) > 1 and all(meaning_of(name) is not None for name in names if name.strip()):
            return delimiter
    return max(DELIMITERS, key=first.count)


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | str]]:
    """`(line on which the record begins, record)`; at a broken quote the fault instead, and then nothing more."""
    while True:
        line = getattr(reader, "line_num") + 1  # noqa: B009  csv's readers have it, Iterator doesn't say so
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, str(error)
            return

"""A workbook written as it is read by nobody yet: row by row into a stream, in constant memory.

openpyxl writes a whole workbook to disk before the first byte leaves; a browser would wait a minute for a million rows.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from io import RawIOBase
from itertools import chain, islice
from typing import Any, Final
from xml.sax.saxutils import escape

Cell = str | int
MAX_SHEET_ROWS: Final = 1_048_576
"""Rows of a sheet, by the format's own limit. What is more goes onto another sheet."""
_FLUSH: Final = 1000

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class _Pipe(RawIOBase):
    """What the archive writes to; `drain` takes out what has come so far. It can't seek, and zip needs no seeking."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._bytes += data
        return len(data)

    def drain(self) -> bytes:
        found = bytes(self._bytes)
        self._bytes.clear()
        return found


def stream_workbook(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str) -> Iterator[bytes]:
    """The bytes of an .xlsx with `rows` under `header`. Texts must not need neutralising any more."""
    pipe, sheets, left = _Pipe(), 0, iter(rows)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        first: Sequence[Cell] | None = next(left, None)
        while sheets == 0 or first is not None:
            sheets += 1
            body = islice(chain([first] if first is not None else [], left), MAX_SHEET_ROWS - 1)
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w", force_zip64=True) as part:
                part.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
                part.write(_row(1, header))
                for number, row in enumerate(body, start=2):
                    part.write(_row(number, row))
                    if number % _FLUSH == 0:
                        yield pipe.drain()
                part.write(b"</sheetData></worksheet>")
            first = next(left, None)
        for name, text in _frame([title if n == 1 else f"{title} {n}" for n in range(1, sheets + 1)]):
            archive.writestr(name, _HEAD + text)
    yield pipe.drain()


def _row(number: int, cells: Sequence[Cell]) -> bytes:
    written = "".join(
        f"<c><v>{cell}</v></c>"
        if isinstance(cell, int)
        else f'<c t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        for cell in cells
    )
    return f'<row r="{number}">{written}</row>'.encode()


def _frame(titles: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The parts that make sheets a workbook."""
    numbers = range(1, len(titles) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
    )
    yield (
        "[Content_Types].xml",
        (
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{overrides}</Types>'
        ),
    )
    yield (
        "_rels/.rels",
        (
            f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
    )
    sheets = "".join(
        f'<sheet name="{escape(title)}" sheetId="{n}" r:id="rId{n}"/>' for n, title in zip(numbers, titles, strict=True)
    )
    yield "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{sheets}</sheets></workbook>'
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    yield "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>'

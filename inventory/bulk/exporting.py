"""Stock as a file that can be imported again: streamed, a page of rows at a time, each page a query of its own.

No cursor stays open between pages, so that a pooler in transaction mode may give every page another connection, and a
slow reader holds no snapshot. Rows are in order of key; one that changes meanwhile is exported as either.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Final, Literal

from django.db.models import F, QuerySet

from inventory.bulk.formats import Format
from inventory.bulk.formulae import neutralise
from inventory.bulk.reading_json import FORMAT
from inventory.bulk.rows import NUMBERS, Mode
from inventory.bulk.sheets import Cell, stream_workbook
from inventory.locks import owner_scope
from inventory.models import StockImport, StockImportRow, StockRow

PAGE: Final = 5000
SHEET: Final = "stock"
HEADER: Final = ("variant_key", "on_hand", "held", "available", "low_stock_threshold")
MEMBERS: Final = ("variantKey", "onHand", "held", "available", "lowStockThreshold")
CONTENT_TYPES: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.JSON: "application/json",
}
# Spreadsheets take a file without it for their own country's old encoding.
BYTE_ORDER_MARK: Final = "\ufeff"

Which = Literal["", "out", "low", "held"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of one shop, or of a pool by its id, that are meant. `begins`: how their variant keys begin."""

    shop_id: str
    which: Which = ""
    begins: str = ""


def export_stock(selection: Selection, *, kind: Format, now: datetime) -> Iterator[bytes]:
    """The file, piece by piece."""
    rows = stock_rows(selection)
    match kind:
        case Format.CSV:
            return stream_csv(HEADER, rows)
        case Format.XLSX:
            return stream_workbook(HEADER, _neutral(rows), title=SHEET)
        case Format.JSON:
            return _stream_json(rows, selection.shop_id, now)


def stock_rows(selection: Selection) -> Iterator[Sequence[Cell]]:
    """`(variant key, on hand, held, available, threshold)` in order of key, read PAGE at a time."""
    after = ""
    while page := _page(selection, after):
        yield from page
        after = page[-1][0]


def template(mode: Mode, kind: Format) -> Iterator[bytes]:
    """A file to fill in: the names of the columns, and nothing that could be imported by mistake."""
    header = ("variant_key", NUMBERS[mode][0], "low_stock_threshold")
    if kind is Format.XLSX:
        return stream_workbook(header, (), title=SHEET)
    return stream_csv(header, ())


def failed_rows_file(batch: StockImport) -> Iterator[bytes]:
    """The failed rows with line and problem, as CSV that can be corrected and imported."""
    units = NUMBERS[Mode(batch.mode)][0]
    header = ("line", "problem", "variant_key", "sku", "variant", units, "low_stock_threshold")
    return stream_csv(header, _failed(batch))


def stream_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Comma-separated, with lines that end as spreadsheets end them (RFC 4180)."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    yield BYTE_ORDER_MARK.encode()
    for number, row in enumerate(_neutral(rows), start=1):
        writer.writerow(row)
        if number % 1000 == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _page(selection: Selection, after: str) -> list[tuple[str, int, int, int, int]]:
    """Under the shop's scope, page by page: an answer is streamed when the request and its scope are over."""
    with owner_scope(selection.shop_id):
        return list(_selected(selection).filter(variant_key__gt=after)[:PAGE])


def _selected(selection: Selection) -> QuerySet[StockRow, tuple[str, int, int, int, int]]:
    rows = StockRow.objects.for_shop(selection.shop_id).order_by("variant_key")
    if selection.begins:
        rows = rows.filter(variant_key__startswith=selection.begins)
    match selection.which:
        case "out":
            rows = rows.filter(available__lte=0)
        case "low":
            rows = rows.filter(available__gt=0, available__lte=F("low_stock_threshold"))
        case "held":
            rows = rows.filter(held__gt=0)
    return rows.values_list("variant_key", "on_hand", "held", "available", "low_stock_threshold")


def _neutral(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Cell]]:
    for row in rows:
        yield [neutralise(cell) if isinstance(cell, str) else cell for cell in row]


def _stream_json(rows: Iterable[Sequence[Cell]], shop_id: str, now: datetime) -> Iterator[bytes]:
    """One item a line, so that an import's line numbers lead to it."""
    as_of = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    yield f'{{"format": "{FORMAT}", "shop": {json.dumps(shop_id)}, "asOf": "{as_of}", "items": ['.encode()
    lines = list[str]()
    between = "\n"
    for row in rows:
        item = json.dumps(dict(zip(MEMBERS, row, strict=True)), ensure_ascii=False)
        lines.append(f"{between}{item}")
        between = ",\n"
        if len(lines) == 1000:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join([*lines, "\n]}\n"]).encode()


def _failed(batch: StockImport) -> Iterator[Sequence[Cell]]:
    units = NUMBERS[Mode(batch.mode)]
    after = 0
    while page := _failed_page(batch, after):
        for row in page:
            raw = row.raw if not row.variant_key and isinstance(row.raw, dict) else {}
            number = next((raw[name] for name in units if raw.get(name)), "") if row.number is None else row.number
            threshold = raw.get("threshold", "") if row.threshold is None else row.threshold
            key = row.variant_key or raw.get("key", "")
            yield (row.line, row.problem, key, raw.get("sku", ""), raw.get("attributes", ""), number, threshold)
        after = page[-1].position


def _failed_page(batch: StockImport, after: int) -> list[StockImportRow]:
    rows = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk, state=StockImportRow.State.FAILED)
    with owner_scope(batch.owner_id):
        return list(rows.filter(position__gt=after).order_by("position")[:PAGE])

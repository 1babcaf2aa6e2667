"""Reading a file into rows, each with what it would do: the preview. Nothing is moved.

Rows are stored some thousands per transaction together with how far reading has come, so that a worker that takes over
reads the file again and stores what is missing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from inventory.bulk import reading_csv, reading_xlsx
from inventory.bulk.catalog import known_variants, unknown_variant
from inventory.bulk.fates import Fate, failed, planned, refused, write_fates
from inventory.bulk.formats import MAX_ROWS, FileRefused, Format
from inventory.bulk.judging import Stock, judge
from inventory.bulk.moving import stock_by_key
from inventory.bulk.reading_json import read_json
from inventory.bulk.rows import Code, Mode, RawRow, RowRefused, WantedRow, wanted_row
from inventory.locks import owner_tx
from inventory.models import StockImport, StockImportPart, StockImportRow
from tenants.storable import storable

log = structlog.get_logger(__name__)

CHUNK: Final = 2000
"""Rows per transaction: some hundred milliseconds, and one lookup in catalog and stock for all of them."""

Status = StockImport.Status
State = StockImportRow.State

# Row-level security knows no COPY; arrays are nearly as fast.
_INSERT: Final = """
    INSERT INTO inventory_stockimportrow (owner_id, shop_id, batch_id, position, line, sku, variant_key, number,
        threshold, state, effect, code, problem, raw, stock_row_id, seen_on_hand, seen_threshold, delta)
    SELECT %s, %s, %s, n.* FROM unnest(
        %s::integer[], %s::integer[], %s::text[], %s::text[], %s::integer[], %s::integer[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[])
        AS n (position, line, sku, variant_key, number, threshold, state, effect, code, problem, raw, stock_row,
              on_hand, seen_threshold, delta)
"""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row as it was read: wanted, or refused."""

    position: int
    raw: RawRow
    wanted: WantedRow | None
    error: RowRefused | None


def read_import(*, shop_id: str, import_id: int, until: float) -> bool:
    """Reads on until the file's end, or until the monotonic time `until`; True when there is nothing left to read."""
    batch = StockImport.objects.for_shop(shop_id).get(pk=import_id)
    try:
        data = file_of(batch)
        if not batch.rows_expected:
            expected = _expected(Format(batch.format), data)
            StockImport.objects.filter(pk=batch.pk).update(rows_expected=expected, worked_at=timezone.now())
        return _read(batch, data, until)
    except FileRefused as error:
        return _end(batch, Status.UNREADABLE, error.detail)
    except DatabaseError:
        raise  # nothing is wrong with the file: the sweep goes on from here
    except Exception:
        log.exception("stock_import_unreadable", import_id=import_id)
        return _end(batch, Status.UNREADABLE, "An error of ours while reading the file; it is in the log.")


def file_of(batch: StockImport) -> bytes:
    """The file as it was received. Raises FileRefused once it is purged."""
    parts = StockImportPart.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk).order_by("number")
    data = b"".join(bytes(part) for part in parts.values_list("data", flat=True))
    if len(data) != batch.size_bytes:
        raise FileRefused("The file is no longer kept.")
    return data


def raw_rows(batch: StockImport, data: bytes) -> Iterator[RawRow]:
    mode = Mode(batch.mode)
    match Format(batch.format):
        case Format.CSV:
            return reading_csv.read_csv(data, mode=mode)
        case Format.XLSX:
            return reading_xlsx.read_xlsx(data, mode=mode)
        case Format.JSON:
            return read_json(data, mode=mode, shop_id=batch.owner_id)


def preview(
    wanted: Mapping[int, WantedRow], *, batch: StockImport, known: set[str] | None, stock: Mapping[str, Stock]
) -> dict[int, Fate]:
    """What each row would do, by position. `known`: the variants that the catalog has, None to take any."""
    fates = dict[int, Fate]()
    for position, row in wanted.items():
        own = stock.get(row.variant_key)
        if known is not None and row.variant_key not in known:
            fates[position] = failed(Code.UNKNOWN_SKU, unknown_variant(batch.owner_id), own)
            continue
        try:
            plan = judge(mode=Mode(batch.mode), number=row.number, threshold=row.threshold, stock=own, seen=None)
            fates[position] = planned(plan, own)
        except RowRefused as error:
            fates[position] = refused(error, own)
    return fates


def known_of(batch: StockImport, keys: Iterable[str]) -> set[str] | None:
    """The variants among `keys` that the owner knows; None where the import takes any."""
    return None if batch.unknown_skus else known_variants(owner_id=batch.owner_id, keys=list(keys))


def _read(batch: StockImport, data: bytes, until: float) -> bool:
    first_of = dict[str, int]()  # variant key → position of the first row that names it
    rows = _wanted_rows(batch, raw_rows(batch, data))
    stored = batch.rows_read
    while chunk := list(islice(rows, CHUNK)):
        twins = _twins(chunk, first_of)
        if chunk[-1].position <= stored:
            continue  # stored before somebody took over
        missing = [row for row in chunk if row.position > stored]
        if not _store(batch, missing, twins, after=stored):
            return True  # somebody else reads, or it was discarded
        stored = missing[-1].position
        if time.monotonic() > until:
            return False
    if not stored:
        raise FileRefused("The file has no rows.")
    return _end(batch, Status.READY, "")


def _wanted_rows(batch: StockImport, rows: Iterable[RawRow]) -> Iterator[ReadRow]:
    mode = Mode(batch.mode)
    for position, raw in enumerate(rows, start=1):
        if position > MAX_ROWS:
            raise FileRefused(f"The file has more than {MAX_ROWS:,} rows; split it.")
        try:
            yield ReadRow(position, raw, wanted_row(raw, mode=mode, shop_id=batch.owner_id), None)
        except RowRefused as error:
            yield ReadRow(position, raw, None, error)


def _twins(chunk: list[ReadRow], first_of: dict[str, int]) -> dict[int, int]:
    """Position → position of another row that names the same variant: which of the two is meant, nobody can tell."""
    twins = dict[int, int]()
    for row in chunk:
        if row.wanted is None:
            continue
        first = first_of.setdefault(row.wanted.variant_key, row.position)
        if first != row.position:
            twins[row.position] = first
            twins.setdefault(first, row.position)
    return twins


def _store(batch: StockImport, rows: list[ReadRow], twins: Mapping[int, int], *, after: int) -> bool:
    """Stores rows with their previews in one transaction; False when another worker was faster."""
    shop_id = batch.owner_id
    wanted = {row.position: row.wanted for row in rows if row.wanted and row.position not in twins}
    keys = [row.variant_key for row in wanted.values()]
    known, stock = known_of(batch, keys), stock_by_key(shop_id=shop_id, keys=keys)
    fates = preview(wanted, batch=batch, known=known, stock=stock)
    lines = {row.position: row.raw.line for row in rows}
    for row in rows:
        if row.error:
            fates[row.position] = refused(row.error)
        elif row.position in twins:
            fates[row.position] = _duplicate(lines.get(twins[row.position]))
    with owner_tx(batch.owner_id):
        own = StockImport.objects.for_shop(shop_id).select_for_update(skip_locked=True).filter(pk=batch.pk).first()
        if own is None or own.status != Status.RECEIVED or own.rows_read != after:
            return False
        _insert(batch, rows, fates)
        _refuse_earlier(batch, [position for position in twins if position <= after])
        StockImport.objects.filter(pk=batch.pk).update(rows_read=rows[-1].position, worked_at=timezone.now())
    return True


def _insert(batch: StockImport, rows: list[ReadRow], fates: Mapping[int, Fate]) -> None:
    values = [_values(row, fates[row.position]) for row in rows]
    with connection.cursor() as cursor:
        columns = (list(column) for column in zip(*values, strict=True))
        cursor.execute(_INSERT, [batch.owner_id, batch.shop_id, batch.pk, *columns])


def _values(row: ReadRow, fate: Fate) -> tuple[Any, ...]:
    wanted, raw = row.wanted, None
    if row.error:
        raw = _json(row.raw)
    return (
        row.position, row.raw.line,
        wanted.sku if wanted else "", wanted.variant_key if wanted else "",
        wanted.number if wanted else None, wanted.threshold if wanted else None,
        str(fate.state), str(fate.effect), str(fate.code), fate.problem, raw,
        fate.stock_row_id, fate.on_hand, fate.threshold, fate.delta,
    )  # fmt: skip


def _json(raw: RawRow) -> str:
    return json.dumps({name: storable(cell[:2000]) for name, cell in raw.cells.items()})


def _duplicate(line: int | None) -> Fate:
    where = f"Line {line}" if line else "An earlier line"
    return failed(Code.DUPLICATE, f"{where} names the same variant; keep one of the two.")


def _refuse_earlier(batch: StockImport, positions: list[int]) -> None:
    """Rows of earlier chunks to which a later one was the twin."""
    if not positions:
        return
    earlier = StockImportRow.objects.for_shop(batch.owner_id).filter(batch_id=batch.pk, position__in=positions)
    fate = failed(Code.DUPLICATE, "A later line names the same variant; keep one of the two.")
    write_fates(shop_id=batch.owner_id, fates=[(pk, fate) for pk in earlier.values_list("pk", flat=True)])


def _end(batch: StockImport, status: StockImport.Status, problem: str) -> bool:
    """The end of reading, unless somebody has discarded the import meanwhile."""
    now = timezone.now()
    fields: dict[str, Any] = {"status": status, "problem": problem, "worked_at": now}
    if status == Status.UNREADABLE:
        fields["finished_at"] = now
    StockImport.objects.filter(pk=batch.pk, status=Status.RECEIVED).update(**fields)
    return True


def _expected(kind: Format, data: bytes) -> int:
    """About how many rows there will be, for a progress bar; 0 where only reading tells."""
    match kind:
        case Format.CSV:
            return reading_csv.expected_rows(data)
        case Format.XLSX:
            return reading_xlsx.expected_rows(data)
        case Format.JSON:
            return 0

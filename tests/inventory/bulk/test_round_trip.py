"""What goes out comes back in as it was, whatever the texts are made of, and no spreadsheet executes any of it."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from io import BytesIO, StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from inventory.bulk.exporting import HEADER, Selection, export_stock, stream_csv, template
from inventory.bulk.formats import Format, sniff
from inventory.bulk.formulae import TRIGGERS, neutralise, restore
from inventory.bulk.reading_csv import read_csv
from inventory.bulk.reading_json import read_json
from inventory.bulk.reading_xlsx import read_xlsx
from inventory.bulk.rows import Mode, wanted_row
from inventory.bulk.sheets import stream_workbook
from inventory.models import StockRow
from inventory.variants import MalformedVariant, variant_key
from tests.inventory.bulk.steps import confirm, csv_of, key, moved, on_hand, read, shop_with

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
READERS = {
    Format.CSV: lambda data: read_csv(data, mode=Mode.SET),
    Format.XLSX: lambda data: read_xlsx(data, mode=Mode.SET),
    Format.JSON: lambda data: read_json(data, mode=Mode.SET, shop_id="acme"),
}
hostile = st.text(alphabet=st.sampled_from("=+-@'\"\t\r\n,;#:|% aé＝\u200b0"), min_size=1, max_size=6)
# PostgreSQL keeps no NUL, so no SKU has one.
words = hostile | st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8)


@st.composite
def keys(draw):
    try:
        return variant_key(draw(words), draw(st.dictionaries(words, words, max_size=2)))
    except MalformedVariant:
        return "SKU"


units = st.integers(0, 1_000_000_000)
stocks = st.dictionaries(keys(), st.tuples(units, units), max_size=8)


@given(st.text())
def test_neutralising_is_undone_exactly_and_leaves_nothing_to_execute(text):
    assert restore(neutralise(text)) == text
    assert not neutralise(text).startswith(tuple(sign for sign in TRIGGERS if sign != "'"))


@given(st.text())
def test_what_nobody_neutralised_stays_as_it_is(text):
    if not (text.startswith("'") and text[1:].startswith(TRIGGERS)):
        assert restore(text) == text


def lines_of(stock):
    return [(variant, number, 0, number, threshold) for variant, (number, threshold) in stock.items()]


@settings(deadline=None, max_examples=40)
@given(stocks)
def test_csv_comes_back_as_it_was(stock):
    came = read_csv(b"".join(stream_csv(HEADER, lines_of(stock))), mode=Mode.SET)
    assert wanted(came) == stock


@settings(deadline=None, max_examples=25)
@given(stocks)
def test_a_workbook_comes_back_as_it_was(stock):
    rows = [[neutralise(variant), *numbers] for variant, *numbers in lines_of(stock)]
    data = b"".join(stream_workbook(HEADER, rows, title="stock"))
    assert sniff(data) is Format.XLSX
    assert wanted(read_xlsx(data, mode=Mode.SET)) == stock


def wanted(came):
    rows = [wanted_row(row, mode=Mode.SET, shop_id="acme") for row in came]
    return {row.variant_key: (row.number, row.threshold) for row in rows}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", list(Format))
def test_exported_stock_imports_as_unchanged(kind):
    shop_with(S=5, M=0, L=7)
    odd = ("=1+1", "+A", "-B", "@C", "'D", "=E#size:+1")
    confirm(read(csv_of(*(f"'{name},3,1" for name in odd)), unknown_skus=True))
    assert set(odd) <= set(on_hand())
    data = b"".join(export_stock(Selection("acme"), kind=kind, now=AT))
    batch = read(data, unknown_skus=True, name=f"stock.{kind}")
    assert (batch.format, batch.status, batch.problem) == (kind, "ready", "")
    assert {row.state for row in batch.rows.all()} == {"unchanged"}
    confirm(batch)
    assert moved(batch) == []


@pytest.mark.django_db
def test_no_cell_of_an_export_is_a_formula():
    shop_with(S=5)
    confirm(read(csv_of("'=cmd|'/C calc'!A0,3,1", "'@SUM(1),3,1"), unknown_skus=True))
    confirm(read(b'{"=HYPERLINK(1)": 1, "+1": 2}', unknown_skus=True))
    export = {kind: b"".join(export_stock(Selection("acme"), kind=kind, now=AT)) for kind in Format}
    cells = [cell for row in csv.reader(StringIO(export[Format.CSV].decode("utf-8-sig"))) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    sheet = load_workbook(BytesIO(export[Format.XLSX])).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s", "n"}
    assert json.loads(export[Format.JSON])["items"][0]["variantKey"] == "+1"


@pytest.mark.django_db
def test_an_export_is_the_shops_own_and_can_be_narrowed():
    shop_with(S=5, M=0, L=2)
    shop_with("other", S=9)
    StockRow.objects.filter(owner_id="acme", variant_key=key("L")).update(low_stock_threshold=3)

    def exported(**more):
        pieces = export_stock(Selection("acme", **more), kind=Format.CSV, now=AT)
        rows = list(csv.reader(StringIO(b"".join(pieces).decode("utf-8-sig"))))
        assert rows[0] == list(HEADER)
        return [tuple(row[:2]) for row in rows[1:]]

    assert exported() == [(key("L"), "2"), (key("M"), "0"), (key("S"), "5")]
    assert (exported(which="out"), exported(which="low")) == ([(key("M"), "0")], [(key("L"), "2")])
    assert exported(begins="HB#size:S") == [(key("S"), "5")]
    assert exported(begins="HB%") == []


@pytest.mark.django_db
def test_an_export_is_read_page_by_page_without_a_cursor(django_assert_num_queries):
    shop = shop_with(S=1)
    owner = StockRow.objects.get().owner
    StockRow.objects.bulk_create(
        StockRow(owner=owner, sku=f"A-{number:05}", variant_key=f"A-{number:05}") for number in range(10_000)
    )
    pieces = export_stock(Selection(shop.pk), kind=Format.CSV, now=AT)
    with django_assert_num_queries(4):  # two full pages, one begun, one empty
        data = b"".join(pieces)
    assert data.count(b"\n") == 10_002


@pytest.mark.parametrize("mode", list(Mode))
def test_a_template_has_columns_that_an_import_of_its_kind_takes(mode):
    for kind in (Format.CSV, Format.XLSX):
        data = b"".join(template(mode, kind))
        assert sniff(data) is kind
        read_one = read_csv if kind is Format.CSV else read_xlsx
        assert list(read_one(data, mode=mode)) == []

"""Files as people make them, and as nobody should: what is read, and what is refused with which line."""

from __future__ import annotations

import zipfile
from datetime import date
from io import BytesIO

import pytest
from openpyxl import Workbook

from inventory.bulk import formats
from inventory.bulk.formats import FileRefused, Format, sniff
from inventory.bulk.reading_csv import read_csv
from inventory.bulk.reading_json import read_json
from inventory.bulk.reading_xlsx import read_xlsx
from inventory.bulk.rows import Mode, RowRefused, wanted_row


def outcomes(rows, mode=Mode.SET):
    """(line, variant, number, threshold) of each row, or (line, what is wrong)."""
    found = []
    for row in rows:
        try:
            wanted = wanted_row(row, mode=mode, shop_id="acme")
            found.append((row.line, wanted.variant_key, wanted.number, wanted.threshold))
        except RowRefused as error:
            found.append((row.line, error.problem))
    return found


def csv_rows(text, mode=Mode.SET):
    return outcomes(read_csv(text if isinstance(text, bytes) else text.encode(), mode=mode), mode)


def json_rows(text, mode=Mode.SET):
    return outcomes(read_json(text.encode(), mode=mode, shop_id="acme"), mode)


def xlsx_of(*rows, title="Sheet"):
    workbook = Workbook()
    workbook.active.title = title
    for row in rows:
        workbook.active.append(row)
    return saved(workbook)


def saved(workbook):
    buffer = BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_csv_of_every_country(delimiter, ending):
    lines = [delimiter.join(cells) for cells in (["SKU", "Variant", "On hand"], ["HB", '"size:M"', "5"], ["", "", ""])]
    text = ("\ufeff" + ending.join([*lines, delimiter.join(["É", "", " 7 "])]) + ending).encode()
    assert csv_rows(text) == [(2, "HB#size:M", 5, None), (4, "É", 7, None)]


def test_a_cell_over_two_lines_keeps_the_count():
    assert csv_rows('sku,on_hand\n"A\nB",1\nC,2\n') == [(2, "A%0AB", 1, None), (4, "C", 2, None)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("A,1.000", "on_hand is not a whole number written with digits alone: '1.000'."),
        ("A,1.0", "on_hand is not a whole number written with digits alone: '1.0'."),
        ("A,١", "on_hand is not a whole number written with digits alone: '١'."),
        ("A,1e3", "on_hand is not a whole number written with digits alone: '1e3'."),
        ("A,-1", "A number of units is never below 0."),
        ("A,1000000001", "A number is above 1,000,000,000."),
        ("A,99999999999", "on_hand is not a whole number written with digits alone: '99999999999'."),
        ("A,", "The row has neither units nor a threshold."),
        (",1", "No variant is named."),
        (" A,1", "The SKU begins or ends with a space; if it is meant, write it as %20 in variant_key."),
        (f"{'A' * 65},1", "A SKU has at most 64 characters."),
        (f"{'A' * 2000},1", "A cell has more than 1,000 characters."),
        ("A,1,2", "The row has 3 cells, the first line 2."),
        ("A", "The row has 1 cells, the first line 2."),
    ],
)
def test_a_row_that_can_not_be_meant_is_refused_with_its_line(row, says):
    assert csv_rows(f"sku,on_hand\nOK,1\n{row}\n") == [(2, "OK", 1, None), (3, says)]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("sku,price,on_hand", "Unknown columns in the first line: 'price'"),
        ("A,B", "Unknown columns"),
        ("sku", "no column with the units"),
        ("on_hand", "no column variant_key"),
        ("sku,on_hand,delta", "delta doesn't go with an import that sets"),
        ("sku,on_hand,quantity", "Two columns have the units"),
        ("sku,on_hand,On Hand", "Two columns mean the same: on_hand"),
    ],
)
def test_columns_that_can_not_be_told_refuse_the_file(header, says):
    with pytest.raises(FileRefused, match=says):
        csv_rows(f"{header}\nA,1,1\n")


def test_variant_key_sku_and_attributes_must_agree():
    header = "variant_key,sku,variant,on_hand\n"
    assert csv_rows(header + "HB#size:M,HB,size:M,1\nHB#size:M,XX,,1\nHB#size:M,,size:L,1\nHB#b:1|a:2,,,1\n") == [
        (2, "HB#size:M", 1, None),
        (3, "The variant key names the SKU 'HB', the column sku 'XX'."),
        (4, "The variant key and the attributes name two variants."),
        (5, "HB#a:2|b:1", 1, None),
    ]


def test_a_delta_has_a_sign_and_a_threshold_may_stand_alone():
    header = "variant_key,delta,low_stock_threshold\n"
    assert csv_rows(header + "A,+3,\nB,-2,\nC,,4\nD,'-5,\n", Mode.DELTA) == [
        (2, "A", 3, None), (3, "B", -2, None), (4, "C", None, 4), (5, "D", -5, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"A": 3}', [(1, "A", 3, None)]),
        ('{\n"A#size:M": 3,\n"B": 0}', [(2, "A#size:M", 3, None), (3, "B", 0, None)]),
        ('{"items":[{"variantKey":"A#b:1|a:2","quantity":4}]}', [(1, "A#a:2|b:1", 4, None)]),
        ('{"HB": {"size:M": 1,\n "size:L|color:red": 2, "": 3}}',
         [(1, "HB#size:M", 1, None), (2, "HB#color:red|size:L", 2, None), (2, "HB", 3, None)]),
        ('[{"sku":"HB","variantAttributes":{"size":"M"},"onHand":1,"lowStockThreshold":2}]',
         [(1, "HB#size:M", 1, 2)]),
        ('{"A": "3", "B": 1.5, "C": true, "D": null, "E": [], "F": 1e2, "G": {}}',
         [(1, "The units are not a whole number.")] * 6 + [(1, "The SKU has no variants.")]),
        ('{"A": -1}', [(1, "A number of units is never below 0.")]),
        ('{"A B": 1}', [(1, "The SKU is not in its canonical spelling.")]),
        ('{"birch-shop": {"A": 1}}', [(1, "An attribute is written name:value.")]),
        ('{"HB": {"HB#size:M": 1, "XX#size:M": 2}}',
         [(1, "HB#size:M", 1, None), (1, "The variant key names the SKU 'XX', not 'HB'.")]),
        ('[{"variantKey":"A","quantity":1,"price":2},{"variantKey":"A","onHand":1,"quantity":1}, 5]',
         [(1, "Unknown member 'price'."), (1, "The item has both onHand and quantity."),
          (1, "An item is an object with variantKey and quantity.")]),
        ('[{"variantKey":"A","variant_key":"B","quantity":1}]',
         [(1, "Two members mean the same: 'variant_key' and another.")]),
        ('[{"variantKey":"A","quantity":1,"shopId":"other"}]', [(1, "The row names another shop.")]),
    ],
)  # fmt: skip
def test_json_of_every_older_shape(text, rows):
    assert sniff(text.encode()) is Format.JSON
    assert json_rows(text) == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no rows"),
        ("[]", "no rows"),
        ('{"items": []}', "no rows"),
        ('{"items": [{}], "A": 3}', "something else: 'A'"),
        ('{"items": [{}], "shop": "other"}', "another shop's"),
        ('{"items": [{}], "format": "holdfast-stock/9"}', "another format"),
        ('{"items": [], "items": []}', "twice"),
        ('{"A": 1', "line 1"),
        ('{"A": 1,\n"B" 2}', "line 2: a ':' is missing"),
        ('{"A": NaN}', "a value is missing"),
        ('{"A": 01}', "a ',' is missing"),
        ('{"A": 1} x', "something follows"),
        ('{"A\n": 1}', "isn't closed"),
        ("[" * 100, "nested deeper"),
    ],
)
def test_json_that_can_not_be_meant_refuses_the_file(text, says):
    with pytest.raises(FileRefused, match=says):
        json_rows(text)


def test_json_with_the_same_member_twice_gives_both_rows():
    assert json_rows('{"A": 1, "A": 2}') == [(1, "A", 1, None), (1, "A", 2, None)]


def test_a_huge_number_of_digits_is_a_refused_row_and_no_work():
    assert json_rows(f'{{"A": {"9" * 5000}}}') == [(1, "The units are not a whole number.")]


def test_a_workbook_with_numbers_texts_and_gaps():
    data = xlsx_of(["variant_key", "On hand", "Low stock threshold"], ["A", 5, None], [], [12345, 7.0, 2])
    assert sniff(data) is Format.XLSX
    assert outcomes(read_xlsx(data, mode=Mode.SET)) == [(2, "A", 5, None), (4, "12345", 7, 2)]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("=1+1", "Cell 2 is a formula or an error; paste its value instead."),
        (date(2026, 3, 1), "Cell 2 is no text and no number; spreadsheets make dates of what looks so."),
        (True, "Cell 2 is no text and no number; spreadsheets make dates of what looks so."),
        (1.5, "on_hand is not a whole number written with digits alone: '1.5'."),
        ("x", "on_hand is not a whole number written with digits alone: 'x'."),
    ],
)
def test_a_cell_that_is_no_number_of_units(cell, says):
    data = xlsx_of(["sku", "on_hand"], ["A", cell])
    assert outcomes(read_xlsx(data, mode=Mode.SET)) == [(2, says)]


def test_several_sheets_need_a_name():
    workbook = Workbook()
    workbook.active.append(["sku", "on_hand"])
    other = workbook.create_sheet("notes")
    with pytest.raises(FileRefused, match="2 sheets"):
        list(read_xlsx(saved(workbook), mode=Mode.SET))
    other.title = "Stock"
    other.append(["sku", "on_hand"])
    other.append(["A", 1])
    assert outcomes(read_xlsx(saved(workbook), mode=Mode.SET)) == [(2, "A", 1, None)]


def test_entities_in_a_workbook_are_refused():
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    data = repacked(xlsx_of(["sku", "on_hand"], ["A", 1]), "xl/worksheets/sheet1.xml", lambda xml: bomb.encode() + xml)
    with pytest.raises(FileRefused, match="can't be read"):
        list(read_xlsx(data, mode=Mode.SET))


def repacked(data, name, change):
    """The archive with one of its parts changed."""
    buffer = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            body = old.read(part)
            new.writestr(part, change(body) if part == name else body)
    return buffer.getvalue()


def zip_of(**parts):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old or a protected"),
        ("sku,on_hand".encode("utf-16"), "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "neither"),
        ("sku,on_hand\nÄ,1".encode("latin-1"), "Line 2 is not UTF-8"),
        (b"PK\x03\x04 and then nothing", "damaged"),
        (zip_of(a_txt=b"hello"), "not an .xlsx"),
        (zip_of(xl__workbook_xml=b"x", xl__sharedStrings_xml=b"a" * (33 * 1024 * 1024)), "too much text"),
    ],
)
def test_content_that_is_no_stock_file(data, says):
    with pytest.raises(FileRefused, match=says):
        sniff(data)


def test_a_file_larger_than_the_limit_is_refused():
    with pytest.raises(FileRefused, match="16 MiB"):
        sniff(b"a" * (formats.MAX_BYTES + 1))


@pytest.mark.parametrize("kept", range(0, 4000, 250))
def test_a_workbook_that_broke_off_is_refused_wherever_it_did(kept):
    whole = xlsx_of(["sku", "on_hand"], *([f"A{n}", n] for n in range(50)))
    with pytest.raises(FileRefused):
        sniff(whole[:kept])
        list(read_xlsx(whole[:kept], mode=Mode.SET))

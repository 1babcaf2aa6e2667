"""Failed rows: corrected and tried again, or dismissed, before and after their import is applied."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from inventory.bulk.batches import WrongState, confirm_import
from inventory.bulk.corrections import dismiss_row, retry_row
from inventory.bulk.exporting import failed_rows_file
from inventory.bulk.rows import Mode
from inventory.models import StockImportRow
from tenants.errors import InvalidRequest, NotFound
from tenants.models import AuditEntry
from tests.inventory.bulk.steps import ADA, confirm, csv_of, key, moved, on_hand, read, rows_of, shop_with

pytestmark = pytest.mark.django_db


def failed(batch):
    return StockImportRow.objects.get(batch=batch, state="failed")


def correct(row, **texts):
    return retry_row(shop_id="acme", row_id=row.pk, reason="Typo", acting=ADA, corrected=texts)


def test_a_corrected_row_joins_the_preview_and_is_applied_with_the_rest():
    shop_with(S=5)
    batch = read(csv_of(f"{key('S')},9,", f"{key('M')},1O,2"))
    row = correct(failed(batch), quantity="10")
    assert (row.state, row.effect, row.delta, row.threshold) == ("pending", "new", 10, 2)
    confirm(batch)
    assert on_hand() == {key("S"): 9, key("M"): 10}


def test_a_corrected_row_of_an_applied_import_is_applied_at_once():
    shop_with(S=5)
    batch = confirm(read(csv_of(f"{key('S')},9,", "HB#size:XM,10,")))
    row = correct(failed(batch), key=key("M"))
    assert (row.state, row.delta, on_hand()[key("M")]) == ("applied", 10, 10)
    assert sorted(moved(batch)) == [(key("M"), 10, "opening"), (key("S"), 4, "recount")]
    entry = AuditEntry.objects.get(action="stock_import.row_retried")
    assert (entry.reason, entry.data["before"]["variantKey"], entry.data["after"]["variantKey"]) == (
        "Typo", "HB#size:XM", key("M"),
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match="not one that failed"):
        correct(row, quantity="3")
    assert on_hand()[key("M")] == 10


def test_a_row_that_fails_again_keeps_what_was_corrected_and_the_new_reason():
    shop_with(S=5)
    batch = confirm(read(csv_of("HB#size:XM,10,", f"{key('S')},4,")))
    with pytest.raises(InvalidRequest, match="names the same variant"):
        correct(failed(batch), key=key("S"))
    row = failed(batch)
    assert (row.variant_key, row.code) == (key("S"), "duplicate")
    with pytest.raises(InvalidRequest, match="no such variant"):
        correct(row, key="HB#size:XXL")
    with pytest.raises(InvalidRequest, match="whole number"):
        correct(row, key=key("L"), quantity="many")
    assert on_hand() == {key("S"): 4}


def test_an_unreadable_row_is_not_tried_again_without_a_correction():
    shop_with(S=5)
    batch = read(csv_of("nonsense|,10,"))
    with pytest.raises(InvalidRequest, match="canonical"):
        correct(failed(batch))


def test_of_two_rows_of_one_variant_one_is_dismissed_and_the_other_tried_again():
    shop_with(S=5)
    batch = read(csv_of(f"{key('S')},9,", f"{key('S')},8,"))
    first, second = StockImportRow.objects.filter(batch=batch).order_by("position")
    with pytest.raises(InvalidRequest, match="Line 3"):
        correct(first)
    dismiss_row(shop_id="acme", row_id=second.pk, reason="The old count", acting=ADA)
    assert correct(first).state == "pending"
    confirm(batch)
    assert (rows_of(batch, "state"), on_hand()) == ([("applied",), ("dismissed",)], {key("S"): 9})


def test_nothing_is_corrected_while_a_worker_is_at_it_or_by_another_shop():
    shop_with(S=5)
    shop_with("other")
    batch = read(csv_of(f"{key('S')},9,", "nonsense|,10,"))
    row = failed(batch)
    for verb in (retry_row, dismiss_row):
        with pytest.raises(NotFound):
            verb(shop_id="other", row_id=row.pk, reason="Mine", acting=ADA)
    confirm_import(shop_id="acme", import_id=batch.pk, reason="Go", acting=ADA)
    for verb in (retry_row, dismiss_row):
        with pytest.raises(WrongState):
            verb(shop_id="acme", row_id=row.pk, reason="Now", acting=ADA)


def test_failed_rows_are_downloaded_corrected_and_imported():
    shop_with(S=5, M=1)
    batch = confirm(read(csv_of(f"{key('S')},9,", f"{key('M')},1O,3", "=1+1,x,")))
    table = list(csv.reader(StringIO(b"".join(failed_rows_file(batch)).decode("utf-8-sig"))))
    assert [row[0] for row in table[1:]] == ["3", "4"]
    assert table[1][2:] == [key("M"), "", "", "1O", "3"]
    assert table[2][2] == "'=1+1"
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in table).replace("1O", "10")
    again = confirm(read(text.encode()))
    assert rows_of(again) == [(2, "applied", ""), (3, "failed", "malformed")]
    assert on_hand()[key("M")] == 10


def test_failed_rows_of_a_delivery_keep_their_kind():
    shop_with(S=5)
    batch = confirm(read(csv_of(f"{key('S')},-9", header="variant_key,delta"), mode=Mode.DELTA))
    assert b"variant_key,sku,variant,delta,low_stock_threshold" in b"".join(failed_rows_file(batch))
    assert correct(failed(batch), quantity="-4").delta == -4
    assert on_hand() == {key("S"): 1}

"""Files of stock through all their stations: read, looked at, confirmed, applied, taken back (I10)."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from inventory.bulk.batches import (
    WrongState,
    confirm_import,
    counts,
    discard_import,
    retry_failed,
    undo_import,
)
from inventory.bulk.formats import FileRefused
from inventory.bulk.rows import Mode
from inventory.bulk.working import work_on
from inventory.models import StockImport, StockImportPart, StockImportRow, StockMovement, StockRow
from inventory.stock import adjust_stock
from inventory.verify import prove_stock
from tenants.errors import InvalidRequest, NotFound
from tenants.models import AuditEntry
from tests.inventory.bulk.steps import (
    ADA,
    confirm,
    csv_of,
    key,
    moved,
    on_hand,
    read,
    receive,
    rows_of,
    shop_with,
    state_of,
    undo,
    work,
)
from tests.inventory.steps import place

pytestmark = pytest.mark.django_db


def test_a_preview_tells_what_each_row_would_do_and_moves_nothing():
    shop_with(S=5, M=3)
    batch = read(csv_of(f"{key('S')},9,2", f"{key('M')},3,", f"{key('L')},4,1", "HB#size:XL,1,", f"{key('S')[:-1]},x,"))
    assert batch.status == "ready"
    assert rows_of(batch, "line", "state", "effect", "code", "seen_on_hand", "delta") == [
        (2, "pending", "change", "", 5, 4),
        (3, "unchanged", "nothing", "", 3, 0),
        (4, "pending", "new", "", 0, 4),
        (5, "failed", "nothing", "unknown_sku", None, 0),
        (6, "failed", "nothing", "malformed", None, 0),
    ]
    assert on_hand() == {key("S"): 5, key("M"): 3}
    assert not StockMovement.objects.filter(reference=batch.movement_reference).exists()
    assert counts(batch) == {"pending": 2, "pending_change": 1, "pending_new": 1, "unchanged": 1, "failed": 2}


def test_applying_writes_one_movement_per_changed_row_with_reason_and_reference():
    shop_with(S=5, M=3)
    batch = confirm(read(csv_of(f"{key('S')},9,2", f"{key('M')},3,", f"{key('L')},4,1")))
    assert batch.status == "applied"
    assert on_hand() == {key("S"): 9, key("M"): 3, key("L"): 4}
    assert sorted(moved(batch)) == [(key("L"), 4, "opening"), (key("S"), 4, "recount")]
    movement = StockMovement.objects.get(reference=batch.movement_reference, reason="recount")
    assert (movement.actor, movement.note, movement.on_hand_after) == ("staff:ada", "Stocktaking", 9)
    assert dict(StockRow.objects.values_list("variant_key", "low_stock_threshold")) == {
        key("S"): 2, key("M"): 0, key("L"): 1,
    }  # fmt: skip
    assert [entry.action for entry in AuditEntry.objects.order_by("pk") if entry.object_type == "stock_import"] == [
        "stock_import.received", "stock_import.confirmed", "stock_import.applied",
    ]  # fmt: skip
    assert prove_stock().clean


def test_the_same_file_twice_moves_nothing_the_second_time():
    shop_with(S=5)
    data = csv_of(f"{key('S')},9,2")
    confirm(read(data))
    again = confirm(read(data))
    assert (rows_of(again, "state"), moved(again), on_hand()) == ([("unchanged",)], [], {key("S"): 9})


def test_a_file_that_waits_is_not_taken_a_second_time():
    shop_with(S=5)
    data = csv_of(f"{key('S')},9,2")
    first = receive(data)
    assert receive(data).pk == first.pk
    assert receive(data, unknown_skus=True).pk != first.pk


def test_a_delivery_is_added_once_per_reference():
    shop_with(S=5, M=1)
    data = csv_of(f"{key('S')},3", f"{key('M')},-1", header="variant_key,delta")
    twin = read(data, mode=Mode.DELTA, unknown_skus=True)
    batch = confirm(read(data, mode=Mode.DELTA))
    assert sorted(moved(batch)) == [(key("M"), -1, "adjustment"), (key("S"), 3, "receipt")]
    with pytest.raises(FileRefused, match=f"as import {batch.pk}"):
        receive(data, mode=Mode.DELTA)
    with pytest.raises(FileRefused, match=f"as import {batch.pk}"):
        confirm_import(shop_id="acme", import_id=twin.pk, reason="Once more", acting=ADA)
    assert (state_of(twin), on_hand()[key("S")]) == ("ready", 8)
    confirm(read(csv_of(f"{key('S')},3", header="variant_key,delta"), mode=Mode.DELTA, reference="LS-2"))
    assert on_hand()[key("S")] == 11


def test_a_delivery_that_was_undone_can_be_added():
    shop_with(S=5)
    data = csv_of(f"{key('S')},3", header="variant_key,delta")
    undo(confirm(read(data, mode=Mode.DELTA)))
    confirm(read(data, mode=Mode.DELTA))
    assert on_hand() == {key("S"): 8}


def test_a_count_that_sales_have_overtaken_is_reported_and_a_delta_is_not():
    shop_with(S=5, M=5)
    counted = read(csv_of(f"{key('S')},9,", f"{key('M')},7,"))
    added = read(csv_of(f"{key('S')},1", header="variant_key,delta"), mode=Mode.DELTA)
    row = StockRow.objects.get(variant_key=key("S"))
    adjust_stock(shop_id="acme", stock_row_id=row.pk, delta=-2, reason="adjustment", note="Broken", acting=ADA)
    confirm(counted)
    confirm(added)
    assert rows_of(counted) == [(2, "failed", "stale"), (3, "applied", "")]
    (problem,) = StockImportRow.objects.filter(code="stale").values_list("problem", flat=True)
    assert problem == "On hand was 5 in the preview and is 3 now; look at the row again."
    assert on_hand() == {key("S"): 4, key("M"): 7}


def test_a_row_that_was_opened_meanwhile_is_not_overwritten():
    shop_with(S=1)
    batch = read(csv_of(f"{key('L')},9,"))
    owner = StockRow.objects.get().owner
    StockRow.objects.create(owner=owner, sku="HB", variant_key=key("L"), on_hand=2)
    confirm(batch)
    assert (rows_of(batch), on_hand()[key("L")]) == ([(2, "failed", "stale")], 2)


def test_fewer_than_are_held_is_refused_saying_who_holds_them():
    shop_with(S=5)
    row = StockRow.objects.get()
    hold = place(row, 3)
    preview = read(csv_of(f"{key('S')},2,"))
    assert rows_of(preview) == [(2, "failed", "held")]
    batch = read(csv_of(f"{key('S')},4,"))
    place(row, 2, key="another")
    confirm(batch)
    (problem,) = StockImportRow.objects.filter(batch=batch).values_list("problem", flat=True)
    assert "5 of 5 units are held; at most 0 can be taken away." in problem
    assert f"3 by direct hold {hold.hold_id}" in problem
    assert on_hand() == {key("S"): 5}


def test_failed_rows_are_tried_again_when_what_stood_in_their_way_is_gone():
    shop_with(S=5, M=5)
    batch = read(csv_of(f"{key('S')},4,", f"{key('M')},1,", "nonsense|,1,"))
    for size in "SM":
        row = StockRow.objects.get(variant_key=key(size))
        adjust_stock(shop_id="acme", stock_row_id=row.pk, delta=1, reason="receipt", note="Found", acting=ADA)
    confirm(batch)
    assert retry_failed(shop_id="acme", import_id=batch.pk, reason="Counted again", acting=ADA) == 2
    work(batch)
    assert rows_of(batch) == [(2, "applied", ""), (3, "applied", ""), (4, "failed", "malformed")]
    assert on_hand() == {key("S"): 4, key("M"): 1}
    with pytest.raises(InvalidRequest, match="one by one"):
        retry_failed(shop_id="acme", import_id=batch.pk, reason="Again", acting=ADA)


def test_undo_moves_back_what_the_import_moved_and_what_was_sold_stays_sold():
    shop_with(S=5, M=0)
    batch = confirm(read(csv_of(f"{key('S')},9,7", f"{key('M')},4,3", f"{key('L')},2,")))
    sold = StockRow.objects.get(variant_key=key("S"))
    adjust_stock(shop_id="acme", stock_row_id=sold.pk, delta=-6, reason="adjustment", note="Sold", acting=ADA)
    changed = StockRow.objects.get(variant_key=key("M"))
    StockRow.objects.filter(pk=changed.pk).update(low_stock_threshold=8)  # staff thought better of it
    place(StockRow.objects.get(variant_key=key("L")), 2)
    undo(batch)
    assert batch.status == "applied"
    assert rows_of(batch, "state", "code") == [("applied", "held"), ("undone", ""), ("applied", "held")]
    assert on_hand() == {key("S"): 3, key("M"): 0, key("L"): 2}
    assert StockRow.objects.get(pk=changed.pk).low_stock_threshold == 8
    adjust_stock(shop_id="acme", stock_row_id=sold.pk, delta=4, reason="return", note="Came back", acting=ADA)
    undo(batch)
    assert rows_of(batch, "state", "code") == [("undone", ""), ("undone", ""), ("applied", "held")]
    assert on_hand() == {key("S"): 3, key("M"): 0, key("L"): 2}
    assert StockRow.objects.get(pk=sold.pk).low_stock_threshold == 0
    assert prove_stock().clean
    assert (
        StockMovement.objects.filter(reference=batch.movement_reference, note__startswith="Undo of import").count() == 2
    )


def test_a_whole_undo_ends_there_and_can_not_be_repeated():
    shop_with(S=5)
    batch = undo(confirm(read(csv_of(f"{key('S')},9,", f"{key('L')},0,"))))
    assert (batch.status, on_hand()) == ("undone", {key("S"): 5, key("L"): 0})
    with pytest.raises(WrongState):
        undo_import(shop_id="acme", import_id=batch.pk, reason="Again", acting=ADA)


@pytest.mark.parametrize("act", [confirm_import, discard_import, undo_import, retry_failed])
def test_another_shops_import_is_not_there(act):
    shop_with(S=5)
    shop_with("other")
    batch = read(csv_of(f"{key('S')},9,"))
    with pytest.raises(NotFound):
        act(shop_id="other", import_id=batch.pk, reason="Mine", acting=ADA)
    assert state_of(batch) == "ready"


def test_another_shops_identifiers_in_a_file_find_nothing():
    shop_with(S=5)
    shop_with("other", M=7)
    file = csv_of(f"other,{key('M')},1", f"acme,{key('S')},2", header="shop,variant_key,on_hand")
    batch = confirm(read(file))
    assert rows_of(batch) == [(2, "failed", "other_shop"), (3, "applied", "")]
    assert (on_hand("other"), on_hand()) == ({key("M"): 7}, {key("S"): 2})


def test_a_discarded_import_is_never_applied():
    shop_with(S=5)
    batch = read(csv_of(f"{key('S')},9,"))
    discard_import(shop_id="acme", import_id=batch.pk, reason="Old file", acting=ADA)
    with pytest.raises(WrongState):
        confirm_import(shop_id="acme", import_id=batch.pk, reason="After all", acting=ADA)
    assert (work_on(shop_id="acme", import_id=batch.pk), on_hand()) == (True, {key("S"): 5})


def test_two_rows_of_one_variant_are_both_refused_wherever_they_stand():
    shop_with(S=5)
    filler = [f"X-{number},1," for number in range(2500)]
    batch = read(csv_of(f"{key('S')},9,", *filler, f"{key('S')},8,"), unknown_skus=True)
    failed = StockImportRow.objects.filter(batch=batch, state="failed").order_by("position")
    assert [(row.line, row.code, row.problem) for row in failed] == [
        (2, "duplicate", "A later line names the same variant; keep one of the two."),
        (2503, "duplicate", "An earlier line names the same variant; keep one of the two."),
    ]
    assert counts(batch)["pending_new"] == 2500


def test_unknown_variants_are_taken_when_asked_for_and_refused_otherwise():
    shop_with(S=5)
    batch = confirm(read(csv_of("NEW-1,3,"), unknown_skus=True))
    assert (rows_of(batch), on_hand()["NEW-1"]) == ([(2, "applied", "")], 3)
    assert rows_of(read(csv_of("NEW-2,3,"))) == [(2, "failed", "unknown_sku")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"variant_key,on_hand\n", "no rows"),
        (b'variant_key,on_hand\nA,1\n"B,2\n', "Line 3"),
        (b"[]", "no rows"),
        (b'{"A": 1,}', "line 1"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(data, says):
    shop_with()
    batch = read(data)
    assert (batch.status, says in batch.problem) == ("unreadable", True), batch.problem
    with pytest.raises(WrongState):
        confirm_import(shop_id="acme", import_id=batch.pk, reason="Still", acting=ADA)


def test_the_database_keeps_one_row_per_variant_and_rows_with_their_shop():
    shop_with(S=5)
    shop_with("other", M=7)
    batch = read(csv_of(f"{key('S')},9,"))
    row = StockImportRow.objects.get()
    foreign = StockRow.objects.get(owner_id="other")
    fields = {
        "owner_id": "acme",
        "shop_id": "acme",
        "batch": batch,
        "line": 9,
        "state": "pending",
        "variant_key": key("S"),
    }
    with pytest.raises(IntegrityError, match="stock_import_variant_once"), transaction.atomic():
        StockImportRow.objects.create(position=9, **fields)
    with pytest.raises(IntegrityError, match="problem"), transaction.atomic():
        StockImportRow.objects.create(position=9, **{**fields, "state": "failed"})
    with pytest.raises(IntegrityError, match="reason"), transaction.atomic():
        StockImport.objects.filter(pk=batch.pk).update(status="applied")
    with pytest.raises(IntegrityError, match="stock_of_its_owner"), transaction.atomic():
        StockImportRow.objects.filter(pk=row.pk).update(stock_row=foreign)
        transaction.get_connection().check_constraints()
    for whose in ({"shop_id": "other"}, {"shop_id": None}, {"owner_id": "other"}):
        for table in (StockImport, StockImportRow, StockImportPart):
            with pytest.raises(IntegrityError, match="of_its_owner"), transaction.atomic():
                table.objects.filter(owner_id="acme").update(**whose)

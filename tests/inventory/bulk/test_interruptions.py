"""Workers that die, workers side by side, rows that others keep: each row is applied once, or says why not."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from inventory.bulk import intake, sweep, working
from inventory.bulk.batches import confirm_import, undo_import
from inventory.locks import lock_stock_rows
from inventory.models import StockImport, StockImportPart, StockImportRow, StockRow
from inventory.verify import prove_stock
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
    undo,
    work,
)

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 1000
LONG = 60


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    """No broker: the tests are the workers."""
    asked = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, kwargs, **more: asked.append(kwargs["import_id"]))
    return asked


def filler(number=MANY, units=3):
    return csv_of(*(f"N-{position:05},{units}," for position in range(number)))


def steps(batch, count):
    """A worker that dies after `count` transactions of applying."""
    after = 0
    for _ in range(count):
        after = working._apply_some(batch, 100, after)


def test_reading_goes_on_where_a_worker_died(monkeypatch):
    shop_with()
    monkeypatch.setattr(intake, "CHUNK", 300)
    batch = receive(filler(), unknown_skus=True)
    assert not intake.read_import(shop_id="acme", import_id=batch.pk, until=0)
    batch.refresh_from_db()
    assert (batch.rows_read, batch.status) == (300, "received")
    work(batch)
    assert (batch.rows_read, batch.status) == (MANY, "ready")
    assert [position for (position,) in rows_of(batch, "position")] == list(range(1, MANY + 1))


def test_applying_goes_on_where_a_worker_died_and_moves_nothing_twice():
    shop_with()
    batch = read(filler(), unknown_skus=True)
    confirm_import(shop_id="acme", import_id=batch.pk, reason="Stocktaking", acting=ADA)
    steps(batch, 3)
    assert StockRow.objects.filter(on_hand=3).count() == 300
    work(batch)
    assert (batch.status, len(moved(batch)), set(on_hand().values())) == ("applied", MANY, {3})
    undo_import(shop_id="acme", import_id=batch.pk, reason="Wrong", acting=ADA)
    working._undo_some(batch, 100, 0)
    work(batch)
    assert (batch.status, len(moved(batch)), set(on_hand().values())) == ("undone", 2 * MANY, {0})
    assert prove_stock().clean


def test_a_crash_within_a_transaction_leaves_its_rows_to_the_next():
    shop_with()
    batch = read(filler(50), unknown_skus=True)
    confirm_import(shop_id="acme", import_id=batch.pk, reason="Stocktaking", acting=ADA)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE inventory_stockimportrow ADD CONSTRAINT crash CHECK (state <> 'applied') NOT VALID")
    try:
        with pytest.raises(Exception, match="crash"):
            working._apply_some(batch, 100, 0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE inventory_stockimportrow DROP CONSTRAINT crash")
    assert (moved(batch), on_hand()) == ([], {})
    work(batch)
    assert (len(moved(batch)), set(on_hand().values())) == (50, {3})


def test_workers_side_by_side_apply_every_row_once():
    shop_with()
    batch = read(filler(), unknown_skus=True)
    confirm_import(shop_id="acme", import_id=batch.pk, reason="Stocktaking", acting=ADA)

    def worker():
        try:
            while StockImport.objects.get(pk=batch.pk).at_work:
                working._apply_some(batch, 50, 0)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    batch.refresh_from_db()
    assert (batch.status, len(moved(batch)), set(on_hand().values())) == ("applied", MANY, {3})


def test_two_imports_that_open_the_same_rows_don_t_block_each_other_for_good():
    shop_with()
    batches = [read(filler(300, units), unknown_skus=True) for units in (3, 4)]
    for batch in batches:
        confirm_import(shop_id="acme", import_id=batch.pk, reason="Stocktaking", acting=ADA)

    def worker(batch):
        try:
            working.work_on(shop_id="acme", import_id=batch.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker, args=[batch]) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    states = [state for batch in batches for state, _ in rows_of(batch, "state", "code")]
    assert states.count("applied") == 300
    stale = StockImportRow.objects.filter(state="failed", code="stale").count()
    assert (stale, StockRow.objects.count()) == (300, 300)
    assert prove_stock().clean


@contextmanager
def somebody_locks(row_id):
    """Another connection that keeps a stock row locked for as long as the block runs."""
    locked, done = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                lock_stock_rows(owner_id="acme", row_ids=[row_id])
                locked.set()
                done.wait(LONG)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(LONG)
    try:
        yield
    finally:
        done.set()
        thread.join(LONG)


def test_a_row_that_others_keep_locked_stops_none_of_the_rest(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20
    shop_with(S=5, M=5, L=5)
    batch = read(csv_of(*(f"{key(size)},9," for size in "SML")))
    confirm_import(shop_id="acme", import_id=batch.pk, reason="Stocktaking", acting=ADA)
    with somebody_locks(StockRow.objects.get(variant_key=key("M")).pk):
        work(batch)
    assert rows_of(batch) == [(2, "applied", ""), (3, "failed", "busy"), (4, "applied", "")]
    assert on_hand() == {key("S"): 9, key("M"): 5, key("L"): 9}
    with somebody_locks(StockRow.objects.get(variant_key=key("S")).pk):
        undo(batch)
    assert (batch.status, rows_of(batch, "state", "code")) == (
        "applied", [("applied", "busy"), ("failed", "busy"), ("undone", "")],
    )  # fmt: skip


def test_the_sweep_asks_for_what_stands_still_and_purges_what_is_over(unsent):
    shop_with(S=5)
    waiting, old = receive(csv_of(f"{key('S')},1,")), read(csv_of(f"{key('S')},2,"))
    done = confirm(read(csv_of(f"{key('S')},3,", "nonsense|,1,")))
    unsent.clear()
    now = timezone.now()
    assert sweep.run_once(now=now) == sweep.SweepReport()
    report = sweep.run_once(now=now + timedelta(minutes=3))
    assert (report.asked, unsent) == (1, [waiting.pk])
    report = sweep.run_once(now=now + timedelta(days=15))
    assert (report.lapsed, report.parts, StockImportPart.objects.count()) == (1, 2, 1)
    assert StockImport.objects.get(pk=old.pk).status == "discarded"
    report = sweep.run_once(now=now + timedelta(days=106))
    assert report.rows == 2
    assert rows_of(done) == [(3, "failed", "malformed")]
    assert rows_of(old) == []
    work(waiting)
    assert waiting.status == "ready"

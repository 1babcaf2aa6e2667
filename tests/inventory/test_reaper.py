"""The reaper (I6): overdue holds end, whatever stands in the way of one of them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.celery import app as celery
from inventory import tasks
from inventory.models import Hold, InventoryRun, StockRow
from inventory.reaper import run_once
from inventory.release_guard import GuardReport
from inventory.verify import verify_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.steps import NOW, counters, place

LATE = NOW + timedelta(hours=2)


def reap(**more):
    return run_once(now=LATE, pause_seconds=0, **more)


def poison(hold):
    """Makes the hold impossible to give back: its row's `held` would fall below zero."""
    row_id = Hold.objects.get(pk=hold.hold_id).items.get().stock_row_id
    StockRow.objects.filter(pk=row_id).update(held=0)


@pytest.mark.django_db
def test_overdue_direct_holds_end_and_nothing_else(guard):
    row = StockRowFactory(on_hand=100)
    overdue = place(row, 3, key="overdue", ttl_seconds=60)
    exactly = place(row, 1, key="exactly", ttl_seconds=60, now=LATE - timedelta(seconds=60))
    place(row, 5, key="in time", ttl_seconds=61, now=LATE - timedelta(seconds=60))
    place(row, 7, key="checkout", ttl_seconds=60, held_for="checkout")

    report = reap()

    assert (report.found, report.expired, report.per_shop, report.failed) == (2, 2, {row.owner_id: 2}, ())
    assert report.healthy
    assert counters(row) == [(100, 12, 88)]
    ended = Hold.objects.filter(status="expired").order_by("pk")
    assert [hold.pk for hold in ended] == [overdue.hold_id, exactly.hold_id]
    assert {(hold.finished_at, hold.finish_reason, hold.finished_by) for hold in ended} == {
        (LATE, "time was up", "system:reaper")
    }
    assert guard.asked == [("reap", LATE, 100)]


@pytest.mark.django_db
def test_it_drains_in_batches_and_remembers_the_run():
    rows = [StockRowFactory(on_hand=100), StockRowFactory(on_hand=100)]
    for row in rows:
        for number in range(7):
            place(row, 1, key=f"{number}", ttl_seconds=60)

    report = reap(limit=3)

    assert report.per_shop == dict(sorted((row.owner_id, 7) for row in rows))
    assert counters(*rows) == [(100, 0, 100)] * 2
    run = InventoryRun.objects.get()
    assert (run.kind, run.healthy, run.report) == ("reap", True, report.as_json())
    assert run.report["checkout"] == {"found": 0, "expired": 0, "committed": 0, "kept": 0, "failed": 0}


@pytest.mark.django_db
def test_shops_take_turns_so_that_ones_backlog_delays_no_other():
    rows = [StockRowFactory(on_hand=100), StockRowFactory(on_hand=100)]
    for row, backlog in zip(rows, (9, 2), strict=True):
        for number in range(backlog):
            place(row, 1, key=f"{number}", ttl_seconds=60)
    with CaptureQueriesContext(connection) as seen:
        reap(limit=3)
    batches = [query["sql"] for query in seen if "inventory_holds_reap" in query["sql"]]
    turns = [next(row.owner_id for row in rows if f"'{row.owner_id}'" in batch) for batch in batches]
    assert turns.count(rows[1].owner_id) == 1
    assert rows[1].owner_id in turns[:2], "the small shop is done before the large one's second batch"
    assert counters(*rows) == [(100, 0, 100)] * 2


@pytest.mark.django_db
def test_a_batch_is_few_statements(django_assert_num_queries):
    row = StockRowFactory(on_hand=100)
    for number in range(20):
        place(row, 1, key=f"{number}", ttl_seconds=60)
    # Shops, the batch, the run's record, the clean-up of old ones (which looks first).
    with django_assert_num_queries(4):
        reap()


@pytest.mark.django_db
def test_nothing_to_do():
    report = reap()
    assert (report.found, report.expired, report.per_shop, report.healthy) == (0, 0, {}, True)


@pytest.mark.django_db(transaction=True)
def test_a_poisoned_hold_stops_nobody_else(caplog):
    rows = [StockRowFactory(on_hand=100) for _ in range(2)]
    poisoned = [place(StockRowFactory(owner=row.owner), 1, key="poisoned", ttl_seconds=60) for row in rows]
    for row in rows:
        for number in range(9):
            place(row, 1, key=f"{number}", ttl_seconds=61)
    for hold in poisoned:
        poison(hold)

    report = reap(limit=4)

    assert (report.found, report.expired) == (20, 18)
    assert {failure.hold_id for failure in report.failed} == {hold.hold_id for hold in poisoned}
    assert all("held_within_on_hand" in failure.error for failure in report.failed)
    assert not report.healthy
    assert counters(*rows) == [(100, 0, 100)] * 2
    assert Hold.objects.active().count() == 2, "they are tried again by the next run"
    assert len(reap().failed) == 2
    assert not InventoryRun.objects.latest("finished_at").healthy


@pytest.mark.django_db(transaction=True)
def test_a_locked_hold_is_skipped_without_waiting():
    row = StockRowFactory()
    locked, free = place(row, 1, key="locked", ttl_seconds=60), place(row, 2, key="free", ttl_seconds=60)
    held, leave = threading.Event(), threading.Event()

    def keep():
        with transaction.atomic():
            Hold.objects.select_for_update().get(pk=locked.hold_id)
            held.set()
            leave.wait(10)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(keep)
        assert held.wait(10)
        report = reap()
        leave.set()
        future.result(10)

    assert (report.found, report.expired, report.failed) == (1, 1, ())
    assert Hold.objects.get(pk=free.hold_id).status == "expired"
    assert counters(row) == [(10, 1, 9)]
    assert reap().expired == 1


@pytest.mark.django_db(transaction=True)
def test_many_reapers_give_everything_back_once():
    rows = [StockRowFactory(on_hand=1000)]
    rows += [StockRowFactory(owner=rows[0].owner, on_hand=1000), StockRowFactory(on_hand=1000)]
    for number in range(150):
        place(rows[number % 3], 2, key=f"{number}", ttl_seconds=60)

    def one():
        try:
            return reap(limit=10)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        reports = [future.result(60) for future in [pool.submit(one) for _ in range(4)]]

    assert sum(report.expired for report in reports) == 150
    assert [failure for report in reports for failure in report.failed] == []
    assert counters(*rows) == [(1000, 0, 1000)] * 3
    assert verify_stock().clean


@pytest.mark.django_db
def test_the_guards_part_goes_on_until_it_finds_no_more(guard):
    answers = [
        GuardReport(found=5, expired=4, failed=1),
        GuardReport(found=5, committed=5),
        GuardReport(found=2, kept=2),
    ]
    guard.reap_overdue = lambda *, now, limit: answers.pop(0)
    report = reap(limit=5)
    assert report.checkout == GuardReport(found=12, expired=4, committed=5, kept=2, failed=1)
    assert not report.healthy


@pytest.mark.django_db
def test_a_failing_guard_hides_nothing(guard):
    def fail(*, now, limit):
        raise RuntimeError("the payment provider is away")

    guard.reap_overdue = fail
    row = StockRowFactory()
    place(row, ttl_seconds=60)
    report = reap()
    assert (report.expired, report.checkout, report.healthy) == (1, None, False)
    assert counters(row) == [(10, 0, 10)]


@pytest.mark.django_db
def test_old_runs_are_forgotten():
    before = timezone.now() - timedelta(days=8)
    for kind in ("reap", "verify"):
        InventoryRun.objects.create(kind=kind, started_at=before, finished_at=before, healthy=True, report={})
    reap()
    assert list(InventoryRun.objects.order_by("finished_at").values_list("kind", flat=True)) == ["verify", "reap"]


def test_beat_reaps_every_minute():
    """Never rarer than every five (I6)."""
    entry = celery.conf.beat_schedule["reap-holds"]
    assert (entry["task"], entry["schedule"]) == (tasks.reap_holds.name, 60.0)


@pytest.mark.django_db
def test_the_task_reaps():
    row = StockRowFactory()
    place(row, ttl_seconds=60)
    assert tasks.reap_holds.name == "inventory.reap_holds"
    tasks.reap_holds.apply(throw=True)
    assert counters(row) == [(10, 0, 10)]


@pytest.mark.django_db
def test_the_command_reaps_and_reports(capsys):
    row = StockRowFactory()
    place(row, ttl_seconds=60)
    call_command("reap_holds", "--json", "--limit", "10")
    assert json.loads(capsys.readouterr().out)["perShop"] == {row.owner_id: 1}
    call_command("reap_holds")
    assert "0 of 0 overdue holds given back" in capsys.readouterr().out
    place(row, key="late", ttl_seconds=60)
    call_command("reap_holds", "--full-speed")
    assert "1 of 1 overdue holds given back" in capsys.readouterr().out
    with pytest.raises(CommandError, match="1 to 10000"):
        call_command("reap_holds", "--limit", "0")


@pytest.mark.django_db(transaction=True)
def test_the_command_fails_when_a_hold_stays(capsys):
    hold = place(StockRowFactory(), ttl_seconds=60)
    poison(hold)
    with pytest.raises(CommandError):
        call_command("reap_holds")
    assert str(hold.hold_id) in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_reapers_side_by_side_and_one_poisoned_hold(settings):
    """It is found by some of them, ends for none, and keeps nothing else from ending once."""
    settings.INVENTORY_LOCK_TIMEOUT_MS = 10_000  # a busy machine is another test's subject
    rows = [StockRowFactory(on_hand=100), StockRowFactory(on_hand=100)]
    poisoned = place(StockRowFactory(owner=rows[0].owner), 1, key="poisoned", ttl_seconds=60)
    for number in range(40):
        place(rows[number % 2], 1, key=f"{number}", ttl_seconds=61)
    poison(poisoned)

    def one():
        try:
            return reap(limit=4)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        reports = [future.result(60) for future in [pool.submit(one) for _ in range(3)]]

    assert sum(report.expired for report in reports) == 40
    assert {failure.hold_id for report in reports for failure in report.failed} == {poisoned.hold_id}
    assert counters(*rows) == [(100, 0, 100)] * 2
    assert [hold.pk for hold in Hold.objects.active()] == [poisoned.hold_id]
    assert InventoryRun.objects.count() == 3

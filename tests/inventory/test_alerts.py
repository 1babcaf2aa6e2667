"""Low stock is noticed once per fall (I8): thresholds, cooldown, recovery, watchers side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from inventory import tasks
from inventory.alerts import COOLDOWN, WatchReport, watch_stock
from inventory.holds import release_hold
from inventory.models import AlertDelivery, StockAlert, StockOwner, StockRow
from inventory.stock import adjust_stock, set_low_stock_threshold
from tests.factories.inventory import StockRowFactory
from tests.inventory.steps import API, NOW, STAFF, place

LATER = NOW + timedelta(minutes=1)


def low_row(**more):
    return StockRowFactory(**{"on_hand": 10, "low_stock_threshold": 3, **more})


def alerts_of(row):
    rows = StockAlert.objects.for_shop(row.owner_id).filter(stock_row_id=row.pk).order_by("pk")
    return [(alert.available, alert.threshold, alert.raised_at, alert.closed_at, alert.closed_as) for alert in rows]


@pytest.mark.django_db
def test_nothing_is_raised_above_the_threshold_or_without_one():
    row, silent = low_row(), StockRowFactory(on_hand=0)
    place(row, 6)
    assert watch_stock(now=NOW) == WatchReport(0, 0, 0, ())
    assert alerts_of(row) == alerts_of(silent) == []


@pytest.mark.django_db
@pytest.mark.parametrize("quantity", [7, 10])
def test_falling_to_the_threshold_raises_one_alert_told_by_both_channels(quantity):
    row = low_row()
    place(row, quantity)
    assert watch_stock(now=NOW) == WatchReport(1, 0, 0, ())
    assert watch_stock(now=LATER) == WatchReport(0, 0, 0, ())
    assert alerts_of(row) == [(10 - quantity, 3, NOW, None, "")]
    told = AlertDelivery.objects.for_shop(row.owner_id).values_list("channel", "state", "attempts", "next_attempt_at")
    assert sorted(told) == [("email", "due", 0, NOW), ("webhook", "due", 0, NOW)]


@pytest.mark.django_db
def test_staying_low_is_told_once_a_day():
    row = low_row()
    place(row, 8)
    watch_stock(now=NOW)
    assert watch_stock(now=NOW + COOLDOWN - timedelta(seconds=1)) == WatchReport(0, 0, 0, ())
    assert watch_stock(now=NOW + COOLDOWN) == WatchReport(1, 1, 0, ())
    assert alerts_of(row) == [(2, 3, NOW, NOW + COOLDOWN, "repeated"), (2, 3, NOW + COOLDOWN, None, "")]


@pytest.mark.django_db
def test_recovering_ends_the_cooldown():
    row = low_row()
    held = place(row, 7)
    watch_stock(now=NOW)
    release_hold(shop_id=row.owner_id, hold_id=held.hold_id, reason="", acting=API, now=LATER)
    assert watch_stock(now=LATER) == WatchReport(0, 0, 1, ())
    place(row, 9, key="again")
    soon = LATER + timedelta(minutes=1)
    assert watch_stock(now=soon) == WatchReport(1, 0, 0, ())
    assert alerts_of(row) == [(3, 3, NOW, LATER, "recovered"), (1, 3, soon, None, "")]


@pytest.mark.django_db
def test_stock_and_thresholds_that_staff_set_count_too():
    row = low_row()
    common = {"shop_id": row.owner_id, "stock_row_id": row.pk, "note": "Broken", "acting": STAFF}
    adjust_stock(delta=-8, reason="adjustment", **common)
    assert watch_stock(now=NOW).raised == 1
    set_low_stock_threshold(threshold=0, **common)
    assert watch_stock(now=LATER) == WatchReport(0, 0, 1, ())
    set_low_stock_threshold(threshold=2, **common)
    assert watch_stock(now=LATER).raised == 1


@pytest.mark.django_db
def test_a_closed_shop_is_left_alone_and_a_pool_is_not():
    closed = low_row(on_hand=0)
    closed.owner.shop.status = "closed"
    closed.owner.shop.save()
    pool = StockOwner.objects.create(pk="pool:north")
    shared = StockRow.objects.create(owner=pool, sku="A", variant_key="A", on_hand=1, low_stock_threshold=1)
    assert watch_stock(now=NOW).raised == 1
    assert (alerts_of(closed), len(alerts_of(shared))) == ([], 1)


@pytest.mark.django_db
def test_many_at_once_come_in_batches():
    first = low_row(on_hand=1)
    for _ in range(4):
        low_row(on_hand=1, owner=first.owner)
    assert watch_stock(now=NOW, limit=2) == WatchReport(5, 0, 0, ())
    assert watch_stock(now=NOW + COOLDOWN, limit=2) == WatchReport(5, 5, 0, ())


@pytest.mark.django_db
def test_the_database_itself_knows_one_open_alert_per_row():
    row = low_row(on_hand=0)
    watch_stock(now=NOW)
    alert = StockAlert.objects.for_shop(row.owner_id).get()
    alert.pk = None
    with pytest.raises(IntegrityError, match="stock_alert_one_open"), transaction.atomic():
        alert.save()
    other = low_row()
    alert.stock_row_id = other.pk
    with pytest.raises(IntegrityError, match="stock_alert_of_its_owner"), transaction.atomic():
        alert.save()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db(transaction=True)
def test_watchers_side_by_side_raise_one_alert():
    rows = [low_row(on_hand=2) for _ in range(3)]
    for other in rows[0].owner, rows[1].owner:
        StockRowFactory.create_batch(5, owner=other, on_hand=0, low_stock_threshold=1)
    gate = threading.Barrier(4)

    def watch(_):
        try:
            gate.wait()
            return watch_stock(now=NOW, limit=2).raised
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        raised = sum(pool.map(watch, range(4)))
    # Whoever found an owner taken left it to the other; the next minute looks at all of them again.
    raised += watch_stock(now=LATER).raised
    assert raised == StockAlert.objects.count() == 13
    assert AlertDelivery.objects.count() == 26


@pytest.mark.django_db(transaction=True)
def test_a_hold_that_is_being_placed_and_the_watch_do_not_wait_for_each_other():
    row = low_row()
    with transaction.atomic():
        StockRow.objects.filter(pk=row.pk).update(held=8)

        def watch():
            try:
                return watch_stock(now=NOW)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(watch).result(timeout=30).raised == 0
    assert watch_stock(now=NOW).raised == 1


@pytest.mark.django_db
def test_the_watch_reads_by_its_own_index_and_sales_leave_that_alone():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'stock_row_watched'")
        (definition,) = cursor.fetchone()
    assert definition.endswith("(owner_id, id) WHERE (low_stock_threshold > 0)")


@pytest.mark.django_db
def test_the_task_hands_out_what_is_due():
    row = low_row(on_hand=0)
    tasks.deliver_alert.app.conf.task_always_eager = True
    try:
        tasks.watch_stock()
    finally:
        tasks.deliver_alert.app.conf.task_always_eager = False
    sent = AlertDelivery.objects.for_shop(row.owner_id).values_list("channel", "state")
    assert sorted(sent) == [("email", "skipped"), ("webhook", "skipped")]
    assert StockAlert.objects.for_shop(row.owner_id).get().raised_at <= timezone.now()

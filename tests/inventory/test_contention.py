"""Many at once (I4): bounded waits, nothing oversold, one hold per key. Real threads, processes and connections."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from inventory.errors import HoldKeyConflict, InsufficientStock, InventoryBusy
from inventory.holds import busy_on_lock_timeout, finish_holds_within, release_hold
from inventory.models import Hold, HoldItem, StockMovement, StockRow
from inventory.reaper import run_once
from inventory.stock import adjust_stock
from inventory.verify import verify_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.steps import API, NOW, STAFF, counters, hold_within, line, place

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(work):
    """Runs `work` on a connection of its own."""

    def run():
        try:
            return work()
        finally:
            connection.close()

    return run


@contextmanager
def elsewhere(work):
    """Another connection has done `work` in a transaction that stays open during the block."""
    done, leave = threading.Event(), threading.Event()

    def stay():
        with transaction.atomic():
            work()
            done.set()
            leave.wait(10)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(in_thread(stay))
        assert done.wait(10)
        try:
            yield
        finally:
            leave.set()
            future.result(10)


def waiting_for_locks():
    """How many sessions of this database wait for somebody's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() AND locktype = 'transactionid'"
        )
        return cursor.fetchone()[0]


def until(true, seconds=15.0):
    over = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < over, "it never came to that"
        time.sleep(0.005)


def together(*works):
    """All at once, each on a connection of its own; results or exceptions in order."""
    barrier = threading.Barrier(len(works))

    def run(work):
        connection.ensure_connection()
        barrier.wait(10)
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(in_thread(lambda w=work: run(w))) for work in works]]


def test_a_long_wait_for_stock_is_busy(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 60
    row = StockRowFactory()
    with elsewhere(lambda: hold_within(row, key="first")):
        began = time.monotonic()
        with pytest.raises(InventoryBusy) as busy:
            place(row, key="second")
        waited = time.monotonic() - began
    assert busy.value.members() == {"retryAfterMs": 60, "retryAfter": 60}
    assert 0.05 < waited < 10
    assert counters(row) == [(10, 1, 9)], "the first one's"
    assert Hold.objects.count() == 1
    assert not place(row, key="second").idempotent_hit


def test_a_writer_who_queues_for_nothing_makes_placing_busy_and_nothing_half(settings):
    """Nobody of ours writes stock rows past their queue; who does all the same is noticed where it matters."""
    settings.INVENTORY_LOCK_TIMEOUT_MS = 5_000
    rows = [StockRowFactory(on_hand=5)]
    rows.append(StockRowFactory(owner=rows[0].owner, on_hand=5))
    with ThreadPoolExecutor(1) as pool:
        with elsewhere(lambda: StockRow.objects.filter(pk=rows[1].pk).update(on_hand=0)):
            placing = pool.submit(in_thread(lambda: place(rows[0], key="k", lines=[line(row, 2) for row in rows])))
            until(lambda: waiting_for_locks() == 1)
        with pytest.raises(InventoryBusy):
            placing.result(10)
    assert counters(*rows) == [(5, 0, 5), (0, 0, 0)]
    assert (Hold.objects.count(), HoldItem.objects.count()) == (0, 0)


def test_a_twin_with_the_same_key_waits_and_finds_the_hold():
    row = StockRowFactory(on_hand=1)
    with ThreadPoolExecutor(1) as pool:
        with elsewhere(lambda: hold_within(row, key="k")):
            twin = pool.submit(in_thread(lambda: place(row, key="k")))
            time.sleep(0.05)
            assert not twin.done()
        assert twin.result(5).idempotent_hit
    assert counters(row) == [(1, 1, 0)]


def test_a_twin_that_waits_too_long_for_the_key_is_busy(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 60
    row = StockRowFactory()
    with elsewhere(lambda: hold_within(row, key="k")), pytest.raises(InventoryBusy):
        place(row, key="k")
    assert counters(row) == [(10, 1, 9)]


@pytest.mark.parametrize("verb", ["release", "adjust", "within"])
def test_every_verb_waits_boundedly(settings, verb):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 60
    row = StockRowFactory()
    mine = place(row, key="mine")

    def work():
        if verb == "release":
            release_hold(shop_id=row.owner_id, hold_id=mine.hold_id, reason="", acting=API)
        elif verb == "adjust":
            adjust_stock(shop_id=row.owner_id, stock_row_id=row.pk, delta=1, reason="receipt", note="", acting=STAFF)
        else:
            with busy_on_lock_timeout(shop_id=row.owner_id), transaction.atomic():
                finish_holds_within(hold_ids=[mine.hold_id], outcome="released", reason="", acting=API, now=NOW)

    with elsewhere(lambda: hold_within(row, key="other")), pytest.raises(InventoryBusy):
        work()
    assert counters(row) == [(10, 2, 8)]
    assert connection.in_atomic_block is False, "the lost transaction was left"


def test_a_broken_deadlock_is_busy():
    one, two = StockRowFactory(), StockRowFactory()

    def lock(first, second):
        def work():
            with busy_on_lock_timeout(), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM inventory_stockrow WHERE id = %s FOR UPDATE", [first.pk])
                barrier.wait(5)
                cursor.execute("SELECT 1 FROM inventory_stockrow WHERE id = %s FOR UPDATE", [second.pk])
            return "done"

        return work

    barrier = threading.Barrier(2)
    ends = sorted(type(end).__name__ for end in together(lock(one, two), lock(two, one)))
    assert ends == ["InventoryBusy", "str"]


def test_other_operational_errors_stay_what_they_are():
    with pytest.raises(OperationalError, match="elsewhere"), busy_on_lock_timeout():
        raise OperationalError("elsewhere")


def test_sixteen_threads_collide_without_overselling():
    """3-line carts over few rows in any order, keys used twice on purpose."""
    rows = [StockRowFactory(on_hand=12)]
    rows += [StockRowFactory(owner=rows[0].owner, on_hand=12) for _ in range(5)]

    def buyer(number):
        def work():
            ends = Counter()
            for turn in range(8):
                picked = [rows[(number + turn * step) % 6] for step in (1, 2, 3)]
                key = f"{(number * 8 + turn) % 64}"
                try:
                    hold = place(rows[0], key=key, lines=[line(row) for row in picked])
                    ends["repeat" if hold.idempotent_hit else "held"] += 1
                    if turn % 3 == 0:
                        ends["released"] += release_hold(
                            shop_id=rows[0].owner_id, hold_id=hold.hold_id, reason="", acting=API
                        ).changed
                except (InsufficientStock, InventoryBusy, HoldKeyConflict) as error:
                    ends[error.code] += 1
            return ends

        return work

    ends = together(*[buyer(number) for number in range(16)])

    assert all(isinstance(end, Counter) for end in ends), ends
    total = sum(ends, Counter())
    assert total["inventory_insufficient"] > 0, "there was something to fight for"
    assert Hold.objects.count() == total["held"]
    assert Hold.objects.active().count() == total["held"] - total["released"]
    for hold in Hold.objects.prefetch_related("items"):
        assert sum(item.quantity for item in hold.items.all()) == 3, "no hold is partial"
    assert verify_stock().clean


def test_one_key_from_sixteen_threads_is_one_hold():
    row = StockRowFactory(on_hand=10)
    holds = together(*[lambda: place(row, 2, key="same")] * 16)
    assert len({hold.hold_id for hold in holds}) == 1
    assert [hold.idempotent_hit for hold in holds].count(False) == 1
    assert counters(row) == [(10, 2, 8)]
    assert HoldItem.objects.count() == 1


def test_a_revival_and_the_reaper_do_not_both_win():
    """Key reused at expiry while reapers run: the hold is revived or replaced, and its units are counted once."""
    row = StockRowFactory(on_hand=3)
    late = NOW.replace(hour=13)
    for turn in range(10):
        key = f"k{turn % 2}"
        place(row, 1, key=key, ttl_seconds=60, now=NOW)
        revive = lambda key=key: place(row, 1, key=key, ttl_seconds=600, now=late)  # noqa: E731
        ends = together(revive, revive, lambda: run_once(now=late, pause_seconds=0))
        assert len({ends[0].hold_id, ends[1].hold_id}) == 1, ends
        active = Hold.objects.active()
        assert [hold.expires_at > late for hold in active] == [True] * len(active)
        for hold in active:
            release_hold(shop_id=row.owner_id, hold_id=hold.pk, reason="", acting=API)
    assert counters(row) == [(3, 0, 3)]
    assert verify_stock().clean


@pytest.mark.slow
def test_fifty_processes_hold_ten_units_ten_times():
    row = StockRowFactory(sku="LAST-TEN", on_hand=10)

    run = subprocess.run(
        [sys.executable, "-m", "tests.inventory.buyers", "50", row.owner_id, row.sku],
        capture_output=True,
        text=True,
        env={**os.environ, "HOLDFAST_TEST_DB": settings.DATABASES["default"]["NAME"]},
        cwd=settings.BASE_DIR,
        timeout=60,
        check=False,
    )

    assert Counter(run.stdout.split()) == {"held": 10, "insufficient": 40}, run.stderr
    assert Hold.objects.active().count() == 10
    assert counters(row) == [(10, 10, 0)]
    assert verify_stock().clean


@pytest.mark.slow
def test_processes_that_do_everything_at_once_and_die_lose_no_unit():
    """Mixed verbs on few rows, keys shared between processes, some killed by SIGKILL wherever they are."""
    shops = [StockRowFactory(sku="A", on_hand=15).owner, StockRowFactory(sku="A", on_hand=15).owner]
    for shop in shops:
        StockRowFactory(owner=shop, sku="B", on_hand=15)

    run = subprocess.run(
        [sys.executable, "-m", "tests.inventory.workers", "8", "3", "60", *[shop.pk for shop in shops]],
        capture_output=True,
        text=True,
        env={**os.environ, "HOLDFAST_TEST_DB": settings.DATABASES["default"]["NAME"]},
        cwd=settings.BASE_DIR,
        timeout=100,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    ends = sum((Counter(json.loads(answer)) for answer in run.stdout.splitlines()), Counter())
    assert "failed" not in ends, run.stderr
    assert verify_stock().clean
    states = Counter(Hold.objects.values_list("status", flat=True))
    # Whoever was killed may have done more than it could tell, but nobody was told of what isn't there.
    told = {"committed": ends["committed True"], "released": ends["released True"]}
    assert {state: count for state, count in told.items() if count > states[state]} == {}
    assert 0 < ends["held"] <= states.total()
    sold = {
        (movement.reference, movement.stock_row_id): -movement.delta
        for movement in StockMovement.objects.filter(reason="sale")
    }
    items = HoldItem.objects.filter(hold__status="committed").values_list("hold_id", "stock_row_id", "quantity")
    assert sold == {(str(hold), row): quantity for hold, row, quantity in items}, "every committed hold is one sale"
    release_all = {hold.pk: hold.shop_id for hold in Hold.objects.active()}
    for hold_id, shop_id in release_all.items():
        release_hold(shop_id=shop_id, hold_id=hold_id, reason="", acting=API)
    assert [held for _, held, _ in counters(*StockRow.objects.all())] == [0] * 4

"""The back office's lists, movements and runs; who may look and who may act (A2, A3)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from inventory.models import Hold, InventoryRun, StockMovement, StockRow
from inventory.reaper import run_once
from inventory.verify import prove_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.desk import HOLDS, MOVEMENTS, RUNS, STOCK, queries, text_of
from tests.inventory.steps import counters, place

pytestmark = pytest.mark.django_db


def make_stock():
    row = StockRowFactory(on_hand=10, low_stock_threshold=3)
    place(row, 2, now=timezone.now())


def make_hold():
    row = StockRowFactory()
    other = StockRowFactory(owner=row.owner)
    place(row, lines=None, key="k", now=timezone.now())
    place(other, key="o", held_for="checkout", now=timezone.now())


def make_run():
    run_once(now=timezone.now(), pause_seconds=0)
    prove_stock()


@pytest.mark.parametrize(
    ("url", "make", "count"),
    [
        (STOCK, make_stock, 7),
        (HOLDS, make_hold, 10),
        (MOVEMENTS, make_stock, 7),
        (RUNS, make_run, 6),
    ],
)
def test_a_lists_queries_do_not_grow(staff, url, make, count):
    make()
    text_of(staff.get(url))
    assert queries(staff, url) == count
    make()
    make()
    assert queries(staff, url) == count


def test_movements_and_runs(staff):
    row = StockRowFactory()
    run_once(now=timezone.now(), pause_seconds=0)
    StockRow.objects.filter(pk=row.pk).update(on_hand=11)
    prove_stock()
    page = text_of(staff.get(MOVEMENTS))
    assert row.variant_key in page
    assert "Opening stock" in page
    assert f"{STOCK}{row.pk}/change/" in page
    page = text_of(staff.get(RUNS))
    for word in ("1 of 1 rows differ", "0 of 0 overdue holds given back", "Look into it", "Clean"):
        assert word in page


@pytest.mark.django_db(transaction=True)
def test_a_runs_page_lists_what_it_found(staff):
    """A row that drifted, and a hold that can't be given back because of it."""
    row = StockRowFactory()
    hold = place(row, 2, now=timezone.now() - timedelta(hours=1))
    StockRow.objects.filter(pk=row.pk).update(held=1)
    prove_stock()
    run_once(now=timezone.now(), pause_seconds=0)
    proof, reaped = InventoryRun.objects.get(kind="verify"), InventoryRun.objects.get(kind="reap")

    page = text_of(staff.get(f"{RUNS}{proof.pk}/change/"))
    said = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("What it found") :]).split())
    assert f"{row.variant_key} {row.owner_id} 1 2 10 10" in said
    assert f'href="{STOCK}{row.pk}/change/"' in page
    page = text_of(staff.get(f"{RUNS}{reaped.pk}/change/"))
    assert f'href="{HOLDS}{hold.hold_id}/change/"' in page
    assert "held_within_on_hand" in page


@pytest.mark.parametrize("url", [STOCK, HOLDS, MOVEMENTS, RUNS])
def test_nothing_is_edited_or_deleted(staff, url):
    make_stock()
    make_run()
    model = {STOCK: StockRow, HOLDS: Hold, MOVEMENTS: StockMovement}.get(url)
    if model:
        pk = model.objects.first().pk
        assert staff.post(f"{url}{pk}/change/", {"on_hand": 5, "status": "released"}).status_code == 403
        assert staff.post(f"{url}{pk}/delete/", {"post": "yes"}).status_code == 403
    if url != STOCK:
        assert staff.get(f"{url}add/").status_code == 403


def test_whoever_only_looks_may_not_act(onlooker):
    row = StockRowFactory()
    placed = place(row, now=timezone.now())
    text_of(onlooker.get(STOCK))
    assert "act-adjust" not in text_of(onlooker.get(f"{STOCK}{row.pk}/change/"))
    assert onlooker.get(f"{STOCK}{row.pk}/act-adjust/").status_code == 403
    assert onlooker.get(f"{HOLDS}{placed.hold_id}/act-release/").status_code == 403
    assert onlooker.post(f"{HOLDS}act/release/", {}).status_code == 403
    assert onlooker.get(f"{STOCK}add/").status_code == 403
    assert counters(row) == [(10, 1, 9)]

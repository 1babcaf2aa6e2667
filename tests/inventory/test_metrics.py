"""Counters move when the work is committed, gauges are read from the database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import transaction
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from inventory.errors import InventoryBusy
from inventory.holds import busy_on_lock_timeout, commit_hold, release_hold
from inventory.locks import busy
from inventory.metrics import InventoryGauges
from inventory.models import InventoryRun, StockRow
from inventory.reaper import run_once
from inventory.verify import prove_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.steps import API, NOW, hold_within, place

HOLDS = ("created", "committed", "released", "expired", "idempotent_hit")


def counted(shop_id):
    return {name: REGISTRY.get_sample_value(f"inventory_hold_{name}_total", {"shop_id": shop_id}) for name in HOLDS}


@pytest.mark.django_db(transaction=True)
def test_a_holds_life_is_counted():
    row = StockRowFactory()
    shop_id = row.owner_id
    first, second = place(row, key="1"), place(row, key="2")
    place(row, key="2")
    place(row, key="3", ttl_seconds=60)
    commit_hold(shop_id=shop_id, hold_id=first.hold_id, reason="", acting=API)
    commit_hold(shop_id=shop_id, hold_id=first.hold_id, reason="", acting=API)
    release_hold(shop_id=shop_id, hold_id=second.hold_id, reason="", acting=API)
    run_once(now=NOW.replace(hour=14), pause_seconds=0)

    assert counted(shop_id) == {"created": 3, "committed": 1, "released": 1, "expired": 1, "idempotent_hit": 1}
    assert REGISTRY.get_sample_value("inventory_lock_wait_seconds_count", {"shop_id": shop_id}) == 3


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_counted():
    row = StockRowFactory()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        hold_within(row, key="k")
        raise ZeroDivisionError
    assert counted(row.owner_id)["created"] in (None, 0)


def test_busy_is_counted():
    def value():
        return REGISTRY.get_sample_value("inventory_busy_total", {"shop_id": "amber"}) or 0

    before = value()
    with pytest.raises(InventoryBusy), busy_on_lock_timeout(shop_id="amber"):
        raise busy(shop_id="amber")
    assert value() == before + 1


@pytest.mark.django_db
def test_gauges_come_from_the_last_runs():
    registry = CollectorRegistry(auto_describe=False)
    registry.register(InventoryGauges())
    assert registry.get_sample_value("reaper_last_success_timestamp_seconds", {"shop_id": "-"}) is None

    row = StockRowFactory()
    run_once(now=NOW, pause_seconds=0)
    prove_stock()
    finished = InventoryRun.objects.get(kind="reap").finished_at
    assert abs(datetime.now(UTC) - finished).total_seconds() < 10
    assert registry.get_sample_value("reaper_last_success_timestamp_seconds", {"shop_id": "-"}) == pytest.approx(
        finished.timestamp()
    )
    assert registry.get_sample_value("stock_invariant_violations", {"shop_id": "-"}) == 0

    StockRow.objects.filter(pk=row.pk).update(on_hand=11)
    prove_stock()
    assert registry.get_sample_value("stock_invariant_violations", {"shop_id": row.owner_id}) == 1
    assert b"stock_invariant_violations" in generate_latest(registry)

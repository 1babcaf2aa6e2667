"""The flash sale (S5): against the running product, and what it refuses."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from config.flash_sale.crowd import Tally, address_of, habits
from config.flash_sale.proof import Facts, judge
from config.flash_sale.stage import SKU, NoStage, Stage, find_shop
from inventory.models import StockRow
from tenants.context import load_shop
from tests.fixtures.trade import open_trade

COMMAND = "simulate_flash_sale"


@pytest.mark.slow
def test_ten_buyers_and_three_units(stack, tmp_path):
    """Twice, so that the second finds what the first has left."""
    target = tmp_path / "sale.json"
    for seed in ("1", "2"):
        run = stack.manage(COMMAND, "--buyers", "10", "--stock", "3", "--seed", seed, "--json", str(target))
        assert run.returncode == 0, run.stdout + run.stderr
        report = json.loads(target.read_text())
        assert report["proven"], report
        assert [check["name"] for check in report["checks"] if not check["holds"]] == []
        assert sum(report["units"].values()) == 3
        outcomes = report["outcomes"]
        assert sum(outcomes.values()) == 10
        assert set(outcomes) <= {"bought", "walked away", "sold out"}, outcomes
        assert outcomes["sold out"] == 7
        assert outcomes.get("bought", 0) == report["units"]["sold"]
        assert report["steps"]["checkout"]["count"] >= 10
        assert set(report["steps"]["checkout"]) == {"count", "p50Ms", "p95Ms", "p99Ms"}
    assert "of 10 buyers done" in run.stdout

    # Taken off sale: no stock, no hold, not in the catalog, no cart of the crowd.
    shop = report["shop"]
    left = stack.sql("SELECT on_hand, held FROM inventory_stockrow WHERE owner_id = %s AND sku = %s", shop, SKU)
    assert left == [(0, 0)]
    assert stack.sql("SELECT active FROM commerce_product WHERE shop_id = %s AND sku = %s", shop, SKU) == [(False,)]
    assert stack.sql("SELECT count(*) FROM commerce_cartline WHERE sku = %s", SKU) == [(0,)]
    open_ones = "SELECT count(*) FROM checkout_checkoutattempt a JOIN commerce_orderline l ON l.order_id = a.order_id"
    assert stack.sql(f"{open_ones} WHERE l.sku = %s AND a.state <> 'closed'", SKU) == [(0,)]


@pytest.mark.slow
def test_more_stock_than_buyers(stack, tmp_path):
    target = tmp_path / "sale.json"
    run = stack.manage(COMMAND, "--buyers", "3", "--stock", "5", "--json", str(target))
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(target.read_text())
    assert "sold out" not in report["outcomes"]
    assert report["units"]["available"] == 2


@pytest.mark.parametrize(
    "words", [["--buyers", "0"], ["--buyers", "2001"], ["--stock", "0"], ["--stock", "-1"], ["--seconds", "5"]]
)
def test_bounds(words, settings):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match=words[0]):
        call_command(COMMAND, *words)


def test_not_in_production(settings):
    settings.ENVIRONMENT = "production"
    with pytest.raises(CommandError, match="serve nobody"):
        call_command(COMMAND)


@pytest.mark.parametrize("base", ["https://api.stripe.com", "http://stripe.example:8001", "http://127.0.0.1"])
def test_only_with_the_local_stand_in(base, settings):
    settings.STRIPE_API_BASE = base
    with pytest.raises(CommandError, match="stand-in"):
        call_command(COMMAND)


@pytest.mark.django_db(transaction=True)
def test_without_a_server_or_a_shop_nothing_is_put_on_sale(settings, monkeypatch):
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    monkeypatch.setenv("HOLDFAST_PORT", "9")
    with pytest.raises(CommandError, match="name one with --shop"):
        call_command(COMMAND)
    open_trade("band")
    with pytest.raises(CommandError, match="name one with --shop"):
        call_command(COMMAND, "--shop", "nobody")
    with pytest.raises(CommandError, match="Nothing answers on port 9"):
        call_command(COMMAND)
    assert not StockRow.objects.filter(sku=SKU).exists()


@pytest.mark.django_db
def test_a_closed_shop_holds_no_sale():
    trade = open_trade("band")
    shop, host = find_shop(None)
    assert (shop.shop_id, host) == ("band", trade.host)
    trade.shop.status = "closed"
    trade.shop.save()
    with pytest.raises(NoStage, match="No active shop"):
        find_shop("band")


FINE = Facts(
    stock=5,
    on_hand=3,
    held=1,
    sold=2,
    held_items=1,
    orders=Counter(confirmed=2, pending=1),
    attempts=3,
    sessions={
        "1": [{"payment_status": "paid"}],
        "2": [{"payment_status": "paid"}],
        "3": [{"payment_status": "unpaid"}],
    },
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "twins", "wrong"),
    [
        ({}, [], []),
        ({"sold": 3, "on_hand": 2}, [], ["every paid session is one order, every order was paid"]),
        ({"on_hand": 4}, [], ["sold + held + available is the stock"]),
        ({"held_items": 0}, [], ["what is held, active holds explain"]),
        ({"orders": Counter(confirmed=1)}, [], ["every paid session is one order, every order was paid"]),
        ({}, [frozenset({"cs_1", "cs_2"})], ["one session per intent"]),
        ({"sessions": FINE.sessions | {"3": [{"payment_status": "unpaid"}] * 2}}, [], ["one session per intent"]),
        ({"stock": 1, "on_hand": -1, "sold": 2, "held": 0, "held_items": 0}, [], ["nothing is oversold"]),
    ],
)
def test_a_violated_invariant_is_named(changed, twins, wrong):
    trade = open_trade("band")
    stage = Stage(load_shop("band"), trade.host, trade.stock.pk, 5, timezone.now(), 0)
    checks = judge(stage, replace(FINE, **changed), Tally(sessions=twins))
    assert [check.name for check in checks if not check.holds] == wrong


def test_every_buyer_has_an_address_and_a_habit_of_its_own():
    assert len({address_of(number) for number in range(2000)}) == 2000
    assert address_of(0) == "198.18.0.0"
    assert address_of(65_536 + 257) == "198.19.1.1"
    plans = habits(500, dice=random.Random(1))
    assert plans == habits(500, dice=random.Random(1))
    assert {(plan.double_click, plan.pays) for plan in plans} == {(a, b) for a in (True, False) for b in (True, False)}

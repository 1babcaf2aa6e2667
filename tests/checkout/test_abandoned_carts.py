"""Abandoned carts: emptied, then removed, and never under a checkout that may still sell or give back their lines."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from django.conf import settings as live
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import REGISTRY

from checkout.abandoned_carts import run_once
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from checkout.tasks import remove_abandoned_carts
from commerce.cart import carts
from commerce.models import Cart, CartLine
from tenants.context import load_shop
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads


@pytest.fixture(autouse=True, params=["postgres", "redis"])
def storage(request: Any, settings: Any) -> Any:
    settings.CART_STORAGE = request.param
    return request.param


def age(days: int = 91) -> None:
    """Makes every cart as old as that."""
    Cart.objects.update(updated_at=timezone.now() - timedelta(days=days))


def sweep(**more: Any) -> tuple[int, int]:
    report = run_once(now=timezone.now(), **more)
    assert not report.failed
    assert report.drained
    return sum(report.emptied.values()), sum(report.removed.values())


def keys() -> list[Any]:
    with redis.Redis.from_url(live.REDIS_CARTS_URL) as client:
        return list(client.scan_iter(match=f"{live.REDIS_KEY_PREFIX}:cart:*"))


def test_it_is_emptied_and_removed_by_the_run_after(trade: Trade, storage: str) -> None:
    buyer, other = trade.buyer_with_cart(2), trade.buyer_with_cart(1)
    young = Cart.objects.latest("pk")
    age()
    Cart.objects.filter(pk=young.pk).update(updated_at=timezone.now() - timedelta(days=89))
    old = Cart.objects.exclude(pk=young.pk).get()
    name, labels = "cart_abandoned_total", {"shop_id": "band", "step": "removed"}
    counted = REGISTRY.get_sample_value(name, labels) or 0
    assert sweep() == (1, 0)
    assert carts.cart_snapshot(shop_id="band", cart_id=old.pk).lines == ()
    assert Cart.objects.get(pk=old.pk).generation == old.generation + 1
    assert sweep() == (0, 1)
    assert sweep() == (0, 0)
    assert REGISTRY.get_sample_value(name, labels) == counted + 1
    assert list(Cart.objects.values_list("pk", flat=True)) == [young.pk]
    assert (CartLine.objects.count(), len(keys())) == ((1, 0) if storage == "postgres" else (0, 1))
    # Whoever comes back after all begins a new cart; the other customer notices nothing.
    assert buyer.call("GET", "/api/cart").json()["lines"] == []
    buyer.add(trade.variant)
    assert [line["quantity"] for line in other.call("GET", "/api/cart").json()["lines"]] == [1]


def test_a_change_makes_it_young_again_also_between_the_steps(trade: Trade) -> None:
    buyer = trade.buyer_with_cart()
    age()
    assert sweep() == (1, 0)
    buyer.add(trade.variant, 3)
    assert sweep() == (0, 0)
    assert trade.cart_quantity() == 3


def test_an_unfinished_checkout_keeps_its_cart(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart(2).checkout().json()["sessionId"]
    age()
    assert sweep() == (0, 0)
    assert trade.cart_quantity() == 2
    # A debit on its way: the lines have left, and come back if it fails.
    standin.pay(session_id, method="bank_debit")
    settle_session(shop=load_shop("band"), session_id=session_id)
    age()
    assert sweep() == (0, 0)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "failed"})
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert trade.cart_quantity() == 2
    age()
    assert sweep() == (1, 0)
    # The empty row stays with the story of its order.
    assert sweep() == (0, 0)
    assert CheckoutAttempt.objects.get().cart_id == Cart.objects.get().pk


def test_shops_take_turns_in_batches(trade: Trade, other_trade: Trade) -> None:
    for _ in range(5):
        trade.buyer_with_cart()
    other_trade.buyer_with_cart()
    age()
    report = run_once(now=timezone.now(), limit=2)
    assert (report.emptied, report.removed) == ({"band": 5, "other": 1}, {})
    assert run_once(now=timezone.now(), limit=2).removed == {"band": 5, "other": 1}
    assert not Cart.objects.exists()


def test_a_cart_in_use_is_passed_over_and_runs_side_by_side_agree(trade: Trade) -> None:
    for _ in range(6):
        trade.buyer_with_cart()
    age()
    held = Cart.objects.earliest("pk")
    with transaction.atomic():
        list(Cart.objects.select_for_update().filter(pk=held.pk))
        [report] = in_threads([lambda: run_once(now=timezone.now())])
    assert report.emptied == {"band": 5}
    reports = in_threads([lambda: run_once(now=timezone.now(), limit=2)] * 3)
    assert sum(report.emptied.get("band", 0) for report in reports) == 1
    run_once(now=timezone.now())
    assert not Cart.objects.exists()


def test_task_and_command(trade: Trade) -> None:
    trade.buyer_with_cart()
    age()
    out = StringIO()
    call_command("remove_abandoned_carts", "--json", stdout=out)
    assert json.loads(out.getvalue()) | {"seconds": 0} == {
        "emptied": {"band": 1}, "removed": {}, "failed": [], "drained": True, "seconds": 0,
    }  # fmt: skip
    remove_abandoned_carts()
    assert not Cart.objects.exists()
    call_command("remove_abandoned_carts", stdout=out)
    for limit in ("0", "10001"):
        with pytest.raises(CommandError):
            call_command("remove_abandoned_carts", "--limit", limit)


def test_redis_away_removes_all_the_same(trade: Trade, settings: Any, storage: str) -> None:
    trade.buyer_with_cart()
    age()
    settings.REDIS_CARTS_URL = "unix:///nowhere/carts.sock?db=0"
    assert sweep() == (1, 0)
    assert sweep() == (0, 1)
    assert connection.in_atomic_block is False

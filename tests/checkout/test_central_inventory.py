"""Central inventory failing, case by case, as a customer meets it: over HTTP, with faults made in the database (I9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.db import connection
from prometheus_client import REGISTRY
from pytest_django import Settings

from inventory.holds import Line, place_hold
from inventory.models import Hold, HoldItem, Pool, PoolRoute
from inventory.verify import verify_stock
from tenants.audit import Actor
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade


def fallbacks() -> float:
    return REGISTRY.get_sample_value("inventory_central_fallback_total", {"shop_id": "band"}) or 0


def route(trade: Trade, **fields: Any) -> PoolRoute:
    """The shop's variant, led to a pool that has twenty of it."""
    row = StockRowFactory(owner=PoolFactory(), sku="POOLED", on_hand=20)
    made: PoolRoute = PoolRouteFactory(
        shop=trade.shop, sku=trade.variant.sku, variant_key=trade.variant.variant_key, stock_row=row, **fields
    )
    return made


def cap_reached(trade: Trade) -> None:
    taken = route(trade, allocation_cap=1)
    line = Line(taken.sku, taken.variant_key, 1)
    place_hold(shop_id="band", key="other", lines=[line], ttl_seconds=3600, acting=Actor("api", "worker"))


def pool_disabled(trade: Trade) -> None:
    route(trade)
    Pool.objects.update(enabled=False)


def route_missing(trade: Trade) -> None:
    """Connected to a pool, but not with this variant."""
    PoolRouteFactory(shop=trade.shop)


@contextmanager
def broken(name: str, body: str) -> Iterator[None]:
    """A database in which a function of ours fails, until the end of the block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [name])
        (before,) = cursor.fetchone()
        cursor.execute(before.replace("LANGUAGE sql", "LANGUAGE plpgsql").partition("AS $")[0] + f"AS $f$ {body} $f$")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(before)


RAISES = "BEGIN RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'; END"
FAILS = "BEGIN RETURN QUERY SELECT * FROM nowhere; END"
QUERY_ERROR = lambda: broken("inventory_stock_source", FAILS)  # noqa: E731
QUERY_TIMEOUT = lambda: broken("inventory_stock_source", RAISES)  # noqa: E731

# What goes wrong: the rows for it, the fault for it, and whether a shop that needn't have a route is failed by it.
FAILURES: dict[str, tuple[Callable[[Trade], Any], Callable[[], Any], bool]] = {
    "pool missing": (lambda trade: None, nullcontext, False),
    "route missing": (route_missing, nullcontext, False),
    "pool disabled": (pool_disabled, nullcontext, True),
    "cap reached": (cap_reached, nullcontext, True),
    "query error": (route, QUERY_ERROR, True),
    "query timeout": (route, QUERY_TIMEOUT, True),
}


@pytest.mark.parametrize("enforced", [True, False], ids=["enforced", "unenforced"])
@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("failure", FAILURES)
def test_who_fails_closed_and_who_falls_back(
    trade: Trade, standin: StandIn, settings: Settings, failure: str, required: bool, environment: str,
    enforced: bool,
) -> None:  # fmt: skip
    prepare, fault, fails_optional = FAILURES[failure]
    settings.ENVIRONMENT, settings.ENFORCE_CENTRAL_INVENTORY = environment, enforced
    trade.shop.settings.requires_central_inventory = required
    trade.shop.settings.save()
    buyer = trade.buyer_with_cart(2)
    prepare(trade)
    before = fallbacks()
    with fault():
        answer = buyer.checkout()
    checkouts = Hold.objects.filter(held_for="checkout")
    if required and enforced and environment == "production":
        assert (answer.status_code, answer.json()["code"]) == (503, "inventory_unavailable")
        assert not checkouts.exists()
        assert (trade.facts()["held"], trade.facts()["orders"], fallbacks() - before) == (0, [], 0)
    else:
        assert answer.status_code == 201, answer.content
        assert HoldItem.objects.get(hold=checkouts.get()).stock_row_id == trade.stock.pk
        assert trade.facts()["held"] == 2
        assert fallbacks() - before == (required or fails_optional)
    assert verify_stock().clean


@pytest.mark.parametrize("required", [True, False])
def test_a_pool_that_works_is_sold_from_and_nothing_falls_back(
    trade: Trade, standin: StandIn, settings: Settings, required: bool
) -> None:
    settings.ENVIRONMENT, settings.ENFORCE_CENTRAL_INVENTORY = "production", True
    trade.shop.settings.requires_central_inventory = required
    trade.shop.settings.save()
    led, before = route(trade, allocation_cap=15), fallbacks()
    buyer = trade.buyer_with_cart(15)
    started = buyer.checkout().json()
    led.refresh_from_db()
    assert (led.held, led.sold, trade.facts()["held"]) == (15, 0, 0)
    standin.pay(started["sessionId"])
    assert buyer.status(started["sessionId"])["status"] in {"processing", "confirmed"}
    buyer.checkout()
    led.refresh_from_db()
    led.stock_row.refresh_from_db()
    assert (led.held, led.sold, led.stock_row.on_hand) == (0, 15, 5)
    assert trade.facts() | {"attempts": None} == {
        "on_hand": 10, "held": 0, "orders": ["confirmed"], "holds": ["committed"], "attempts": None,
        "sales": 0, "captured": 37500,
    }  # fmt: skip
    assert fallbacks() == before


def test_a_pool_that_is_sold_out_is_a_shortage_and_no_failure(
    trade: Trade, standin: StandIn, settings: Settings
) -> None:
    """Own stock is no second chance for what the pool has sold."""
    route(trade)
    before = fallbacks()
    answer = trade.buyer_with_cart(21).checkout()
    assert (answer.status_code, answer.json()["items"][0]["available"], fallbacks()) == (409, 20, before)


def test_the_cart_never_waits_for_a_pool(trade: Trade, settings: Settings) -> None:
    """Previews of a shop that fails closed say out, and the cart still works (C5)."""
    settings.ENVIRONMENT, settings.ENFORCE_CENTRAL_INVENTORY = "production", True
    trade.shop.settings.requires_central_inventory = True
    trade.shop.settings.save()
    route(trade)
    buyer = trade.buyer()
    with QUERY_ERROR():
        line = buyer.add(trade.variant, 1).json()["lines"][0]
        seen = buyer.call("GET", "/api/inventory/availability", {"sku": trade.variant.sku}).json()["items"]
    assert (line["available"], line["purchasable"]) == (0, True)
    assert [(item["available"], item["state"]) for item in seen] == [(0, "out")]


@pytest.mark.parametrize("failure", ["pool disabled", "cap reached", "route missing"])
def test_paid_without_a_hold_while_the_pool_fails_goes_to_review(
    trade: Trade, standin: StandIn, settings: Settings, failure: str
) -> None:
    """A shop that fails closed takes no stock of its own for a payment either; the money is told to staff (W6)."""
    settings.ENVIRONMENT, settings.ENFORCE_CENTRAL_INVENTORY = "production", True
    trade.shop.settings.requires_central_inventory = True
    trade.shop.settings.inventory_mode = "validate_only"
    trade.shop.settings.save()
    led = route(trade)
    buyer = trade.buyer_with_cart(2)
    started = buyer.checkout()
    assert started.status_code == 201, started.content
    if failure == "pool disabled":
        Pool.objects.update(enabled=False)
    else:
        change = {"allocation_cap": 1} if failure == "cap reached" else {"enabled": False}
        PoolRoute.objects.filter(pk=led.pk).update(**change)
    standin.pay(started.json()["sessionId"])
    buyer.checkout()
    assert (trade.facts()["orders"], trade.facts()["on_hand"]) == (["review"], 10)
    led.stock_row.refresh_from_db()
    assert led.stock_row.on_hand == 20
    assert verify_stock().clean

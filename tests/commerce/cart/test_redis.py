"""Lines in Redis: what a crash, a loss, an outage or another setting makes of a cart (C4)."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings as live
from django.db import transaction

from commerce.cart import carts
from commerce.cart.errors import CartsUnavailable
from commerce.cart.lines import BoughtLine
from commerce.cart.redis_lines import put_lines
from commerce.models import Cart, CartLine
from tests.commerce.cart.requests import BAND, send, stored_line
from tests.commerce.conftest import visitor
from tests.factories.commerce import VariantFactory, new_line

NOWHERE = "unix:///nowhere/carts.sock?db=0"


@pytest.fixture(autouse=True)
def in_redis(settings):
    settings.CART_STORAGE = "redis"


@pytest.fixture
def server():
    with redis.Redis.from_url(live.REDIS_CARTS_URL) as client:
        yield client


def keys(server):
    return sorted(server.scan_iter(match=f"{live.REDIS_KEY_PREFIX}:cart:*", count=1000))


def test_a_key_names_shop_and_cart_and_outlives_it(shop, band, server):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    row = Cart.objects.get()
    key = f"{live.REDIS_KEY_PREFIX}:cart:{shop.pk}:{cart.cart_id.hex}:{row.lines_version.hex}".encode()
    assert keys(server) == [key]
    server.expire(key, 100)
    carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    assert server.ttl(key) > live.CART_ABANDONED_DAYS * 86400
    assert not CartLine.objects.exists()
    carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(band))
    assert len(keys(server)) == 1
    carts.empty_cart(shop_id=shop.pk, cart_id=cart.cart_id)
    assert keys(server) == []


def test_a_crash_between_the_two_writes_leaves_the_older_cart_whole(shop, band, server):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    # What a writer leaves that died before it moved the row.
    put_lines(shop_id=shop.pk, cart_id=cart.cart_id, version=cart.lines[0].line_id, lines=())
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


@pytest.mark.parametrize("how", ["gone", "nonsense", "another shop's", "another cart's"])
def test_lost_lines_are_an_empty_cart_of_a_new_generation_and_told_once(shop, band, server, how):
    client = visitor(shop)
    send(client, "post", BAND)
    [key] = keys(server)
    data = server.get(key)
    other = {
        "nonsense": b"{",
        "another shop's": data.replace(f'"shop":"{shop.pk}"'.encode(), b'"shop":"other"'),
        "another cart's": data.replace(str(Cart.objects.get().pk).encode(), str(stored_line(shop).line_id).encode()),
    }
    server.delete(key) if how == "gone" else server.set(key, other[how])
    cart = Cart.objects.get()
    # A page's badge and a checkout look too, and take nothing from what the customer is told.
    assert carts.units_in_cart(shop_id=shop.pk, cart_id=cart.pk) == 0
    answer = client.get("/api/cart").json()
    assert (answer["lines"], [notice["code"] for notice in answer["notices"]]) == ([], ["lines_lost"])
    cart.refresh_from_db()
    assert (cart.generation, cart.lines_version) == (2, None)
    again = client.get("/api/cart").json()
    assert (again["lines"], again["notices"]) == ([], [])
    assert send(client, "post", BAND).json()["subtotalAmount"] == 2500


def test_adding_to_a_lost_cart_keeps_what_is_added_and_tells(shop, band, server):
    client = visitor(shop)
    line_id = send(client, "post", BAND).json()["lines"][0]["lineId"]
    server.delete(*keys(server))
    assert send(client, "patch", {"lineId": line_id, "quantity": 3}).status_code == 404
    answer = send(client, "post", BAND).json()
    assert ([line["quantity"] for line in answer["lines"]], [n["code"] for n in answer["notices"]]) == (
        [2],
        ["lines_lost"],
    )
    assert client.get("/api/cart").json()["notices"] == []


def test_redis_away_is_503_and_nothing_half_written(shop, band, settings):
    client = visitor(shop)
    line_id = send(client, "post", BAND).json()["lines"][0]["lineId"]
    before = Cart.objects.values().get()
    there, settings.REDIS_CARTS_URL = settings.REDIS_CARTS_URL, NOWHERE
    for method, body in (
        ("get", None),
        ("post", BAND),
        ("patch", {"lineId": line_id, "quantity": 1}),
        ("put", {"lines": [BAND]}),
        ("delete", {"lineId": line_id}),
        ("delete", {}),
    ):
        answer = client.get("/api/cart") if method == "get" else send(client, method, body)
        told = answer.json()
        assert (answer.status_code, told["code"], told["retryAfterMs"]) == (503, "inventory_unavailable", 2000)
        assert (answer["Retry-After"], answer["Content-Type"]) == ("2", "application/problem+json")
    assert send(visitor(shop), "post", BAND).status_code == 503
    assert visitor(shop).get("/api/cart").status_code == 200
    assert client.post("/api/checkout-session", "{}", content_type="application/json").status_code == 503
    page = client.get("/en/")
    assert page.status_code == 200
    assert Cart.objects.values().get() == before
    settings.REDIS_CARTS_URL = there
    assert [line["quantity"] for line in client.get("/api/cart").json()["lines"]] == [2]


def test_the_setting_may_be_turned_in_either_direction(shop, band, settings, server):
    settings.CART_STORAGE = "postgres"
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    settings.CART_STORAGE = "redis"
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart
    moved = carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(band))
    assert (CartLine.objects.count(), len(keys(server)), moved.lines[0].quantity) == (0, 1, 2)
    settings.CART_STORAGE = "postgres"
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == moved
    back = carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(band))
    assert (CartLine.objects.get().quantity, keys(server), back.generation) == (3, [], 3)
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == back


def test_a_cart_left_in_redis_is_out_of_reach_and_never_empty_while_redis_is_away(shop, band, settings):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    settings.CART_STORAGE, settings.REDIS_CARTS_URL = "postgres", NOWHERE
    with pytest.raises(CartsUnavailable):
        carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(band))
    assert carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band)).generation == 1


def test_settlement_needs_no_redis(shop, band, settings):
    """What is bought leaves in the transaction that sells it, what failed comes back, all without Redis."""
    other = VariantFactory(product__shop=shop)
    cart = carts.replace_lines(shop_id=shop.pk, cart_id=None, lines=[new_line(band, quantity=3)])
    changed = carts.add_line(shop_id=shop.pk, cart_id=cart.cart_id, line=new_line(other))
    bought = [BoughtLine(band.variant_key, 2, {}, None, None)]
    there, settings.REDIS_CARTS_URL = settings.REDIS_CARTS_URL, NOWHERE
    with transaction.atomic():
        assert not carts.empty_bought_within(
            shop_id=shop.pk, cart_id=cart.cart_id, generation=cart.generation, bought=bought
        )
        assert carts.restore_lines_within(
            shop_id=shop.pk, cart_id=cart.cart_id, bought=[BoughtLine(other.variant_key, 4, {}, None, None)]
        )
        returned = [BoughtLine(band.variant_key, 1, {"engraving": "Mia"}, None, None)]
        assert carts.restore_lines_within(shop_id=shop.pk, cart_id=cart.cart_id, bought=returned)
    settings.REDIS_CARTS_URL = there
    after = carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id)
    assert [(line.variant_key, line.quantity, line.options) for line in after.lines] == [
        (band.variant_key, 1, {}),
        (other.variant_key, 5, {}),
        (band.variant_key, 1, {"engraving": "Mia"}),
    ]
    assert after.generation == changed.generation + 3
    # The same lines, ids included, at every look, until a change writes them anew.
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == after
    line_id = after.lines[2].line_id
    folded = carts.set_quantity(shop_id=shop.pk, cart_id=cart.cart_id, line_id=line_id, quantity=2)
    assert [line.quantity for line in folded.lines] == [1, 5, 2]
    assert Cart.objects.get().amendments == []


def test_a_change_inside_a_transaction_is_refused(shop, band):
    with pytest.raises(RuntimeError), transaction.atomic():
        carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    assert not Cart.objects.exists()

"""Carts in the older, hydrated format, from Redis and posted once: identifiers and quantities come over, no price."""

from __future__ import annotations

import json

import pytest
import redis
from django.conf import settings as live

from commerce.cart.cookie import COOKIE_NAME
from commerce.models import Cart
from tests.commerce.cart.requests import BAND, send, stored_line, stored_lines
from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, VariantFactory
from tests.fixtures.trade import in_threads

pytestmark = pytest.mark.usefixtures("storage")

OLDER_ID = "9f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0"
LINE = {
    "id": "line-1",
    "sku": "BAND",
    "variantKey": "size:M",
    "quantity": 2,
    "title": "Headband, as it was called",
    "image": "https://cdn.example/band.jpg",
    "price": 9.99,
    "lineTotal": 19.98,
    "currency": "EUR",
    "options": {"engraving": "Mia"},
}


@pytest.fixture(autouse=True)
def older_cookie(settings):
    settings.CART_OLDER_COOKIE = "cart_id"


@pytest.fixture
def server():
    with redis.Redis.from_url(live.REDIS_CARTS_URL) as client:
        yield client


def key(shop):
    return f"{live.CART_OLDER_KEY_PREFIX}:{shop.pk}:{OLDER_ID}"


def keep(server, shop, document):
    server.set(key(shop), document if isinstance(document, bytes) else json.dumps(document))


def older_customer(shop, value=OLDER_ID):
    client = visitor(shop)
    client.cookies["cart_id"] = value
    return client


def test_the_older_cart_is_read_once_and_written_anew(shop, band, server):
    keep(server, shop, {"items": [LINE], "currency": "EUR", "total": 19.98, "updatedAt": "2025-01-01T00:00:00Z"})
    client = older_customer(shop)
    answer = client.get("/api/cart")
    [line] = answer.json()["lines"]
    assert (line["sku"], line["variantKey"], line["quantity"], line["options"]) == (
        "BAND", "BAND#size:M", 2, {"engraving": "Mia"},
    )  # fmt: skip
    # The catalog's price and texts; the older price tells that it changed, once.
    assert (line["unitAmount"], line["previousUnitAmount"], line["title"]) == (1250, 999, "Headband")
    assert answer.json()["notices"] == []
    assert answer.cookies[COOKIE_NAME].value
    assert answer.cookies["cart_id"]["max-age"] == 0
    assert not server.exists(key(shop))
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["unitAmount"], line["previousUnitAmount"]) == (1250, None)
    assert Cart.objects.count() == 1


def test_unknown_lines_are_dropped_and_said_so_equal_ones_summed(shop, band, server, capsys):
    other_shops = VariantFactory(product=ProductFactory(sku="THEIRS"))
    resting = VariantFactory(product=ProductFactory(shop=shop, sku="REST"), active=False)
    items = [
        LINE,
        {"sku": "GONE", "quantity": 3, "price": "1.00"},
        {**LINE, "quantity": 4, "variantKey": "BAND#size:M"},
        {"sku": other_shops.sku, "quantity": 1},
        {"sku": resting.sku, "quantity": 1},
        {"sku": "BAND", "quantity": 1, "variantKey": "no key at all"},
        {"sku": "BAND", "quantity": 1, "variantKey": "size:M", "variantAttributes": {"size": "L"}},
        {"sku": "BAND", "quantity": 5, "variantKey": "size:M", "rental": {"start": "2027-01-01", "end": "2027-01-02"}},
    ]
    keep(server, shop, {"items": items})
    answer = older_customer(shop).get("/api/cart").json()
    assert [(line["sku"], line["quantity"], line["purchasable"]) for line in answer["lines"]] == [
        ("BAND", 6, True),
        ("REST", 1, False),
    ]
    dropped = [("GONE", 3), ("THEIRS", 1), ("BAND", 1), ("BAND", 1), ("BAND", 5)]
    assert [(n["code"], n["sku"], n["quantity"]) for n in answer["notices"]] == [("line_dropped", *d) for d in dropped]


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_whatever_comes_first_takes_the_older_cart_over(shop, band, server, method):
    keep(server, shop, {"items": [LINE]})
    client = older_customer(shop)
    body = {"post": BAND, "patch": {"lineId": OLDER_ID, "quantity": 1}, "delete": {}}[method]
    answer = send(client, method, body)
    assert answer.status_code == {"post": 200, "patch": 404, "delete": 200}[method]
    quantities = [line.quantity for line in stored_lines(shop)]
    assert quantities == {"post": [2, 2], "patch": [2], "delete": []}[method]
    assert not server.exists(key(shop))


def test_taken_over_again_it_is_the_same_cart(shop, band, server):
    """A crash after the lines were kept and before the older document was deleted."""
    keep(server, shop, {"items": [LINE]})
    first = older_customer(shop).get("/api/cart").json()
    keep(server, shop, {"items": [LINE]})
    again = older_customer(shop).get("/api/cart").json()
    assert (again["cartId"], [line["quantity"] for line in again["lines"]]) == (first["cartId"], [2])
    assert not server.exists(key(shop))


@pytest.mark.django_db(transaction=True)
def test_two_tabs_take_over_one_cart(shop, band, server):
    keep(server, shop, {"items": [LINE]})
    answers = in_threads([lambda: older_customer(shop).get("/api/cart").status_code] * 4)
    assert answers == [200] * 4
    assert (Cart.objects.count(), stored_line(shop).quantity) == (1, 2)


RUBBISH = {
    "nothing": b"{}",
    "no JSON": b"{",
    "binary": b"\xff\xfe\x00",
    "NaN": b'{"items":[{"sku":"BAND","quantity":NaN}]}',
    "a list": b"[]",
    "items not a list": {"items": {"0": LINE}},
    "a line not an object": {"items": ["BAND"]},
    "quantity negative": {"items": [{**LINE, "quantity": -1}]},
    "quantity nought": {"items": [{**LINE, "quantity": 0}]},
    "quantity a text": {"items": [{**LINE, "quantity": "2"}]},
    "quantity a fraction": {"items": [{**LINE, "quantity": 1.5}]},
    "quantity a flag": {"items": [{**LINE, "quantity": True}]},
    "quantity vast": {"items": [{**LINE, "quantity": 10**30}]},
    "sum over the bound": {"items": [{**LINE, "quantity": 999}, LINE]},
    "sku missing": {"items": [{"quantity": 1}]},
    "sku long": {"items": [{**LINE, "sku": "x" * 65}]},
    "sku a number": {"items": [{**LINE, "sku": 1}]},
    "nested title": {"items": [{**LINE, "title": {"en": {"short": "Band"}}}]},
    "nested options": {"items": [{**LINE, "options": {"a": {"b": "c"}}}]},
    "unknown member": {"items": [{**LINE, "shopId": "other"}]},
    "too many lines": {"items": [LINE] * 101},
    "huge": {"items": [{**LINE, "title": "x" * 2000}] * 99},
    "deep": b'{"items":' + b"[" * 20_000,
}


def test_rubbish_makes_no_cart_and_stays_for_people_to_look_at(shop, band, server):
    for what, document in RUBBISH.items():
        keep(server, shop, document)
        client = older_customer(shop)
        answer = client.get("/api/cart")
        shown = answer.json()
        assert (answer.status_code, shown["cartId"], shown["lines"]) == (200, None, []), what
        assert [notice["code"] for notice in shown["notices"]] == ["older_cart_unreadable"], what
        assert server.exists(key(shop)), what
        assert not Cart.objects.exists(), what


def test_beside_rubbish_a_cart_begins_anew(shop, band, server):
    keep(server, shop, RUBBISH["no JSON"])
    client = older_customer(shop)
    assert [notice["code"] for notice in client.get("/api/cart").json()["notices"]] == ["older_cart_unreadable"]
    assert send(client, "post", BAND).json()["subtotalAmount"] == 2500
    assert client.get("/api/cart").json()["notices"] == []
    assert server.exists(key(shop))


# The size of a body and of its numbers is judged before anybody reads a cart in it.
BEFORE = {"huge", "quantity vast"}
JUDGED_HERE = [what for what, value in RUBBISH.items() if isinstance(value, dict) and what not in BEFORE]


def test_rubbish_that_is_put_is_refused_by_field(shop, band):
    client = visitor(shop)
    before = send(client, "post", BAND).json()
    for what in JUDGED_HERE:
        answer = send(client, "put", RUBBISH[what])
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), what
        assert answer.json()["fields"], what
        assert client.get("/api/cart").json() == before, what


def test_a_storefront_puts_the_cart_it_kept_itself(shop, band):
    client = visitor(shop)
    document = {"version": 1, "items": [LINE, {"sku": "GONE", "quantity": 1}], "subtotal": 1}
    for _ in range(2):
        answer = send(client, "put", document)
        assert (answer.status_code, answer.json()["subtotalAmount"]) == (200, 2500)
        assert [(n["code"], n["sku"]) for n in answer.json()["notices"]] == [("line_dropped", "GONE")]
    assert stored_line(shop).quantity == 2
    assert send(client, "put", {**document, "lines": []}).status_code == 400


@pytest.mark.parametrize(
    ("prices", "previous"),
    [
        ({"unitAmount": 999}, 999), ({"unitAmount": 1250}, None), ({"unitAmount": 12.5}, None),
        ({"unitAmount": -1}, None), ({"price": "9.99"}, 999), ({"price": 9.99}, 999), ({"price": 9}, 900),
        ({"price": 9.999}, None), ({"price": "a lot"}, None), ({"price": -1}, None), ({"price": 1e300}, None),
        ({"price": True}, None), ({"price": 9.99, "currency": "USD"}, None),
        ({"price": 9.99, "currency": "???"}, None),
    ],
)  # fmt: skip
def test_a_price_only_ever_tells_that_it_changed(shop, band, prices, previous):
    line = {name: value for name, value in LINE.items() if name not in {"price", "currency"}}
    answer = send(visitor(shop), "put", {"items": [{**line, **prices}]})
    assert answer.status_code == 200, answer.json()
    [shown] = answer.json()["lines"]
    assert (shown["unitAmount"], shown["previousUnitAmount"]) == (1250, previous)


@pytest.mark.parametrize(
    "value", ["", "1", "x" * 65, "a b c d e f g h i j k l", "*" * 30, f"../{OLDER_ID}", OLDER_ID[:-1]]
)
def test_an_id_that_is_none_opens_nothing(shop, band, server, value):
    keep(server, shop, {"items": [LINE]})
    assert older_customer(shop, value).get("/api/cart").json()["lines"] == []
    assert server.exists(key(shop))


def test_another_shop_never_reads_it_and_a_newer_cart_comes_first(shop, band, server, open_shop, settings):
    keep(server, shop, {"items": [LINE]})
    assert older_customer(open_shop()).get("/api/cart").json()["lines"] == []
    client = visitor(shop)
    send(client, "post", BAND)
    client.cookies["cart_id"] = OLDER_ID
    assert [line["options"] for line in client.get("/api/cart").json()["lines"]] == [{}]
    settings.CART_OLDER_COOKIE = ""
    assert older_customer(shop).get("/api/cart").json()["lines"] == []
    assert server.exists(key(shop))


def test_redis_away_is_503_rather_than_a_new_cart(shop, band, settings):
    settings.REDIS_CARTS_URL = "unix:///nowhere/carts.sock?db=0"
    client = older_customer(shop)
    assert client.get("/api/cart").status_code == 503
    assert send(client, "post", BAND).status_code == 503
    assert not Cart.objects.exists()

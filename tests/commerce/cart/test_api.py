"""`/api/cart` over HTTP, the same wherever its lines are kept."""

from __future__ import annotations

import pytest

from commerce.cart.cookie import COOKIE_NAME
from commerce.models import Cart
from tests.commerce.cart.requests import BAND, send, stored_line, stored_lines
from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, VariantFactory

pytestmark = pytest.mark.usefixtures("storage")


def test_looking_makes_no_cart(shop):
    client = visitor(shop)
    answer = client.get("/api/cart")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "cartId": None, "currency": "EUR", "lines": [], "subtotalAmount": 0, "depositAmount": 0, "notices": [],
            "shippingOptions": [],
        },
    )  # fmt: skip
    assert COOKIE_NAME not in answer.cookies
    assert answer["Cache-Control"] == "no-store"
    assert not Cart.objects.exists()


def test_adding_answers_the_hydrated_cart_and_sets_the_cookie(shop, band):
    client = visitor(shop)
    answer = send(client, "post", {**BAND, "options": {"engraving": "Mia"}})
    cart, line = Cart.objects.get(), stored_line(shop)
    expected = {
        "cartId": str(cart.pk),
        "currency": "EUR",
        "lines": [
            {
                "lineId": str(line.line_id),
                "sku": "BAND",
                "variantKey": "BAND#size:M",
                "slug": "band",
                "attributes": {"size": "M"},
                "title": "Headband",
                "image": "/static/storefront/products/band.svg",
                "quantity": 2,
                "unitAmount": 1250,
                "previousUnitAmount": None,
                "depositAmount": 0,
                "lineAmount": 2500,
                "options": {"engraving": "Mia"},
                "rental": None,
                "available": 7,
                "purchasable": True,
            }
        ],
        "subtotalAmount": 2500,
        "depositAmount": 0,
        "notices": [],
        "shippingOptions": [],
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    morsel = answer.cookies[COOKIE_NAME]
    assert (morsel["httponly"], morsel["samesite"], morsel["domain"], morsel["path"]) == (True, "Lax", "", "/")
    assert (morsel["max-age"], morsel["secure"]) == (90 * 86400, "")
    assert client.get("/api/cart").json() == expected
    assert client.get("/api/cart?locale=de-AT").json()["lines"][0]["title"] == "Stirnband"
    assert send(client, "post", BAND).json()["subtotalAmount"] == 5000
    assert Cart.objects.count() == 1


def test_a_cart_from_first_line_to_none(shop, band, stock):
    other = VariantFactory(product=ProductFactory(shop=shop, sku="CLIP"), price_amount=300)
    stock(other, on_hand=0)
    client = visitor(shop)
    lines = [BAND, {"sku": "CLIP", "quantity": 1}, BAND]
    cart = send(client, "put", {"lines": lines}).json()
    assert [(line["sku"], line["quantity"], line["available"]) for line in cart["lines"]] == [
        ("BAND", 4, 7),
        ("CLIP", 1, 0),
    ]
    assert cart["subtotalAmount"] == 4 * 1250 + 300
    first, second = (line["lineId"] for line in cart["lines"])
    assert send(client, "patch", {"lineId": first, "quantity": 9}).json()["lines"][0]["quantity"] == 9
    assert [line["sku"] for line in send(client, "patch", {"lineId": first, "quantity": 0}).json()["lines"]] == ["CLIP"]
    assert send(client, "delete", {"lineId": second}).json()["lines"] == []
    send(client, "post", BAND)
    emptied = client.delete("/api/cart")
    assert (emptied.status_code, emptied.json()["lines"]) == (200, [])
    assert send(client, "put", {"lines": []}).json()["lines"] == []
    assert client.delete("/api/cart").status_code == 200
    assert visitor(shop).delete("/api/cart").json()["cartId"] is None
    assert stored_lines(shop) == []


def test_prices_are_fresh_and_a_change_is_told_once(shop, band):
    client = visitor(shop)
    send(client, "post", BAND)
    band.price_amount = 1500
    band.save()
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["unitAmount"], line["previousUnitAmount"], line["lineAmount"]) == (1500, 1250, 3000)
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["unitAmount"], line["previousUnitAmount"]) == (1500, None)
    stored = stored_line(shop)
    assert (stored.shown_amount, stored.shown_currency, Cart.objects.get().generation) == (1500, "EUR", 1)


@pytest.mark.parametrize("change", ["inactive", "gone", "product", "currency"])
def test_what_is_no_longer_sold_stays_and_counts_for_nothing(shop, band, change):
    client = visitor(shop)
    send(client, "post", BAND)
    if change == "inactive":
        band.active = False
        band.save()
    elif change == "product":
        band.product.active = False
        band.product.save()
    elif change == "currency":
        band.currency = "USD"
        band.save()
    else:
        band.product.delete()
    cart = client.get("/api/cart").json()
    [line] = cart["lines"]
    assert (line["purchasable"], line["unitAmount"], line["lineAmount"], line["quantity"]) == (False, None, None, 2)
    assert line["title"] == ("BAND" if change == "gone" else "Headband")
    assert (cart["subtotalAmount"], cart["depositAmount"]) == (0, 0)
    assert stored_line(shop).shown_amount == 1250
    assert send(client, "patch", {"lineId": line["lineId"], "quantity": 1}).status_code == 200
    refused = send(client, "post", BAND)
    code = "unknown_sku" if change == "gone" else "not_purchasable"
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_a_line_never_exceeds_its_bound_by_adding(shop, band):
    client = visitor(shop)
    send(client, "post", {**BAND, "quantity": 999})
    answer = send(client, "post", {**BAND, "quantity": 1})
    assert (answer.status_code, answer.json()["fields"]) == (400, {"quantity": ["The line would hold 1000 units."]})
    assert stored_line(shop).quantity == 999


def test_another_shops_sku_is_unknown(shop, band, open_shop):
    foreign = VariantFactory(product=ProductFactory(shop=open_shop(), sku="FOREIGN"))
    client = visitor(shop)
    for method, body in (
        ("post", {"sku": foreign.sku, "quantity": 1}),
        ("put", {"lines": [BAND, {"sku": foreign.sku, "quantity": 1}]}),
    ):
        answer = send(client, method, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_sku")
        assert answer.json()["items"] == [{"sku": "FOREIGN", "variantKey": "FOREIGN"}]
    assert send(client, "post", {"sku": "BAND", "quantity": 1}).json()["code"] == "unknown_sku"
    assert not Cart.objects.exists()


def test_another_shops_cart_and_lines_are_out_of_reach(shop, band, open_shop):
    theirs = send(visitor(shop), "post", BAND)
    other = open_shop()
    client = visitor(other)
    client.cookies[COOKIE_NAME] = theirs.cookies[COOKIE_NAME].value
    assert client.get("/api/cart").json()["lines"] == []
    line_id = theirs.json()["lines"][0]["lineId"]
    assert send(client, "patch", {"lineId": line_id, "quantity": 5}).status_code == 404
    assert send(client, "delete", {"lineId": line_id}).status_code == 404
    VariantFactory(product=ProductFactory(shop=other, sku="OWN"))
    own = send(client, "post", {"sku": "OWN", "quantity": 1})
    assert own.json()["cartId"] != theirs.json()["cartId"]
    assert send(client, "patch", {"lineId": line_id, "quantity": 5}).status_code == 404
    assert stored_line(shop).quantity == 2


def test_other_sites_and_other_hosts(shop, band, open_shop):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert send(visitor(shop, **headers), "post", BAND).status_code == 403
    assert send(visitor(shop, **{"Sec-Fetch-Site": "same-origin"}), "post", BAND).status_code == 200
    assert visitor(shop).head("/api/cart").status_code in {200, 405}
    assert send(visitor(shop), "post", BAND, headers={"X-Shop-Id": open_shop().pk}).status_code == 200


@pytest.mark.parametrize("count", [1, 3])
def test_queries(shop, stock, count, settings, storage, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    variants = [VariantFactory(product__shop=shop) for _ in range(count)]
    stock(*variants)
    client = visitor(shop)
    lines = [{"sku": variant.sku, "quantity": 1} for variant in variants]
    send(client, "put", {"lines": lines})
    client.get("/api/cart")
    with django_assert_num_queries(4):  # cart with lines, catalog, stock, shipping
        client.get("/api/cart")
    # catalog; in rows: savepoint, lock, lines, update, generation, release; in Redis: cart, savepoint, generation,
    # release; catalog, stock, shipping
    with django_assert_num_queries(10 if storage == "postgres" else 8):
        send(client, "post", lines[0])

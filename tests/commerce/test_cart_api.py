"""`/api/cart` over HTTP: hydration, bad input, the cookie and its attackers."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
import time_machine
from django.core.signing import TimestampSigner
from django.http import HttpResponse
from django.test import RequestFactory

from commerce.cart import carts
from commerce.cart.cookie import COOKIE_NAME, read_cart_id, write_cart_cookie
from commerce.models import Cart, CartLine
from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory, new_line


@pytest.fixture
def shop(open_shop):
    return open_shop()


@pytest.fixture
def band(shop, stock):
    product = ProductFactory(shop=shop, sku="BAND", image="storefront/products/band.svg")
    ProductTextFactory(product=product, locale="en", title="Headband")
    ProductTextFactory(product=product, locale="de", title="Stirnband")
    variant = VariantFactory(product=product, attributes={"size": "M"}, deposit_amount=500)
    stock(variant, on_hand=7)
    return variant


def send(client, method, body, **more):
    return getattr(client, method)("/api/cart", json.dumps(body), content_type="application/json", **more)


BAND = {"sku": "BAND", "quantity": 2, "variantAttributes": {"size": "M"}}


def test_looking_makes_no_cart(shop):
    client = visitor(shop)
    answer = client.get("/api/cart")
    assert (answer.status_code, answer.json()) == (
        200,
        {"cartId": None, "currency": "EUR", "lines": [], "subtotalAmount": 0, "depositAmount": 0},
    )
    assert COOKIE_NAME not in answer.cookies
    assert answer["Cache-Control"] == "no-store"
    assert not Cart.objects.exists()


def test_adding_answers_the_hydrated_cart_and_sets_the_cookie(shop, band):
    client = visitor(shop)
    answer = send(client, "post", {**BAND, "options": {"engraving": "Mia"}})
    cart, line = Cart.objects.get(), CartLine.objects.get()
    expected = {
        "cartId": str(cart.pk),
        "currency": "EUR",
        "lines": [
            {
                "lineId": str(line.pk),
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
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    morsel = answer.cookies[COOKIE_NAME]
    assert (morsel["httponly"], morsel["samesite"], morsel["domain"], morsel["path"]) == (True, "Lax", "", "/")
    assert (morsel["max-age"], morsel["secure"]) == (90 * 86400, "")
    assert client.get("/api/cart").json() == expected
    assert client.get("/api/cart?locale=de-AT").json()["lines"][0]["title"] == "Stirnband"
    assert send(client, "post", BAND).json()["subtotalAmount"] == 5000
    assert Cart.objects.count() == 1


def test_the_cookie_is_secure_where_pages_are(shop, band, settings):
    settings.SESSION_COOKIE_SECURE = True
    assert send(visitor(shop), "post", BAND).cookies[COOKIE_NAME]["secure"] is True


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
    assert not CartLine.objects.exists()


def test_prices_are_fresh_and_a_change_is_told_once(shop, band):
    client = visitor(shop)
    send(client, "post", BAND)
    band.price_amount = 1500
    band.save()
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["unitAmount"], line["previousUnitAmount"], line["lineAmount"]) == (1500, 1250, 3000)
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["unitAmount"], line["previousUnitAmount"]) == (1500, None)
    stored = CartLine.objects.get()
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
    assert CartLine.objects.get().shown_amount == 1250
    assert send(client, "patch", {"lineId": line["lineId"], "quantity": 1}).status_code == 200
    refused = send(client, "post", BAND)
    code = "unknown_sku" if change == "gone" else "not_purchasable"
    assert (refused.status_code, refused.json()["code"]) == (400, code)


BAD_LINES = [
    ({}, "body"),
    ({"sku": "BAND"}, "body"),
    ({"sku": "BAND", "quantity": 0}, "quantity"),
    ({"sku": "BAND", "quantity": -1}, "quantity"),
    ({"sku": "BAND", "quantity": 1000}, "quantity"),
    ({"sku": "BAND", "quantity": 10**9}, "quantity"),
    ({"sku": "BAND", "quantity": 1.0}, "quantity"),
    ({"sku": "BAND", "quantity": 1.5}, "quantity"),
    ({"sku": "BAND", "quantity": True}, "quantity"),
    ({"sku": "BAND", "quantity": "1"}, "quantity"),
    ({"sku": "BAND", "quantity": None}, "quantity"),
    ({"sku": "BAND", "quantity": [1]}, "quantity"),
    ({"sku": "", "quantity": 1}, "sku"),
    ({"sku": "x" * 65, "quantity": 1}, "sku"),
    ({"sku": "x" * 100_000, "quantity": 1}, "sku"),
    ({"sku": 7, "quantity": 1}, "sku"),
    ({"sku": None, "quantity": 1}, "sku"),
    ({"sku": ["BAND"], "quantity": 1}, "sku"),
    ({**BAND, "price": 1}, "body"),
    ({**BAND, "unitAmount": 1}, "body"),
    ({**BAND, "shopId": "other"}, "body"),
    ({**BAND, "cartId": str(uuid4())}, "body"),
    ({**BAND, "variantAttributes": "size:M"}, "variantAttributes"),
    ({**BAND, "variantAttributes": None}, "variantAttributes"),
    ({**BAND, "variantAttributes": {"size": 1}}, "variantAttributes[...]"),
    ({**BAND, "variantAttributes": {"size": {"a": "b"}}}, "variantAttributes[...]"),
    ({**BAND, "variantAttributes": {"size": ""}}, "variantAttributes[...]"),
    ({**BAND, "variantAttributes": {"size": "x" * 81}}, "variantAttributes[...]"),
    ({**BAND, "variantAttributes": {str(n): "x" for n in range(9)}}, "variantAttributes"),
    ({**BAND, "variantAttributes": {str(n): "#" * 80 for n in range(8)}}, "variantAttributes"),
    ({**BAND, "options": ["a"]}, "options"),
    ({**BAND, "options": {"a": None}}, "options[...]"),
    ({**BAND, "rental": {"start": "2027-01-01", "end": "2027-01-02"}}, "rental"),
    ([BAND], "body"),
    ("BAND", "body"),
    (None, "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD_LINES)
def test_bad_lines_are_refused_by_field_and_change_nothing(shop, band, body, field):
    client = visitor(shop)
    answer = send(client, "post", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.json()
    assert field in answer.json()["fields"], answer.json()["fields"]
    assert COOKIE_NAME not in answer.cookies
    assert not Cart.objects.exists()
    if isinstance(body, dict) and body:
        replaced = send(client, "put", {"lines": [BAND, body]})
        assert (replaced.status_code, replaced.json()["code"]) == (400, "invalid_request")
        assert all(path.startswith("lines") for path in replaced.json()["fields"]), replaced.json()["fields"]
        assert not Cart.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"nonsense", b'{"sku":"BAND","quantity":NaN}', b'{"sku":"BAND","quantity":1,"quantity":2}',
        b'{"sku":"BAND","quantity":1e999}', b"\xff\xfe", b'{"sku":"BA\\u0000ND","quantity":1}',
    ],
)  # fmt: skip
def test_bodies_that_are_not_strict_json(shop, band, raw):
    answer = visitor(shop).post("/api/cart", raw, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert not Cart.objects.exists()


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("patch", {}), ("patch", {"lineId": "1", "quantity": 1}), ("patch", {"lineId": str(uuid4()), "quantity": -1}),
        ("patch", {"lineId": str(uuid4()), "quantity": 1000}), ("patch", {"lineId": str(uuid4()), "quantity": True}),
        ("patch", {"lineId": None, "quantity": 1}), ("patch", {"lineId": str(uuid4()), "quantity": 1, "x": 1}),
        ("put", {}), ("put", {"lines": {}}), ("put", {"lines": None}), ("put", {"lines": [BAND] * 101}),
        ("put", {"lines": [], "x": 1}), ("delete", {"lineId": "x"}), ("delete", {"x": 1}), ("delete", []),
    ],
)  # fmt: skip
def test_bad_changes(shop, band, method, body):
    client = visitor(shop)
    before = send(client, "post", BAND).json()
    answer = send(client, method, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.json()
    assert answer.json()["fields"]
    assert client.get("/api/cart").json() == before


def test_a_line_never_exceeds_its_bound_by_adding(shop, band):
    client = visitor(shop)
    send(client, "post", {**BAND, "quantity": 999})
    answer = send(client, "post", {**BAND, "quantity": 1})
    assert (answer.status_code, answer.json()["fields"]) == (400, {"quantity": ["The line would hold 1000 units."]})
    assert CartLine.objects.get().quantity == 999


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
    assert CartLine.objects.get(pk=line_id).quantity == 2


def cookies_of_an_attacker(shop_id, other_id, cart_id):
    def signed(salt, value):
        return TimestampSigner(salt=salt).sign(value)

    genuine = signed(f"holdfast.cart:{shop_id}", cart_id.hex)
    return {
        "empty": "",
        "plain id": cart_id.hex,
        "other shop's": signed(f"holdfast.cart:{other_id}", cart_id.hex),
        "other salt": signed("django.core.signing", cart_id.hex),
        "other key": TimestampSigner(key="guessed", salt=f"holdfast.cart:{shop_id}").sign(cart_id.hex),
        "id swapped": genuine.replace(cart_id.hex, uuid4().hex),
        "signature cut": genuine[:-1],
        "signature gone": genuine.rpartition(":")[0],
        "upper case": genuine.upper(),
        "twice": genuine + genuine,
        "not an id": signed(f"holdfast.cart:{shop_id}", "x' OR 1=1 --"),
        "huge": "A" * 100_000,
        "binary": "\x00\xff",
        "quoted": f'"{genuine}"x',
    }


@pytest.mark.parametrize("attack", list(cookies_of_an_attacker("a", "b", UUID(int=1))))
def test_tampered_and_foreign_cookies_get_a_new_cart(shop, band, attack):
    cart = carts.add_line(shop_id=shop.pk, cart_id=None, line=new_line(band))
    value = cookies_of_an_attacker(shop.pk, "other", cart.cart_id)[attack]
    request = RequestFactory().get("/")
    request.COOKIES[COOKIE_NAME] = value
    assert read_cart_id(request, shop.pk) is None
    client = visitor(shop)
    client.cookies[COOKIE_NAME] = value
    if attack not in {"binary", "huge"}:  # a client can't send these as a header
        assert client.get("/api/cart").json()["lines"] == []
        answer = send(client, "post", BAND)
        assert answer.status_code == 200
        assert answer.json()["cartId"] != str(cart.cart_id)
        assert COOKIE_NAME in answer.cookies
    assert carts.cart_snapshot(shop_id=shop.pk, cart_id=cart.cart_id) == cart


def test_a_cookie_lasts_ninety_days():
    cart_id = uuid4()
    with time_machine.travel("2027-01-01T00:00:00Z", tick=False) as clock:
        response = HttpResponse()
        write_cart_cookie(response, "shop", cart_id)
        request = RequestFactory().get("/")
        request.COOKIES[COOKIE_NAME] = response.cookies[COOKIE_NAME].value
        assert read_cart_id(request, "shop") == cart_id
        assert read_cart_id(request, "shop2") is None
        clock.shift(90 * 86400)
        assert read_cart_id(request, "shop") == cart_id
        clock.shift(1)
        assert read_cart_id(request, "shop") is None


def test_a_cookie_of_a_removed_cart_reads_empty_and_starts_anew(shop, band):
    client = visitor(shop)
    gone = send(client, "post", BAND).json()["cartId"]
    Cart.objects.all().delete()
    assert client.get("/api/cart").json()["cartId"] is None
    assert send(client, "patch", {"lineId": str(uuid4()), "quantity": 1}).status_code == 404
    assert client.delete("/api/cart").status_code == 404
    again = send(client, "post", BAND).json()
    assert again["cartId"] != gone
    assert client.get("/api/cart").json() == again


def test_other_sites_and_other_hosts(shop, band, open_shop):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert send(visitor(shop, **headers), "post", BAND).status_code == 403
    assert send(visitor(shop, **{"Sec-Fetch-Site": "same-origin"}), "post", BAND).status_code == 200
    assert visitor(shop).head("/api/cart").status_code in {200, 405}
    assert send(visitor(shop), "post", BAND, headers={"X-Shop-Id": open_shop().pk}).status_code == 200


# ---------------------------------------------------------------- rentals


@pytest.fixture
def rental(open_shop, stock):
    shop = open_shop(settings__kind="rental", settings__currency="USD")
    product = ProductFactory(shop=shop, sku="CAPE")
    stock(VariantFactory(product=product, currency="USD", price_amount=3500, deposit_amount=15000), on_hand=2)
    return shop


def test_a_rental_line_costs_its_days_and_shows_its_deposit(rental):
    period = {"start": "2027-03-01", "end": "2027-03-03"}
    cart = send(visitor(rental), "post", {"sku": "CAPE", "quantity": 2, "rental": period}).json()
    [line] = cart["lines"]
    assert line["rental"] == {**period, "days": 3}
    assert (line["unitAmount"], line["depositAmount"], line["lineAmount"]) == (10500, 15000, 21000)
    assert (cart["currency"], cart["subtotalAmount"], cart["depositAmount"]) == ("USD", 21000, 30000)


@pytest.mark.parametrize(
    "rental_input",
    [
        None, {}, {"start": "2027-03-01"}, {"start": "2027-03-03", "end": "2027-03-01"}, {"start": "x", "end": "y"},
        {"start": "2027-01-01", "end": "2028-01-02"}, {"start": "2027-02-30", "end": "2027-03-01"},
        {"start": "2027-03-01T00:00:00Z", "end": "2027-03-02"}, {"start": 20270301, "end": 20270302},
        {"start": "2027-03-01", "end": "2027-03-01", "days": 1}, "2027-03-01",
    ],
)  # fmt: skip
def test_bad_periods(rental, rental_input):
    body = {"sku": "CAPE", "quantity": 1, "rental": rental_input}
    answer = send(visitor(rental), "post", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert all(path.startswith("rental") for path in answer.json()["fields"])
    assert not Cart.objects.exists()


def test_the_longest_period_and_the_shortest(rental):
    client = visitor(rental)
    for period, days in (
        ({"start": "2027-01-01", "end": "2028-01-01"}, 366),
        ({"start": "2027-01-01", "end": "2027-01-01"}, 1),
    ):
        cart = send(client, "put", {"lines": [{"sku": "CAPE", "quantity": 1, "rental": period}]}).json()
        assert cart["lines"][0]["rental"]["days"] == days


def test_a_line_of_the_other_kind_is_not_purchasable(rental):
    client = visitor(rental)
    send(client, "post", {"sku": "CAPE", "quantity": 1, "rental": {"start": "2027-03-01", "end": "2027-03-02"}})
    CartLine.objects.update(rental_start=None, rental_end=None)
    [line] = client.get("/api/cart").json()["lines"]
    assert (line["purchasable"], line["unitAmount"]) == (False, None)


# ---------------------------------------------------------------- queries


@pytest.mark.parametrize("count", [1, 3])
def test_queries(shop, stock, count, settings, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    variants = [VariantFactory(product__shop=shop) for _ in range(count)]
    stock(*variants)
    client = visitor(shop)
    lines = [{"sku": variant.sku, "quantity": 1} for variant in variants]
    send(client, "put", {"lines": lines})
    client.get("/api/cart")
    with django_assert_num_queries(3):  # cart with lines, catalog, stock
        client.get("/api/cart")
    with django_assert_num_queries(9):  # catalog; savepoint, lock, lines, update, generation, release; catalog, stock
        send(client, "post", lines[0])

"""`GET /api/catalog`: what a storefront built elsewhere needs, and no more often than it changes."""

from __future__ import annotations

from datetime import date

import pytest

from tests.commerce.conftest import visitor
from tests.factories.commerce import ProductFactory, ProductTextFactory, VariantFactory
from tests.fixtures.periods import days_from, monday

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(open_shop, stock):
    shop = open_shop()
    band = ProductFactory(shop=shop, sku="BAND", position=1, image="storefront/products/band.svg")
    ProductTextFactory(product=band, locale="en", title="Headband", description="Soft.")
    ProductTextFactory(product=band, locale="de", title="Stirnband", description="Weich.")
    small, medium, large = (
        VariantFactory(product=band, attributes={"size": size}, position=number, deposit_amount=900)
        for number, size in enumerate("SML")
    )
    stock(small, on_hand=10)
    stock(medium, on_hand=3, threshold=5)
    stock(large, on_hand=0)
    VariantFactory(product=ProductFactory(shop=shop, sku="CLIP", position=2), price_amount=300)
    VariantFactory(product=ProductFactory(shop=shop, sku="GONE", active=False))
    return shop


def variant(size, state):
    return {
        "sku": "BAND",
        "variantKey": f"BAND#size:{size}",
        "attributes": {"size": size},
        "image": "/static/storefront/products/band.svg",
        "currency": "EUR",
        "unitAmount": 1250,
        "depositAmount": 0,
        "availability": state,
    }


def test_the_whole_document(shop):
    VariantFactory()  # another shop's
    answer = visitor(shop).get("/api/catalog?locale=de&sku=BAND")
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (
        200,
        "application/json",
        "public, max-age=5",
    )
    assert answer.json() == {
        "shopId": shop.pk,
        "kind": "sale",
        "pricePer": "unit",
        "currency": "EUR",
        "locale": "de",
        "locales": ["en", "de"],
        "plans": [],
        "products": [
            {
                "sku": "BAND",
                "slug": "band",
                "title": "Stirnband",
                "description": "Weich.",
                "image": "/static/storefront/products/band.svg",
                "attributes": {"size": ["S", "M", "L"]},
                "variants": [variant("S", "in_stock"), variant("M", "low"), variant("L", "out")],
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "skus", "locale"),
    [
        ("", ["BAND", "CLIP"], "en"),
        ("?sku=CLIP", ["CLIP"], "en"),
        ("?sku=CLIP&sku=BAND&sku=NOPE", ["BAND", "CLIP"], "en"),
        ("?sku=NOPE", [], "en"),
        ("?sku=GONE", [], "en"),
        ("?sku=", [], "en"),
        ("?locale=fr", ["BAND", "CLIP"], "en"),
        ("?locale=de-AT", ["BAND", "CLIP"], "de"),
        ("?locale=%01&unknown=1", ["BAND", "CLIP"], "en"),
    ],
)
def test_narrowing(shop, query, skus, locale):
    document = visitor(shop).get(f"/api/catalog{query}").json()
    assert [product["sku"] for product in document["products"]] == skus
    assert document["locale"] == locale


@pytest.mark.parametrize("query", ["sku=" + "x" * 65, "&".join(["sku=A"] * 101)])
def test_bad_queries(shop, query):
    answer = visitor(shop).get(f"/api/catalog?{query}")
    assert (answer.status_code, answer.json()["code"], list(answer.json()["fields"])) == (
        400,
        "invalid_request",
        ["sku"],
    )


def test_a_current_etag_is_not_sent_again(shop):
    client = visitor(shop)
    first = client.get("/api/catalog")
    tag = first["ETag"]
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/api/catalog", headers={"If-None-Match": header})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert client.get("/api/catalog", headers={"If-None-Match": '"other"'}).content == first.content
    assert client.get("/api/catalog?locale=de")["ETag"] != tag


def test_a_changed_price_changes_the_etag(shop):
    client = visitor(shop)
    tag = client.get("/api/catalog")["ETag"]
    ProductTextFactory(product__shop=shop)
    assert client.get("/api/catalog")["ETag"] == tag
    VariantFactory(product=ProductFactory(shop=shop))
    assert client.get("/api/catalog", headers={"If-None-Match": tag}).status_code == 200


def test_rentals_are_priced_per_day_with_their_deposit(open_shop):
    shop = open_shop(settings__kind="rental")
    VariantFactory(product__shop=shop, price_amount=900, deposit_amount=5000)
    document = visitor(shop).get("/api/catalog").json()
    assert (document["kind"], document["pricePer"]) == ("rental", "day")
    [product] = document["products"]
    assert (product["variants"][0]["unitAmount"], product["variants"][0]["depositAmount"]) == (900, 5000)
    assert product["variants"][0]["availability"] == "out"


def test_what_days_cost_and_which_may_be_rented(open_shop):
    shop = open_shop(settings__kind="rental", settings__rental_max_days=10)
    VariantFactory(product__shop=shop, product__rental_lead_days=1, price_amount=900, week_amount=4000)
    start = monday()
    [product] = visitor(shop).get("/api/catalog", days_from(start, 8)).json()["products"]
    [variant] = product["variants"]
    assert variant["rates"] == {"day": 900, "week": 4000}
    assert (variant["periodAmount"], variant["periodDays"], product["rental"]["problem"]) == (4900, 8, None)
    assert (product["rental"]["minDays"], product["rental"]["maxDays"]) == (1, 10)
    earliest, latest = (date.fromisoformat(product["rental"][edge]) for edge in ("earliest", "latest"))
    assert (latest - earliest).days == 364
    [product] = visitor(shop).get("/api/catalog", days_from(start, 11)).json()["products"]
    assert product["rental"]["problem"] == "too_long"


@pytest.mark.parametrize(
    "query",
    [
        "start=2027-01-02", "end=2027-01-02", "start=2027-01-02&end=2027-01-01", "start=2027-02-30&end=2027-03-01",
        "start=x&end=y", "start=&end=", "start=2020-01-01&end=2027-01-01", "start=2027-01-01T00:00&end=2027-01-02",
        "start=1&end=2", "start=0000-01-01&end=0000-01-02",
    ],
)  # fmt: skip
def test_bad_periods(open_shop, query):
    for kind in ("rental", "sale"):
        answer = visitor(open_shop(settings__kind=kind)).get(f"/api/catalog?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_sale_has_no_days(shop):
    assert visitor(shop).get("/api/catalog", days_from(monday(), 2)).status_code == 400


def test_only_reading(shop):
    for method in ("post", "put", "patch", "delete"):
        answer = getattr(visitor(shop), method)("/api/catalog", "{}", content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("count", [1, 3])
def test_queries(open_shop, count, settings, django_assert_num_queries):
    settings.HOST_MAP_SECONDS = 60
    shop = open_shop()
    client = visitor(shop)
    for _ in range(count):
        ProductTextFactory(product=VariantFactory(product__shop=shop).product)
    client.get("/api/cart")
    with django_assert_num_queries(3):
        assert len(client.get("/api/catalog").json()["products"]) == count

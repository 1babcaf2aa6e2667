"""`GET /api/inventory/availability` (I7), through the real front door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inventory.availability import available_by_key, state_of
from tenants.models import Host
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import place

pytestmark = pytest.mark.django_db
PATH = "/api/inventory/availability"


@pytest.fixture
def shop():
    shop = ShopFactory(id="amber")
    Host.objects.create(hostname="amber.example", role=Host.Role.CANONICAL, shop=shop)
    return shop


@pytest.fixture
def ask(client, shop):
    def get(query="", **headers):
        return client.get(f"{PATH}?{query}", headers={"host": "amber.example", **headers})

    return get


def test_the_contracts_shape(shop, ask):
    medium = StockRowFactory(owner__shop=shop, sku="HB", variant_key="HB#size:M", on_hand=5, low_stock_threshold=3)
    StockRowFactory(owner=medium.owner, sku="HB", variant_key="HB#size:L", on_hand=3, low_stock_threshold=3)
    StockRowFactory(owner=medium.owner, sku="CAP", variant_key="CAP", on_hand=1)
    StockRowFactory(sku="HB", variant_key="HB#size:M", on_hand=99)
    place(medium, 5)

    answer = ask("sku=CAP&sku=HB&sku=NONE&sku=CAP")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "max-age=2"
    body = answer.json()
    as_of = datetime.fromisoformat(body.pop("asOf"))
    assert abs(datetime.now(UTC) - as_of) < timedelta(seconds=10)
    assert body == {
        "shopId": "amber",
        "items": [
            {"sku": "CAP", "variantKey": "CAP", "available": 1, "state": "in_stock"},
            {"sku": "HB", "variantKey": "HB#size:L", "available": 3, "state": "low"},
            {"sku": "HB", "variantKey": "HB#size:M", "available": 0, "state": "out"},
            {"sku": "NONE", "variantKey": "NONE", "available": 0, "state": "out"},
        ],
    }


def test_the_etag_is_the_stocks_not_the_times(shop, ask):
    row = StockRowFactory(owner__shop=shop, sku="HB")
    first = ask("sku=HB")
    etag = first["ETag"]

    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        same = ask("sku=HB", if_none_match=header)
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
        assert same["Cache-Control"] == "max-age=2"
    place(row)
    changed = ask("sku=HB", if_none_match=etag)
    assert changed.status_code == 200
    assert changed["ETag"] != etag
    assert changed.json()["items"][0]["available"] == 9


def test_one_query(shop, ask, django_assert_num_queries):
    for number in range(3):
        StockRowFactory(owner__shop=shop, sku=f"S{number}")
    ask("sku=S0")  # the front door's own look-up of the host
    from inventory.availability import available_for_skus

    with django_assert_num_queries(1):
        available_for_skus(shop_id=shop.pk, skus=["S0", "S1", "S2", "NONE"])
    with django_assert_num_queries(1):
        assert available_by_key(shop_id=shop.pk, variant_keys=["S0", "NONE"]) == {"S0": 10}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "sku"),
        ("sku=", "sku"),
        ("sku=" + "x" * 65, "sku"),
        ("&".join(f"sku=S{n}" for n in range(101)), "sku"),
        ("sku=A&variant=M", "variant"),
        ("SKU=A", "SKU"),
    ],
)
def test_other_queries_are_refused(ask, query, field):
    answer = ask(query)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], list(body["fields"])) == ("invalid_request", [field])


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(client, shop, method):
    answer = getattr(client, method)(
        f"{PATH}?sku=A", headers={"host": "amber.example", "sec-fetch-site": "same-origin"}
    )
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("available", "threshold", "state"),
    [(0, 0, "out"), (0, 5, "out"), (1, 0, "in_stock"), (5, 5, "low"), (6, 5, "in_stock")],
)
def test_states(available, threshold, state):
    assert state_of(available=available, threshold=threshold) == state

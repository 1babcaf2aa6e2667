"""What `/api/cart` refuses: by field, and without a trace."""

from __future__ import annotations

from uuid import uuid4

import pytest

from commerce.cart.cookie import COOKIE_NAME
from commerce.models import Cart
from tests.commerce.cart.requests import BAND, send
from tests.commerce.conftest import visitor
from tests.fixtures.trade import in_threads

pytestmark = pytest.mark.usefixtures("storage")

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


def test_bad_lines_are_refused_by_field_and_change_nothing(shop, band):
    for body, field in BAD_LINES:
        client = visitor(shop)
        answer = send(client, "post", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), (body, answer.json())
        assert field in answer.json()["fields"], (body, answer.json()["fields"])
        assert COOKIE_NAME not in answer.cookies
        assert not Cart.objects.exists(), body
        if isinstance(body, dict) and body:
            replaced = send(client, "put", {"lines": [BAND, body]})
            assert (replaced.status_code, replaced.json()["code"]) == (400, "invalid_request"), body
            fields = replaced.json()["fields"]
            assert all(path.startswith("lines") for path in fields), (body, fields)
            assert not Cart.objects.exists(), body


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


BAD_CHANGES = [
    ("patch", {}), ("patch", {"lineId": "1", "quantity": 1}), ("patch", {"lineId": str(uuid4()), "quantity": -1}),
    ("patch", {"lineId": str(uuid4()), "quantity": 1000}), ("patch", {"lineId": str(uuid4()), "quantity": True}),
    ("patch", {"lineId": None, "quantity": 1}), ("patch", {"lineId": str(uuid4()), "quantity": 1, "x": 1}),
    ("put", {}), ("put", {"lines": {}}), ("put", {"lines": None}), ("put", {"lines": [BAND] * 101}),
    ("put", {"lines": [], "x": 1}), ("delete", {"lineId": "x"}), ("delete", {"x": 1}), ("delete", []),
]  # fmt: skip


def test_bad_changes(shop, band):
    client = visitor(shop)
    before = send(client, "post", BAND).json()
    for method, body in BAD_CHANGES:
        answer = send(client, method, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), (method, body, answer.json())
        assert answer.json()["fields"], (method, body)
        assert client.get("/api/cart").json() == before, (method, body)


NO_STRICT_JSON = [
    b"{", b"nonsense", b"\xff\xfe", b"null", b"7", b'"BAND"', b'{"quantity":NaN}', b'{"quantity":Infinity}',
    b'{"lineId":"a","lineId":"b"}', b'{"lines":[],"lines":[]}', b'{"quantity":1e999}', b"[" * 5000,
    b'{"lineId":"\\ud800"}',
]  # fmt: skip


@pytest.mark.parametrize("method", ["post", "patch", "put", "delete"])
def test_no_verb_takes_what_is_no_strict_json(shop, band, method):
    client = visitor(shop)
    before = send(client, "post", BAND).json()
    for raw in NO_STRICT_JSON:
        answer = getattr(client, method)("/api/cart", raw, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), raw
        assert client.get("/api/cart").json() == before, raw


@pytest.mark.parametrize("method", ["post", "patch", "put", "delete"])
def test_other_media_and_oversize_are_refused_by_name(shop, band, method):
    client = visitor(shop)
    before = send(client, "post", BAND).json()
    form = getattr(client, method)("/api/cart", b"sku=BAND", content_type="application/x-www-form-urlencoded")
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    huge = getattr(client, method)("/api/cart", b" " * (256 * 1024 + 1), content_type="application/json")
    assert (huge.status_code, huge.json()["code"]) == (413, "too_large")
    assert client.get("/api/cart").json() == before


def test_the_hundred_and_first_line_is_refused_and_a_hundred_stay(shop, band):
    client = visitor(shop)
    lines = [{**BAND, "quantity": 1, "options": {"n": str(number)}} for number in range(100)]
    assert send(client, "put", {"lines": lines}).status_code == 200
    answer = send(client, "post", BAND)
    assert (answer.status_code, answer.json()["fields"]) == (400, {"lines": ["At most 100."]})
    assert len(client.get("/api/cart").json()["lines"]) == 100


@pytest.mark.django_db(transaction=True)
def test_two_tabs_lose_nothing_and_end_in_one_cart(shop, band):
    """Adding, setting and removing at once: what was added is there, what was removed is gone."""
    client = visitor(shop)
    going = send(client, "post", {**BAND, "options": {"engraving": "Mia"}}).json()["lines"][0]["lineId"]

    def tab(method, body):
        other = visitor(shop)
        other.cookies = client.cookies.copy()
        return lambda: send(other, method, body).status_code

    adding = [tab("post", {**BAND, "quantity": 1}) for _ in range(5)]
    answers = in_threads([*adding, tab("delete", {"lineId": going}), tab("patch", {"lineId": going, "quantity": 9})])
    assert answers[:6] == [200] * 6
    assert answers[6] in {200, 404}
    assert [(line["quantity"], line["options"]) for line in client.get("/api/cart").json()["lines"]] == [(5, {})]
    assert Cart.objects.count() == 1

"""The inventory API over HTTP, as a server with a service token calls it: answers, sums, repeats, bounds (I2, I5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from inventory.models import StockRow
from tests.factories.inventory import PoolRouteFactory, StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.statements import without_scope
from tests.fixtures.workers import Worker, issue
from tests.inventory.guards import RecordingGuard
from tests.inventory.steps import counters, place

pytestmark = pytest.mark.django_db
TEAL = "BAND#color:teal"
NOBODY = "0198c0de-0000-7000-8000-000000000001"
CONTROL = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT", "SET", "SELECT set_config")
FRONT_DOOR = ('SELECT "tenants_host"', 'SELECT "tenants_servicetoken"')


@pytest.fixture
def row() -> StockRow:
    row: StockRow = StockRowFactory(owner__shop=HostFactory().shop, sku="BAND", variant_key=TEAL, on_hand=5)
    return row


@pytest.fixture
def worker(row: StockRow) -> Worker:
    return Worker(issue(row.owner_id))


def band(quantity: Any = 1, **more: Any) -> dict[str, Any]:
    return {"sku": "BAND", "quantity": quantity, **(more or {"variantAttributes": {"color": "teal"}})}


def held(worker: Worker, quantity: int = 1, **more: Any) -> HttpResponse:
    return worker.post("holds", {"items": [band(quantity)], **more})


def refusal(answer: HttpResponse) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    return answer.status_code, answer.json()["code"]


def statements(worker: Worker, path: str, body: Any) -> tuple[int, list[str]]:
    """Status, and what was asked of the stock. The front door reads its own copies every two seconds, not each time."""
    with CaptureQueriesContext(connection) as captured:
        answer = worker.post(path, body)
    sql = [without_scope(query["sql"]) for query in captured]
    return answer.status_code, [text for text in sql if not text.startswith((*CONTROL, *FRONT_DOOR))]


class TestValidate:
    def test_the_contracts_shape(self, worker: Worker, row: StockRow):
        answer = worker.post("validate", {"items": [band(5)]})
        assert (answer.status_code, answer["Cache-Control"], answer["X-Api-Version"]) == (200, "no-store", "1")
        item = {"sku": "BAND", "variantKey": TEAL, "requested": 5, "available": 5}
        assert answer.json() == {"ok": True, "shopId": row.owner_id, "items": [item]}
        assert counters(row) == [(5, 0, 5)]

    def test_duplicate_lines_are_summed_and_shortage_is_counted(self, worker: Worker, row: StockRow):
        labels = {"shop_id": row.owner_id}
        name = "inventory_validation_failure_total"
        before = REGISTRY.get_sample_value(name, labels) or 0
        answer = worker.post("validate", {"items": [band(3), band(3, variantKey=TEAL)]})
        assert refusal(answer) == (409, "inventory_insufficient")
        assert answer.json()["error"] == "insufficient_stock"
        assert answer.json()["items"] == [{"sku": "BAND", "variantKey": TEAL, "requested": 6, "available": 5}]
        assert REGISTRY.get_sample_value(name, labels) == before + 1

    def test_an_unknown_sku_has_none(self, worker: Worker):
        answer = worker.post("validate", {"items": [{"sku": "NONE", "quantity": 1}]})
        assert refusal(answer) == (409, "inventory_insufficient")
        assert answer.json()["items"] == [{"sku": "NONE", "variantKey": "NONE", "requested": 1, "available": 0}]

    @pytest.mark.parametrize("key", [TEAL, "color:teal"])
    def test_either_form_of_a_key_names_the_variant(self, worker: Worker, key: str):
        for more in ({}, {"variantAttributes": {"color": "teal"}}):
            answer = worker.post("validate", {"items": [band(1, variantKey=key, **more)]})
            assert answer.json()["items"][0]["variantKey"] == TEAL

    @pytest.mark.parametrize("path", ["validate", "holds"])
    def test_a_key_that_contradicts_the_attributes_is_refused(self, worker: Worker, row: StockRow, path: str):
        wrong = {"variantKey": "color:teal", "variantAttributes": {"color": "red"}}
        answer = worker.post(path, {"items": [band(), band(1, **wrong)]})
        assert refusal(answer) == (400, "variant_conflict")
        assert answer.json()["items"] == [{"sku": "BAND", **wrong}]
        assert counters(row) == [(5, 0, 5)]

    def test_one_query(self, worker: Worker):
        body = {"items": [band(), {"sku": "BAND", "quantity": 1, "variantKey": TEAL}]}
        worker.post("validate", body)
        status, sql = statements(worker, "validate", body)
        assert (status, len(sql)) == (200, 1), sql


class TestHolds:
    def test_placed_and_repeated(self, worker: Worker, row: StockRow):
        answer = held(worker, 2, ttlSeconds=90, idempotencyKey="k")
        body = answer.json()
        assert answer.status_code == 201
        assert set(body) == {"holdId", "status", "expiresAt", "items", "idempotentHit"}
        assert (body["status"], body["idempotentHit"]) == ("active", False)
        assert body["items"] == [{"sku": "BAND", "variantKey": TEAL, "quantity": 2}]
        left = datetime.fromisoformat(body["expiresAt"]) - datetime.now(UTC)
        assert UUID(body["holdId"]) and timedelta(seconds=60) < left <= timedelta(seconds=90)
        again = held(worker, 2, ttlSeconds=90, idempotencyKey="k")
        assert (again.status_code, again.json()) == (200, {**body, "idempotentHit": True})
        assert counters(row) == [(5, 2, 3)]

    def test_a_key_is_for_one_request(self, worker: Worker, row: StockRow):
        held(worker, 1, idempotencyKey="k")
        assert refusal(held(worker, 2, idempotencyKey="k")) == (409, "idempotency_conflict")
        assert counters(row) == [(5, 1, 4)]

    def test_without_a_key_each_is_its_own(self, worker: Worker, row: StockRow):
        first, second = held(worker), held(worker)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["holdId"] != second.json()["holdId"]
        assert counters(row) == [(5, 2, 3)]

    def test_a_checkouts_key_is_another(self, worker: Worker, row: StockRow):
        theirs = place(row, 1, key="k", held_for="checkout")
        assert held(worker, 1, idempotencyKey="k").json()["holdId"] != str(theirs.hold_id)
        assert counters(row) == [(5, 2, 3)]

    def test_all_or_nothing(self, worker: Worker, row: StockRow):
        StockRowFactory(owner=row.owner, sku="CAP", on_hand=1)
        answer = worker.post("holds", {"items": [band(2), {"sku": "CAP", "quantity": 2}]})
        assert refusal(answer) == (409, "inventory_insufficient")
        assert answer.json()["items"] == [{"sku": "CAP", "variantKey": "CAP", "requested": 2, "available": 1}]
        assert counters(row) == [(5, 0, 5)]

    def test_read_and_extended(self, worker: Worker):
        body = held(worker, 1, ttlSeconds=90).json()
        assert worker.get(f"holds/{body['holdId']}").json() == body
        longer = worker.post(f"holds/{body['holdId']}/extend", {"ttlSeconds": 600})
        assert longer.status_code == 200
        assert datetime.fromisoformat(longer.json()["expiresAt"]) > datetime.fromisoformat(body["expiresAt"])

    @pytest.mark.parametrize(
        ("verb", "status", "after", "others"),
        [("commit", "committed", (3, 0, 3), ("release", "extend")), ("release", "released", (5, 0, 5), ("commit",))],
    )
    def test_an_end_can_be_repeated_and_not_changed(
        self, worker: Worker, row: StockRow, verb: str, status: str, after: tuple[int, ...], others: tuple[str, ...]
    ):
        path = f"holds/{held(worker, 2).json()['holdId']}"
        for hit in (False, True):
            answer = worker.post(f"{path}/{verb}", {})
            assert (answer.status_code, answer.json()["status"]) == (200, status)
            assert answer.json()["idempotentHit"] is hit
        for other in others:
            answer = worker.post(f"{path}/{other}", {"ttlSeconds": 60} if other == "extend" else {})
            assert refusal(answer) == (409, "hold_not_active")
            assert answer.json()["holdStatus"] == status
        assert counters(row) == [after]

    @pytest.mark.parametrize("verb", ["commit", "release"])
    def test_a_checkouts_hold_is_the_checkouts(self, worker: Worker, row: StockRow, guard: RecordingGuard, verb: str):
        placed = place(row, 2, held_for="checkout")
        guard.owned.add(placed.hold_id)
        assert refusal(worker.post(f"holds/{placed.hold_id}/{verb}", {})) == (409, "hold_in_checkout")
        assert worker.get(f"holds/{placed.hold_id}").status_code == 200
        assert counters(row) == [(5, 2, 3)]

    @pytest.mark.parametrize("hold_id", [NOBODY, "not-an-id", f"{{{NOBODY}}}", NOBODY.replace("-", "")])
    def test_no_such_hold(self, worker: Worker, hold_id: str):
        assert refusal(worker.get(f"holds/{hold_id}")) == (404, "not_found")
        for verb, body in (("commit", {}), ("release", {}), ("extend", {"ttlSeconds": 60})):
            assert refusal(worker.post(f"holds/{hold_id}/{verb}", body)) == (404, "not_found")

    def test_another_shops_hold_is_none(self, worker: Worker, row: StockRow):
        stranger = Worker(issue(HostFactory().shop.pk))
        path = f"holds/{held(worker).json()['holdId']}"
        assert refusal(stranger.get(path)) == (404, "not_found")
        for verb, body in (("commit", {}), ("release", {}), ("extend", {"ttlSeconds": 60})):
            assert refusal(stranger.post(f"{path}/{verb}", body)) == (404, "not_found")
        assert counters(row) == [(5, 1, 4)]

    def test_one_query_on_the_steady_path(self, worker: Worker):
        body = {"items": [band()]}
        worker.post("holds", body)
        status, sql = statements(worker, "holds", body)
        assert (status, len(sql)) == (201, 1), sql

    def test_a_pools_units_are_held_by_the_shops_own_name(self, worker: Worker, row: StockRow):
        route = PoolRouteFactory(shop=row.owner.shop, sku="MINE", allocation_cap=4)
        assert worker.post("validate", {"items": [{"sku": "MINE", "quantity": 4}]}).json()["items"][0]["available"] == 4
        answer = worker.hold("MINE", 3)
        assert answer.json()["items"] == [{"sku": "MINE", "variantKey": "MINE", "quantity": 3}]
        assert counters(route.stock_row) == [(10, 3, 7)]
        short = worker.hold("MINE", 2)
        assert refusal(short) == (409, "inventory_insufficient")
        # The pool can't meet it, so the shop's own stock was asked, of which there is none (docs/inventory-modes.md).
        assert short.json()["items"][0]["available"] == 0


class TestBadInput:
    @pytest.mark.parametrize("path", ["validate", "holds"])
    @pytest.mark.parametrize(
        "body",
        [
            b"", b"[]", b"null", b"{", b"\xff", b'{"items": []}',
            b'{"items": [{"sku": "BAND", "quantity": NaN}]}',
            b'{"items": [{"sku": "BAND", "quantity": 1, "quantity": 2}]}',
            b'{"items": [{"sku": "BAND", "quantity": 1}], "items": []}',
            {"items": [{"sku": "BAND"}]},
            {"items": [band("1")]}, {"items": [band(1.5)]}, {"items": [band(True)]}, {"items": [band(0)]},
            {"items": [band(-1)]}, {"items": [band(10**30)]}, {"items": [{"sku": "", "quantity": 1}]},
            {"items": [{"sku": "x" * 65, "quantity": 1}]}, {"items": [{"sku": "a\0b", "quantity": 1}]},
            {"items": [band(1, variantAttributes={"color": 1})]}, {"items": [band(1, variantKey="OTHER#color:teal")]},
            {"items": [band(1, color="teal")]}, {"items": [band()], "extra": 1}, {"items": [band()] * 1_000},
        ],
    )  # fmt: skip
    def test_bodies(self, worker: Worker, row: StockRow, path: str, body: Any):
        assert refusal(worker.post(path, body)) == (400, "invalid_request")
        assert counters(row) == [(5, 0, 5)]

    @pytest.mark.parametrize(
        "more",
        [{"ttlSeconds": 5}, {"ttlSeconds": "90"}, {"ttlSeconds": 10**9}, {"idempotencyKey": ""},
         {"idempotencyKey": "k" * 201}, {"idempotencyKey": 1}],
    )  # fmt: skip
    def test_what_only_holds_have(self, worker: Worker, row: StockRow, more: dict[str, Any]):
        answer = held(worker, **more)
        assert refusal(answer) == (400, "invalid_request")
        assert list(answer.json()["fields"]) == list(more)
        assert counters(row) == [(5, 0, 5)]

    @pytest.mark.parametrize(
        "path", [f"holds/{NOBODY}/steal", f"holds/{NOBODY}/commit/", "holds/", "hold", "validate/"]
    )
    def test_a_verb_that_there_is_not(self, worker: Worker, row: StockRow, path: str):
        for host in ("localhost", f"{row.owner_id}.localhost"):
            assert refusal(Worker(worker.token, host).post(path, {})) == (404, "not_found")

    def test_size_type_and_method(self, worker: Worker):
        assert refusal(worker.post("validate", b" " * (257 * 1024))) == (413, "too_large")
        typed = worker.client.post(
            "/api/inventory/validate", b"a=b", content_type="text/plain",
            headers={"Host": "localhost", "Authorization": f"Bearer {worker.token}"},
        )  # fmt: skip
        assert refusal(typed) == (415, "unsupported_media_type")
        for method, path in (("GET", "validate"), ("DELETE", "holds"), ("PUT", f"holds/{NOBODY}")):
            answer = worker.call(method, path)
            assert refusal(answer) == (405, "method_not_allowed")
            assert answer["Allow"]

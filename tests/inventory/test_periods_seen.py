"""Periods at the API of the inventory and at the desk: the same verbs, the same rules."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from inventory.models import Hold, StockDay, StockRow
from inventory.stock import recount_stock
from tenants.models import AuditEntry, ShopSettings
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.periods import days_from, monday
from tests.fixtures.workers import Worker, issue
from tests.inventory.desk import HOLDS, STOCK, act, ask, queries, text_of
from tests.inventory.steps import STAFF

pytestmark = pytest.mark.django_db
MONDAY = monday()
PERIOD = days_from(MONDAY, 3)


@pytest.fixture
def row() -> StockRow:
    row: StockRow = StockRowFactory(owner__shop=HostFactory().shop, sku="CAPE", on_hand=2)
    ShopSettings.objects.filter(shop_id=row.owner_id).update(kind="rental")
    return row


@pytest.fixture
def worker(row: StockRow) -> Worker:
    return Worker(issue(row.owner_id))


def cape(quantity: int = 1, period: Any = PERIOD) -> dict[str, Any]:
    return {"sku": "CAPE", "quantity": quantity, "rental": period}


def booked() -> list[int]:
    return list(StockDay.objects.order_by("day").values_list("booked", flat=True))


def test_placed_read_extended_committed(worker: Worker) -> None:
    placed = worker.post("holds", {"items": [cape(), cape()], "idempotencyKey": "k", "ttlSeconds": 60})
    body = placed.json()
    assert (placed.status_code, body["items"]) == (
        201, [{"sku": "CAPE", "variantKey": "CAPE", "quantity": 2, "rental": PERIOD}],
    )  # fmt: skip
    again = worker.post("holds", {"items": [cape(2)], "idempotencyKey": "k"})
    assert (again.status_code, again.json()["holdId"]) == (200, body["holdId"])
    other = worker.post("holds", {"items": [cape(2, days_from(MONDAY, 2))], "idempotencyKey": "k"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    hold = f"holds/{body['holdId']}"
    assert worker.get(hold).json()["items"] == body["items"]
    assert worker.post(f"{hold}/extend", {"ttlSeconds": 600}).status_code == 200
    assert worker.post(f"{hold}/commit", {}).json()["status"] == "committed"
    assert booked() == [2, 2, 2]
    refused = worker.post(f"{hold}/release", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "hold_not_active")


def test_released_days_are_free(worker: Worker) -> None:
    hold = worker.post("holds", {"items": [cape(2)]}).json()["holdId"]
    refused = worker.post("holds", {"items": [cape(1, days_from(MONDAY, 1))]})
    assert (refused.status_code, refused.json()["code"]) == (409, "rental_unavailable")
    assert refused.json()["items"][0]["days"] == [str(MONDAY)]
    refused = worker.post("validate", {"items": [cape(1)]})
    assert (refused.status_code, refused.json()["code"]) == (409, "rental_unavailable")
    assert worker.post(f"holds/{hold}/release", {}).json()["status"] == "released"
    assert booked() == [0, 0, 0]
    checked = worker.post("validate", {"items": [cape(2)]}).json()
    assert (checked["ok"], checked["items"][0]["available"]) == (True, 2)


@pytest.mark.parametrize(
    "period",
    [
        None, {}, {"start": str(MONDAY)}, days_from(MONDAY, 0), days_from(MONDAY, 367), "2027", 1,
        {"start": "2027-02-30", "end": "2027-03-01"}, {**PERIOD, "days": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("route", ["holds", "validate"])
def test_periods_that_arent(worker: Worker, route: str, period: Any) -> None:
    answer = worker.post(route, {"items": [cape(1, period)]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert not Hold.objects.exists()


def test_a_sale_has_no_periods(worker: Worker) -> None:
    ShopSettings.objects.update(kind="sale")
    for route in ("holds", "validate"):
        assert worker.post(route, {"items": [cape()]}).json()["fields"] == {
            "items[0].rental": ["This shop doesn't rent out."]
        }


# ---------------------------------------------------------------- the desk
def test_a_rows_page_says_who_has_it_when(row: StockRow, worker: Worker, staff: Client) -> None:
    assert "Nothing is booked." in text_of(staff.get(f"{STOCK}{row.pk}/change/"))
    worker.post("holds", {"items": [cape()]})
    page = text_of(staff.get(f"{STOCK}{row.pk}/change/"))
    assert "Who has it when" in page and PERIOD["start"][:4] in page and "being paid" in page
    before = queries(staff, f"{STOCK}{row.pk}/change/")
    worker.post("holds", {"items": [cape(1, days_from(MONDAY, 9))]})
    assert queries(staff, f"{STOCK}{row.pk}/change/") == before
    ShopSettings.objects.update(kind="sale")
    assert "Who has it when" not in text_of(staff.get(f"{STOCK}{row.pk}/change/"))


def test_a_recount_below_what_is_booked_names_the_bookings(row: StockRow, worker: Worker, staff: Client) -> None:
    hold = worker.post("holds", {"items": [cape(2)]}).json()["holdId"]
    told = act(staff, STOCK, "recount", row, counted=1, reason="Counted")
    assert "2 of 2 units are booked on one day" in told and hold[-12:] in told
    row.refresh_from_db()
    assert (row.on_hand, booked()) == (2, [2, 2, 2])
    worker.post(f"holds/{hold}/release", {})
    act(staff, STOCK, "recount", row, counted=1, reason="Counted")
    assert recount_stock(
        shop_id=row.owner_id, stock_row_id=row.pk, counted=1, note="x", acting=STAFF
    ).on_hand == 1  # fmt: skip


def test_days_for_cleaning(row: StockRow, staff: Client, onlooker: Client) -> None:
    assert "Now 0 days after each rental." in ask(staff, STOCK, "buffer", row)
    assert "keep 2 days" in act(staff, STOCK, "buffer", row, days=2, reason="Dry cleaner")
    row.refresh_from_db()
    entry = AuditEntry.objects.get(action="stock.buffer_set")
    assert (row.buffer_days, entry.reason, entry.data) == (2, "Dry cleaner", {"before": 0, "after": 2})
    assert "30" in act(staff, STOCK, "buffer", row, days=31, reason="x")
    act(staff, STOCK, "buffer", row, days=3, reason="")
    row.refresh_from_db()
    assert row.buffer_days == 2
    assert onlooker.get(f"{STOCK}{row.pk}/act-buffer/").status_code == 403


def test_a_hold_shows_its_days_and_is_released(row: StockRow, worker: Worker, staff: Client) -> None:
    worker.post("holds", {"items": [cape(2)]})
    hold = Hold.objects.get()
    assert f"2 × CAPE, {PERIOD['start']} to {PERIOD['end']}" in text_of(staff.get(HOLDS))
    assert "Free again" not in text_of(staff.get(f"{HOLDS}{hold.pk}/change/"))
    assert "CAPE" in text_of(staff.get(f"{HOLDS}{hold.pk}/change/"))
    act(staff, HOLDS, "release", hold, reason="Changed their mind")
    assert booked() == [0, 0, 0]


def test_the_holds_list_asks_as_often_for_three_as_for_one(worker: Worker, staff: Client) -> None:
    worker.post("holds", {"items": [cape(1, days_from(MONDAY, 1))]})
    first = queries(staff, HOLDS)
    for number in (2, 3):
        worker.post("holds", {"items": [cape(1, days_from(MONDAY, number))]})
    assert queries(staff, HOLDS) == first

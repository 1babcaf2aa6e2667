"""`POST /api/reconciliation` over HTTP: taken over once, compared, refused with reasons, and always kept (O3)."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from commerce.models import JournalEntry, Order, ReconciliationRecord
from inventory.models import StockMovement
from tenants.models import StripeObject
from tests.fixtures.payments import balances, paid_order
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.fixtures.workers import issue

AT = "2026-01-31T12:00:00Z"


def record(external_id: Any = "A-1", **changes: Any) -> dict[str, Any]:
    told = {
        "externalId": external_id,
        "status": "confirmed",
        "currency": "EUR",
        "total": 1250,
        "createdAt": AT,
    } | changes
    return {name: value for name, value in told.items() if value is not ...}


def send(*records: Any, token: str, source: Any = "worker_reconciliation", **more: Any) -> HttpResponse:
    body = json.dumps({"source": source, "records": list(records), **more}).encode()
    headers = {"Host": "localhost", "Authorization": f"Bearer {token}"}
    client = Client(raise_request_exception=False)
    return client.post("/api/reconciliation", body, content_type="application/json", headers=headers)


@pytest.fixture
def token(trade: Trade) -> str:
    return issue(trade.shop.pk, "reconciliation:write")


def results(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    return list(answer.json()["results"])


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_a_sale_becomes_an_order_with_its_lines_its_time_and_its_money(trade: Trade, token: str) -> None:
    lines = [{"sku": "HB-01", "quantity": 2, "unitAmount": 500}]
    told = record(total=1490, shipping=490, lines=lines, sessionId="cs_old_1", paymentIntentId="pi_old_1",
                  customer={"email": "ana@example.com", "name": "Ana"})  # fmt: skip
    answer = send(told, token=token)
    order = Order.objects.get()
    assert results(answer) == [
        {"externalId": "A-1", "outcome": "applied", "normalised": False, "orderId": str(order.pk)}
    ]
    assert (order.shop_id, order.status, order.source) == (trade.shop.pk, "confirmed", "worker_reconciliation")
    assert (order.subtotal_amount, order.shipping_amount, order.total_amount) == (1000, 490, 1490)
    assert (order.session_id, order.email, order.confirmed_at) == ("cs_old_1", "ana@example.com", order.created_at)
    assert [(line.sku, line.quantity, line.line_amount) for line in order.lines.all()] == [("HB-01", 2, 1000)]
    assert balances(trade.shop.pk) == {"stripe_clearing": 1490, "revenue": -1000, "shipping_income": -490}
    assert set(StripeObject.objects.values_list("object_id", "shop_id")) >= {
        ("cs_old_1", trade.shop.pk), ("pi_old_1", trade.shop.pk),
    }  # fmt: skip
    assert not StockMovement.objects.filter(reason="sale").exists(), "what was sold elsewhere left its shelf there"


def test_the_same_record_again_changes_nothing(trade: Trade, token: str) -> None:
    first = results(send(record(), token=token))[0]
    for _ in range(2):
        again = results(send(record(), token=token))[0]
        assert again == first | {"outcome": "unchanged"}
    assert (Order.objects.count(), JournalEntry.objects.count(), ReconciliationRecord.objects.count()) == (1, 1, 1)


def test_the_same_sale_told_otherwise_is_compared(trade: Trade, token: str) -> None:
    first = results(send(record(), token=token))[0]
    same, other = record(total="12.50"), record(total=1300)
    answers = results(send(same, token=token)) + results(send(other, record("A-2"), token=token))
    assert answers[0] == first | {"outcome": "unchanged", "normalised": True}
    assert (answers[1]["outcome"], set(answers[1]["fields"])) == ("rejected", {"total"})
    assert answers[2]["outcome"] == "applied"
    assert Counter(ReconciliationRecord.objects.values_list("state", flat=True)) == {
        "applied": 2, "unchanged": 1, "rejected": 1,
    }  # fmt: skip


@pytest.mark.parametrize("member", ["sessionId", "paymentIntentId", "orderNumber"])
def test_an_order_of_ours_is_found_by_any_of_its_names(trade: Trade, standin: StandIn, token: str, member: str) -> None:
    order = paid_order(trade, standin, 1)
    names = {
        "sessionId": order.session_id, "paymentIntentId": order.payment_intent_id, "orderNumber": order.number,
    }  # fmt: skip
    told = record(total=order.total_amount, **{member: names[member]})
    [found] = results(send(told, token=token))
    assert (found["outcome"], found["orderId"]) == ("unchanged", str(order.pk))
    wrong = send(record("A-2", total=order.total_amount + 1, **{member: names[member]}), token=token)
    assert (wrong.status_code, Order.objects.count()) == (422, 1)


def test_names_of_two_orders_are_a_contradiction(trade: Trade, token: str) -> None:
    one, two = results(send(record("A-1", sessionId="cs_1"), record("A-2", paymentIntentId="pi_2"), token=token))
    answer = send(record("A-3", sessionId="cs_1", paymentIntentId="pi_2"), token=token)
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"records[0].sessionId", "records[0].paymentIntentId"}
    assert one["orderId"] != two["orderId"]


def test_only_when_all_are_refused_the_request_is_and_they_are_kept(trade: Trade, token: str) -> None:
    bad = [record("A-1", total="1250"), record("A-2", currency="EURO"), "nonsense", {}]
    answer = send(*bad, token=token)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "reconciliation_rejected")
    assert set(problem["fields"]) >= {"records[0].total", "records[1].currency", "records[2]", "records[3].total"}
    rows = ReconciliationRecord.objects.order_by("id")
    assert [row.payload for row in rows] == bad
    assert {row.state for row in rows} == {"rejected"} and all(row.reasons for row in rows)
    mixed = results(send(*bad, record("A-5"), token=token))
    assert [item["outcome"] for item in mixed] == ["rejected"] * 4 + ["applied"]
    assert [item["externalId"] for item in mixed] == ["A-1", "A-2", None, None, "A-5"]
    assert ReconciliationRecord.objects.count() == 5


def test_one_request_that_tells_one_sale_twice(trade: Trade, token: str) -> None:
    same = results(send(record("A-1"), record("A-1"), token=token))
    assert [item["outcome"] for item in same] == ["applied", "unchanged"]
    both = send(record("B-1"), record("B-1", total=1300), token=token)
    assert (both.status_code, Order.objects.count()) == (422, 1)


def test_when_the_window_is_over_older_forms_are_refused(trade: Trade, token: str, settings: Settings) -> None:
    settings.RECONCILIATION_MIGRATION_WINDOW = False
    older = send(record(total="12.50"), token=token)
    assert (older.status_code, Order.objects.count()) == (422, 0)
    assert results(send(record(), token=token))[0]["outcome"] == "applied"


def test_it_is_counted(trade: Trade, token: str) -> None:
    shop = {"shop_id": trade.shop.pk}
    before = counted("reconciliation_normalised_total", **shop)
    applied = counted("reconciliation_records_total", outcome="applied", **shop)
    for _ in range(2):
        send(record(total="12.50"), record("A-2"), token=token)
    assert counted("reconciliation_normalised_total", **shop) == before + 1
    assert counted("reconciliation_records_total", outcome="applied", **shop) == applied + 2


@pytest.mark.parametrize(
    "body",
    [
        {"source": "Worker"}, {"source": ""}, {"source": "a b"}, {"source": "x" * 33}, {"source": 1},
        {"records": []}, {"records": {}}, {"records": [{}] * 501}, {"colour": 1},
    ],
)  # fmt: skip
def test_a_request_that_is_none(trade: Trade, token: str, body: dict[str, Any]) -> None:
    sent = {"source": "worker_reconciliation", "records": [record()]} | body
    headers = {"Host": "localhost", "Authorization": f"Bearer {token}"}
    client = Client(raise_request_exception=False)
    answer = client.post("/api/reconciliation", json.dumps(sent), content_type="application/json", headers=headers)
    assert (answer.status_code, ReconciliationRecord.objects.count()) == (400, 0)


def test_who_may(trade: Trade, other_trade: Trade) -> None:
    weak, theirs, platform = issue(trade.shop.pk, "orders:read"), issue(other_trade.shop.pk), issue(None)
    assert send(record(), token=weak).status_code == 403
    assert send(record(), token="nonsense").status_code == 401
    assert send(record(), token=theirs, shopId=trade.shop.pk).status_code == 400
    assert send(record(), token=platform).status_code == 400
    assert results(send(record(), token=platform, shopId=trade.shop.pk))[0]["outcome"] == "applied"
    assert [order.shop_id for order in Order.objects.all()] == [trade.shop.pk]


def test_what_another_shop_owns_at_stripe_is_refused(trade: Trade, other_trade: Trade, token: str) -> None:
    theirs = issue(other_trade.shop.pk)
    assert results(send(record(sessionId="cs_1", paymentIntentId="pi_1"), token=theirs))[0]["outcome"] == "applied"
    for told in (record(sessionId="cs_1"), record(paymentIntentId="pi_1")):
        answer = send(told, token=token)
        assert (answer.status_code, list(answer.json()["fields"].values())) == (422, [["Is not this shop's."]])
    StripeObject.objects.all().delete()  # nobody remembers any more, but the order has the session
    answer = send(record(sessionId="cs_1"), token=token)
    assert (answer.status_code, Order.objects.count()) == (422, 1)


@pytest.mark.django_db(transaction=True)
def test_workers_that_send_one_sale_at_once_make_one_order(trade: Trade, token: str) -> None:
    answers: list[list[dict[str, Any]]] = []

    def worker(number: int) -> None:
        try:
            # The same sale in three forms.
            told = (record(), record(total="12.50"), record(subtotal=1250))[number % 3]
            answers.append(results(send(told, token=token)))
        finally:
            connection.close()

    threads = [threading.Thread(target=worker, args=[number]) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    outcomes = Counter(item["outcome"] for [item] in answers)
    assert outcomes == {"applied": 1, "unchanged": 8}
    assert (Order.objects.count(), JournalEntry.objects.count()) == (1, 1)

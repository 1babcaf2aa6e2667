"""Lists of the back office where there are many rows (A6): each page, filter and search is answered by an index.

By default few rows and no sequential scans allowed: a plan that has one all the same has no index to take.
`HOLDFAST_LIST_ROWS=1000000` fills a million rows per table instead, and prints how long each page took.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.commerce.backoffice import address, desk
from tests.load.tables import fill

ROWS = int(os.environ.get("HOLDFAST_LIST_ROWS", "0"))
ID = f"{7:032x}"
ORDER = ("commerce_order",)

# The list's model, the tables that it reads, and what staff ask it beside its first page.
LISTS: list[tuple[str, tuple[str, ...], list[dict[str, str]]]] = [
    ("commerce.Order", ORDER, [
        {"desk": "attention"}, {"status__exact": "review"}, {"status__exact": "refunded"}, {"disputed__exact": "1"},
        {"amount_differs__exact": "1"}, {"shop__id__exact": "other", "status__exact": "review"},
        {"q": "1234"}, {"q": "buyer7@example.test"}, {"q": "cs_7"}, {"q": "pi_7"}, {"q": ID},
    ]),
    ("commerce.Return", (*ORDER, "commerce_return", "commerce_refund"), [
        {"status__exact": "refused"}, {"restock__exact": "failed"}, {"q": "1234"}, {"q": ID},
    ]),
    ("commerce.Refund", (*ORDER, "commerce_refund", "commerce_return"), [
        {"desk": "stuck"}, {"status__exact": "failed"}, {"q": "re_7"}, {"q": "1234"},
        {"q": ID},
    ]),
    ("commerce.JournalEntry", (*ORDER, "commerce_journalentry", "commerce_journalline"), [
        {"kind__exact": "dispute_withdrawn"}, {"kind__exact": "capture"}, {"account": "revenue"},
        {"account": "disputes", "shop__id__exact": "other"}, {"q": "1234"}, {"q": "cs_7"},
    ]),
    ("commerce.Dispute", (*ORDER, "commerce_dispute"), [
        {"open": "yes"}, {"open": "answer"}, {"status__exact": "needs_response"}, {"q": "du_7"}, {"q": "pi_7"},
        {"q": ID},
    ]),
    ("commerce.ReconciliationRecord", (*ORDER, "commerce_reconciliationrecord"), [
        {"state__exact": "rejected"}, {"normalised__exact": "1"}, {"q": "A-7"}, {"q": ID},
    ]),
    ("commerce.Rental", (*ORDER, "commerce_rental", "commerce_refund"), [
        {"day": "out"}, {"day": "back"}, {"day": "overdue"}, {"day": "picked"}, {"day": "danger"},
        {"status__exact": "handed_out"}, {"status__exact": "canceled"}, {"source__exact": "counter"},
        {"shop__id__exact": "other", "status__exact": "handed_out"}, {"q": "1234"}, {"q": "buyer7@example.test"},
        {"q": ID},
    ]),
    ("commerce.Charge", (*ORDER, "commerce_charge"), [
        {"desk": "owed"}, {"desk": "lapsing"}, {"status__exact": "declined"}, {"status__exact": "requires_capture"},
        {"status__exact": "expired"}, {"purpose__exact": "damage"}, {"q": "pi_7"}, {"q": "1234"}, {"q": ID},
    ]),
    ("commerce.Collection", (*ORDER, "commerce_collection"), [{"purpose__exact": "damage"}, {"q": "1234"}, {"q": ID}]),
    ("commerce.Subscription", ("commerce_subscription",), [
        {"status__exact": "past_due"}, {"status__exact": "unpaid"}, {"shop__id__exact": "other",
        "status__exact": "past_due"}, {"q": "sub_7"}, {"q": "cus_7"}, {"q": "buyer7@example.test"},
    ]),
    ("commerce.Invoice", ("commerce_invoice",), [
        {"trouble": "past_due"}, {"trouble": "action"}, {"status__exact": "open"}, {"status__exact": "uncollectible"},
        {"q": "in_7"}, {"q": "sub_7"},
    ]),
    ("commerce.Plan", ("commerce_plan",), [{"active__exact": "1"}, {"q": "plan-7"}]),
    ("commerce.SubscriptionOperation", ("commerce_subscription", "commerce_subscriptionoperation"), [
        {"state__exact": "unknown"}, {"kind__exact": "resume"}, {"q": "sub_7"},
    ]),
    ("tenants.AuditEntry", ("tenants_auditentry",), [
        {"area": "tenancy"}, {"actor_kind": "staff"}, {"q": "7"}, {"q": "r7"}, {"q": "olga"}, {"q": "host.changed"},
    ]),
]  # fmt: skip
# Everywhere: the newest of all, and one shop's.
ALWAYS: list[dict[str, str]] = [{}, {"shop__id__exact": "other"}]


@pytest.mark.django_db
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("label", "tables", "asked"), LISTS, ids=[label for label, *_ in LISTS])
def test_every_list_is_answered_by_an_index(label: str, tables: tuple[str, ...], asked: list[dict[str, str]]) -> None:
    fill(ROWS or 300, *tables)
    office, model = desk(), apps.get_model(label)
    url, wrong = address(model, "changelist"), []
    with connection.cursor() as cursor:
        if not ROWS:
            cursor.execute("SET LOCAL enable_seqscan = off")
    for query in [*ALWAYS, *asked]:
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            answer = office.client.get(url, query)
        assert answer.status_code == 200, query
        took = time.perf_counter() - began
        if ROWS:
            slowest = max(captured.captured_queries, key=lambda one: float(one["time"]))
            print(f"{label:30} {json.dumps(query):55} {took * 1000:7.0f} ms, slowest {slowest['time']}")
            print(f"    {slowest['sql'][:4000]}" if float(slowest["time"]) > 0.3 else "")
        else:
            wrong += [f"{query}: {sql}" for sql in _scanned(captured.captured_queries, tables)]
    assert wrong == []


def _scanned(queries: Any, tables: tuple[str, ...]) -> list[str]:
    """Statements that read one of the tables from end to end."""
    found = []
    for one in queries:
        sql = re.sub(r"^SELECT set_config\(.*?;(?=SELECT)", "", one["sql"])
        if not sql.startswith("SELECT") or not any(f'"{table}"' in sql for table in tables):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        found += [f"{sql[:300]}\n{plan}" for table in tables if f"Seq Scan on {table}" in plan]
    return found

"""Refused records in the back office: found, understood, corrected or put aside, each with its reason."""

from __future__ import annotations

import pytest

from commerce.models import Order, ReconciliationRecord
from tenants.models import AuditEntry
from tests.commerce.backoffice import desk, found, queries, text
from tests.commerce.reconciliation.test_api import record, results, send
from tests.fixtures.trade import Trade
from tests.fixtures.workers import issue


@pytest.fixture
def token(trade: Trade) -> str:
    return issue(trade.shop.pk, "reconciliation:write")


@pytest.fixture
def refused(trade: Trade, token: str) -> ReconciliationRecord:
    send(record(total="1250"), token=token)
    return ReconciliationRecord.objects.get()


def test_it_is_found_and_says_why(refused: ReconciliationRecord, token: str) -> None:
    send(record("A-2"), token=token)
    owner = desk()
    assert found(owner.list(ReconciliationRecord, state__exact="rejected")) == {str(refused.pk)}
    assert found(owner.list(ReconciliationRecord, q="A-1")) == {str(refused.pk)}
    page = text(owner.page(refused))
    assert "Could be minor or major units: name the unit." in page
    assert "worker_reconciliation" in page


def test_corrected_it_is_taken_over_and_what_came_is_kept(refused: ReconciliationRecord, token: str) -> None:
    said = desk().do(
        ReconciliationRecord, "correct", refused, changes='{"unit": "minor"}', reason="The worker writes cents."
    )
    assert "Taken over." in said
    refused.refresh_from_db()
    order = Order.objects.get()
    assert (refused.state, refused.order_id, order.total_amount) == ("applied", order.pk, 1250)
    assert (refused.payload["total"], "unit" in refused.payload, refused.corrected["unit"]) == ("1250", False, "minor")
    audit = AuditEntry.objects.get(action="reconciliation.corrected")
    assert (audit.reason, audit.object_id) == ("The worker writes cents.", str(refused.pk))
    assert results(send(record(total="1250"), token=token))[0]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ('{"total": -1}', "Is negative."),
        ('{"externalId": "B-1", "unit": "minor"}', "It came as A-1"),
        ("{}", "This field is required."),
        ("[1]", "Expected an object."),
        ("unit=minor", "This is not JSON."),
        ('{"total": NaN}', "This is not JSON."),
        ('{"orderNumber": "\\u0000"}', "This is not JSON."),
        ('{"orderNumber": "\\ud800"}', "This is not JSON."),
    ],
)
def test_a_correction_that_leaves_it_wrong_changes_nothing(
    refused: ReconciliationRecord, changes: str, said: str
) -> None:
    assert said in desk().do(ReconciliationRecord, "correct", refused, changes=changes, reason="A try")
    refused.refresh_from_db()
    assert (refused.state, refused.corrected, Order.objects.count()) == ("rejected", None, 0)


def test_put_aside_it_stays_aside_when_it_comes_again(refused: ReconciliationRecord, token: str) -> None:
    owner = desk()
    assert "Put aside." in owner.do(ReconciliationRecord, "dismiss", refused, reason="A test order of theirs.")
    assert send(record(total="1250"), token=token).status_code == 422
    refused.refresh_from_db()
    assert refused.state == "dismissed"
    assert AuditEntry.objects.get(action="reconciliation.dismissed").reason == "A test order of theirs."
    assert "It isn't refused" in text(owner.ask(ReconciliationRecord, "correct", refused))


def test_readers_only_read(refused: ReconciliationRecord) -> None:
    reader = desk("commerce.view_reconciliationrecord")
    assert reader.page(refused).status_code == 200
    asked = reader.ask(ReconciliationRecord, "correct", refused)
    assert asked.status_code in {302, 403} or "Members to change" not in text(asked)


def test_the_list_needs_as_many_queries_for_three_rows_as_for_one(refused: ReconciliationRecord, token: str) -> None:
    owner = desk()
    once = queries(lambda: owner.list(ReconciliationRecord))
    send(record("A-2"), record("A-3"), token=token)
    assert queries(lambda: owner.list(ReconciliationRecord)) == once

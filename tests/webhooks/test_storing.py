"""What a delivery costs the database, and that what can't be judged is stored all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from tests.webhooks.test_receive import COMPLETED, CONFIRMED, paid_session
from webhooks import inbox
from webhooks.models import EventDelivery, StripeEvent


class Statements:
    """Counts what reaches the database, without the front door's look at the host."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if "tenants_host" not in str(sql):
            self.seen.append(str(sql))
        return execute(sql, params, many, context)


class AwayOnce:
    """The database fails the first statement about the map of objects, and is well again."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self.failed and "tenants_stripeobject" in str(sql):
            self.failed = True
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)


def test_an_event_that_nothing_handles_is_one_statement(trade: Trade, standin: StandIn) -> None:
    statements = Statements()
    with connection.execute_wrapper(statements):
        answer = deliver(event("charge.succeeded", {"id": "ch_1", "object": "charge"}))
    assert answer.json()["outcome"] == "ignored"
    assert len(statements.seen) == 1, statements.seen
    row = StripeEvent.objects.get()
    assert (row.status, row.next_attempt_at, row.processed_at) == ("ignored", None, row.received_at)
    assert EventDelivery.objects.get().outcome == "ignored"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('"Gr\u00fc\u00dfe \U0001f44b"', "Gr\u00fc\u00dfe \U0001f44b"),  # as it is
        ('"\\u0047r\\u00fc\\u00dfe"', "Gr\u00fc\u00dfe"),  # by escapes
        ('"a\\u0000b \\ud800"', "a\ufffdb \ufffd"),  # what no text column holds
        ("1e-999999", 0.0),  # what no number of PostgreSQL's holds
        ("12.50", 12.5),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_what_is_stored_is_what_was_read(trade: Trade, written: str, stored: Any, standin: StandIn) -> None:
    body = json.dumps(event("charge.succeeded", {"id": "ch_1", "said": "HERE"}), indent=2).replace('"HERE"', written)
    assert deliver(body.encode()).json()["outcome"] == "ignored"
    assert StripeEvent.objects.get().payload["data"]["object"] == {"id": "ch_1", "said": stored}


def test_a_paid_checkout_is_settled_in_three_commits(trade: Trade, standin: StandIn) -> None:
    """Stored with its verdict, settled, marked. Six of the 22 are the cart's, which the benchmark's checkouts lack."""
    session = paid_session(trade, standin)
    deliver(event("charge.succeeded", {"id": "ch_1"}, event_id="evt_0"))  # the host is known, the texts are made
    statements = Statements()
    with connection.execute_wrapper(statements):
        assert deliver(event(COMPLETED, session)).json()["outcome"] == "processed"
    assert len(statements.seen) <= 22, "\n".join(statements.seen)
    assert trade.facts() == CONFIRMED


@pytest.mark.parametrize("host", ["hooks.localhost", "band.localhost"])
def test_what_cannot_be_judged_is_stored_and_judged_again(trade: Trade, standin: StandIn, host: str) -> None:
    payload = event(COMPLETED, paid_session(trade, standin))
    with connection.execute_wrapper(AwayOnce()):
        assert deliver(payload, host=host).json()["outcome"] == "processed"
    assert trade.facts() == CONFIRMED
    assert StripeEvent.objects.get().attempts == 1


def test_a_process_that_dies_while_it_handles_leaves_a_lease_that_runs_out(trade: Trade, standin: StandIn) -> None:
    class Dead(BaseException):
        pass

    def dies(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if "FOR NO KEY UPDATE" in str(sql):
            raise Dead
        return execute(sql, params, many, context)

    payload = event(COMPLETED, paid_session(trade, standin))
    with pytest.raises(Dead), connection.execute_wrapper(dies):
        deliver(payload)
    row = StripeEvent.objects.get()
    assert (row.status, row.shop_id, row.attempts) == ("processing", "band", 1)
    assert deliver(payload).json()["outcome"] == "processing"
    assert inbox.sweep_once(now=timezone.now()).found == 0
    assert inbox.sweep_once(now=timezone.now() + inbox.LEASE + timedelta(seconds=1)).processed == 1
    assert trade.facts() == CONFIRMED

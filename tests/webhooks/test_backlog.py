"""A backlog drains, and keeps nothing new waiting. HOLDFAST_BACKLOG=10000 for that of a long outage.

"Not waiting" is a matter of order, whatever the machine: a delivery is handled by its own request, never by the sweep;
and what fails or is orphaned meanwhile is taken before the batch after the one that is under way, of 60 events at most.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from tests.webhooks.test_receive import COMPLETED, CONFIRMED, paid_session
from webhooks import inbox
from webhooks.models import StripeEvent

BACKLOG = int(os.environ.get("HOLDFAST_BACKLOG", "200"))


def stored(*, event_id: str, due: datetime, status: str = "received") -> StripeEvent:
    """An event of the shop's whose process died before it was judged."""
    charge = {"id": f"ch_{event_id}", "object": "charge", "metadata": {"shop_id": "band"}}
    return StripeEvent(
        livemode=False, account="acct_standin", event_id=event_id, type="charge.updated", status=status,
        object_id=charge["id"], payload=event("charge.updated", charge, event_id=event_id), created_at=due,
        received_at=due, next_attempt_at=due,
    )  # fmt: skip


def an_outage(now: datetime) -> None:
    StripeEvent.objects.bulk_create(
        stored(event_id=f"evt_old_{number}", due=now - timedelta(hours=2, seconds=-number % 3600))
        for number in range(BACKLOG)
    )


def drained(now: datetime) -> list[inbox.SweepReport]:
    """Sweeps as beat does, one after the other, until one finds nothing."""
    runs = []
    while (run := inbox.sweep_once(now=now)).found:
        runs.append(run)
    return runs


def in_order() -> list[str]:
    rows = StripeEvent.objects.filter(status="processed").order_by("processed_at", "pk")
    return list(rows.values_list("event_id", flat=True))


class BecomesDue:
    """At the end of the backlog's n-th event another one fails somewhere else."""

    def __init__(self, after: int, now: datetime) -> None:
        self.left, self.now = after, now

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if "SET status = 'processed'" in str(sql):
            self.left -= 1
            if self.left == 0:
                stored(event_id="evt_meanwhile", due=self.now, status="failed").save()
        return answer


def test_a_backlog_drains_each_event_once(trade: Trade) -> None:
    now = timezone.now()
    an_outage(now)
    runs = drained(now)
    assert sum(run.processed for run in runs) == sum(run.found for run in runs) == BACKLOG
    assert set(StripeEvent.objects.values_list("status", "attempts")) == {("processed", 1)}


def test_a_new_delivery_is_handled_by_its_own_request(trade: Trade, standin: StandIn) -> None:
    now = timezone.now()
    an_outage(now)
    assert deliver(event(COMPLETED, paid_session(trade, standin))).json()["outcome"] == "processed"
    assert trade.facts() == CONFIRMED
    assert in_order() == ["evt_1"]


def test_what_becomes_due_during_a_run_is_in_the_next_batch(trade: Trade) -> None:
    now = timezone.now()
    an_outage(now)
    batch = inbox.BATCH + inbox.BATCH // inbox.NEWEST_SHARE
    with connection.execute_wrapper(BecomesDue(after=5, now=now + timedelta(microseconds=1))):
        drained(now)
    assert in_order().index("evt_meanwhile") <= batch + inbox.BATCH // inbox.NEWEST_SHARE
    assert len(in_order()) == BACKLOG + 1


def test_a_stream_of_new_trouble_does_not_keep_the_oldest_waiting(trade: Trade) -> None:
    """The other way round: four in five of a batch are the longest due, however many are new."""
    now = timezone.now()
    an_outage(now)
    StripeEvent.objects.bulk_create(
        stored(event_id=f"evt_new_{number}", due=now, status="failed") for number in range(BACKLOG)
    )
    first = [row.event_id for row in inbox.due_events(now, limit=50)]
    assert sum(event_id.startswith("evt_old") for event_id in first) == 50
    assert sum(event_id.startswith("evt_new") for event_id in first) == 10

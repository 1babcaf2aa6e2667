"""Deliveries as the network makes them: at once and in order, or twice, late, in disorder, never, cut off half-way."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from checkout import resolver
from commerce.ledger import fees
from tests.fixtures.standin import StandIn
from tests.webhooks.deliver import deliver
from webhooks import catch_up, inbox
from webhooks.models import EventCursor, StripeEvent


class Crash(BaseException):
    """The process dies: nothing catches it, as nothing catches a SIGKILL."""


@dataclass
class CrashAt:
    """Dies before the n-th statement that reaches the database."""

    left: int

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Crash
        return execute(sql, params, many, context)


@dataclass
class Post:
    """Takes events from the stand-in's list and hands them to the endpoint, kindly (without `chance`) or not."""

    standin: StandIn
    chance: random.Random | None = None
    seen: set[str] = field(default_factory=set)
    waiting: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    time: int = 0

    def collect(self) -> None:
        """What the last step made, the oldest first: planned, not yet delivered."""
        listed = self.standin.read("/v1/events?limit=100")["data"]
        for payload in reversed(listed):
            if payload["id"] in self.seen:
                continue
            self.seen.add(payload["id"])
            self.waiting += [(self.time + delay, event) for delay, event in self._planned(payload)]

    def _planned(self, payload: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
        chance = self.chance
        if chance is None:
            return [(0, payload)]
        if chance.random() < 0.15:
            self.told.append(f"lost {payload['type']}")
            return []
        copies = [payload] * chance.choice([1, 1, 1, 2, 3])
        if chance.random() < 0.1:
            copies.append(payload | {"id": f"{payload['id']}_twin"})
        return [(chance.choice([0, 0, 1, 2, 4, 8]), copy) for copy in copies]

    def hand_over(self, *, all_of_it: bool = False) -> None:
        """Delivers what is due, in any order; the request may die, Stripe may be away when it is asked."""
        self.time += 1
        due = [event for at, event in self.waiting if all_of_it or at < self.time]
        self.waiting = [entry for entry in self.waiting if not (all_of_it or entry[0] < self.time)]
        if self.chance is not None:
            self.chance.shuffle(due)
        for event in due:
            self._deliver(event)

    def _deliver(self, event: dict[str, Any]) -> None:
        mishap = self.chance.random() if self.chance else 1.0
        if self.chance and mishap < 0.12:
            statement = self.chance.randint(1, 30)
            self.told.append(f"died at {statement} of {event['type']}")
            with suppress(Crash), connection.execute_wrapper(CrashAt(statement)):
                deliver(event)
            return
        if mishap < 0.18:
            self.standin.fault(path="/v1/", method="GET", kind="drop_before")
        answer = deliver(event)
        if mishap < 0.18:
            self.standin.call("faults", method="DELETE")  # not every event makes anybody ask Stripe
        self.told.append(f"{event['type']} {answer.status_code} {answer.json().get('outcome', '')}")
        assert answer.status_code in {200, 503}, answer.content

    def catch_up(self) -> None:
        """What the jobs do in the hours after: list, sweep, ask; until nothing is left to do."""
        self.hand_over(all_of_it=True)
        self.standin.call("faults", method="DELETE")
        for hours in range(1, 9):
            later = timezone.now() + timedelta(hours=hours)
            catch_up.run_once(now=later)
            inbox.sweep_once(now=later)
            fees.run_once(now=later)
            resolver.run_once(now=later)
            if hours > 1 and not StripeEvent.objects.exclude(status__in=["processed", "ignored"]).exists():
                return


def new_world(standin: StandIn) -> None:
    """Stripe without a past. Our own tables keep theirs: who is told of nothing asks about nothing."""
    standin.reset()
    standin.deliveries("hold")
    EventCursor.objects.all().delete()

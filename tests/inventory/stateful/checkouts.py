"""A release guard with a payment provider in memory: sessions that are open, paid or on their way."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from inventory.errors import HoldInCheckout
from inventory.holds import finish_holds_within
from inventory.models import Hold
from inventory.release_guard import GuardReport
from tenants.audit import SETTLEMENT
from tests.inventory.stateful.model import MOST_FREED

SESSION_OUTLIVES_HOLD = timedelta(minutes=35)
OUTCOMES = {"open": "expired", "paid": "committed"}


class SessionGuard:
    """Keeps inventory's ReleaseGuard as the checkout does: nothing is given back that can still be paid."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.states, self.shops, self.ends, self.looked_at, self.now = {}, {}, {}, set(), None

    def opened(self, hold_id, shop, expires_at):
        self.states[hold_id], self.shops[hold_id] = "open", shop
        self.ends[hold_id] = expires_at + SESSION_OUTLIVES_HOLD

    def refuse_finish(self, *, shop_id, hold_id, held_for):
        if held_for == "checkout":
            raise HoldInCheckout

    def refuse_extend(self, *, shop_id, hold_id, until):
        if self.shops.get(hold_id) == shop_id and until > self.ends[hold_id]:
            raise HoldInCheckout

    def reap_overdue(self, *, now, limit):
        overdue = Hold.objects.filter(pk__in=self.states, status="active", expires_at__lte=now)
        due = [
            pk for pk in overdue.order_by("expires_at").values_list("pk", flat=True) if (pk, now) not in self.looked_at
        ][:limit]
        ends = []
        for hold_id in due:
            self.looked_at.add((hold_id, now))
            ends.append(self._settle(hold_id, now))
        return GuardReport(len(due), ends.count("expired"), ends.count("committed"), ends.count(None))

    def free_overdue(self, *, shop_id, hold_ids, within_seconds):
        due = [hold_id for hold_id in hold_ids if self.states[hold_id] in OUTCOMES][:MOST_FREED]
        return [self._settle(hold_id, self.now) for hold_id in due].count("expired")

    def tell(self, *, hold_ids):
        return {}

    def _settle(self, hold_id, now):
        outcome = OUTCOMES.get(self.states[hold_id])
        if outcome is not None:
            with transaction.atomic(durable=True):
                finish_holds_within(hold_ids=[hold_id], outcome=outcome, reason="settled", acting=SETTLEMENT, now=now)
        return outcome

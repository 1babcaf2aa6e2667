"""A release guard that remembers what it was asked and answers what the test wants."""

from __future__ import annotations

from inventory.errors import HoldInCheckout
from inventory.release_guard import GuardReport


class RecordingGuard:
    def __init__(self):
        self.asked = []
        self.owned = set()
        self.session_ends = {}
        self.report = GuardReport()
        self.on_free = lambda hold_ids: 0
        self.stories = {}

    def refuse_finish(self, *, shop_id, hold_id, held_for):
        self.asked.append(("finish", shop_id, hold_id, held_for))
        if hold_id in self.owned:
            raise HoldInCheckout

    def refuse_extend(self, *, shop_id, hold_id, until):
        self.asked.append(("extend", shop_id, hold_id, until))
        if hold_id in self.session_ends and until > self.session_ends[hold_id]:
            raise HoldInCheckout

    def reap_overdue(self, *, now, limit):
        self.asked.append(("reap", now, limit))
        return self.report

    def free_overdue(self, *, shop_id, hold_ids, within_seconds):
        self.asked.append(("free", shop_id, tuple(hold_ids), within_seconds))
        return self.on_free(hold_ids)

    def tell(self, *, hold_ids):
        return {hold_id: story for hold_id, story in self.stories.items() if hold_id in set(hold_ids)}

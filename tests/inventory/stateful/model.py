"""What the inventory is meant to be, in plain Python: two shops, their stock, their holds and all that was written.

Every verb changes the world as the real one changes the database, and answers as it answers: `(code, details)`. Where a
real verb commits more than once, `commit()` marks it: after a crash the database must be at one of these marks.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

MOST_FREED = 5
"""Sessions that the guard ends for one waiting customer."""


@dataclass(frozen=True)
class ModelHold:
    id: UUID
    shop: str
    key: str
    held_for: str
    lines: tuple[tuple[str, int], ...]
    ttl: int
    expires_at: datetime
    status: str = "active"

    @property
    def counts(self) -> bool:
        return self.status in {"active", "committed"}


@dataclass(frozen=True)
class ModelRow:
    on_hand: int
    threshold: int = 0


@dataclass
class World:
    rows: dict[tuple[str, str], ModelRow] = field(default_factory=dict)
    holds: dict[UUID, ModelHold] = field(default_factory=dict)
    movements: list[tuple] = field(default_factory=list)
    audits: list[tuple[str, str]] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    sessions: dict[UUID, str] = field(default_factory=dict)
    """What the payment provider says of a checkout's hold: open, paid or processing."""
    marks: list[World] | None = None
    revived: int = 0

    # ---------------------------------------------------------------- reading

    def held(self, shop: str, key: str) -> int:
        return sum(
            quantity
            for hold in self.holds.values()
            if hold.shop == shop and hold.status == "active"
            for variant, quantity in hold.lines
            if variant == key
        )

    def available(self, shop: str, key: str) -> int:
        row = self.rows.get((shop, key))
        return row.on_hand - self.held(shop, key) if row else 0

    def overdue(self, shop: str, held_for: str, now: datetime, keys: set[str] | None = None) -> list[ModelHold]:
        found = [
            hold
            for hold in self.holds.values()
            if (hold.shop, hold.status, hold.held_for) == (shop, "active", held_for) and hold.expires_at <= now
            if keys is None or keys & {variant for variant, _ in hold.lines}
        ]
        return sorted(found, key=lambda hold: hold.expires_at)

    def snapshot(self) -> dict[str, object]:
        """In the words of reading.py."""
        return {
            "rows": {
                (shop, key): (row.on_hand, self.held(shop, key), self.available(shop, key), row.threshold)
                for (shop, key), row in self.rows.items()
            },
            "holds": {
                hold.id: (
                    hold.shop, hold.status, hold.held_for, hold.key, hold.key if hold.counts else None, hold.ttl,
                    hold.expires_at, hold.status != "active", hold.lines,
                )
                for hold in self.holds.values()
            },
            "movements": sorted(self.movements),
            "audits": self.audits,
        }  # fmt: skip

    # ---------------------------------------------------------------- crashes

    def commit(self) -> None:
        """A transaction ends here for good."""
        if self.marks is not None:
            marks, self.marks = self.marks, None
            marks.append(deepcopy(self))
            self.marks = marks

    # ---------------------------------------------------------------- holds

    def place(self, shop, key, lines, ttl, held_for, now, hold_id, *, makes_room=True):
        wanted = _summed(lines)
        answer = self._try(shop, key, wanted, ttl, held_for, now, hold_id)
        if answer[0] == "inventory_insufficient" and makes_room:
            short = {item[0] for item in answer[1]}
            if self.free_overdue(shop, short, now)[1]:
                answer = self._try(shop, key, wanted, ttl, held_for, now, hold_id)
        self.commit()
        return answer

    def _try(self, shop, key, wanted, ttl, held_for, now, hold_id):
        enough = all((shop, k) in self.rows and self.available(shop, k) >= quantity for k, quantity in wanted)
        rival = next((h for h in self.holds.values() if h.shop == shop and h.key == key and h.counts), None)
        if rival is not None:
            if (rival.lines, rival.held_for) != (wanted, held_for):
                return ("idempotency_conflict", None)
            if rival.status == "active" and rival.held_for == "direct" and rival.expires_at <= now:
                self.revived += 1
                rival = self._set(rival, ttl=ttl, expires_at=now + timedelta(seconds=ttl))
            return ("held", (rival.id, rival.status, rival.expires_at, True))
        if shop in self.closed:
            return ("shop_expired", None)
        if not enough:
            short = [(k, quantity, self.available(shop, k)) for k, quantity in wanted]
            return ("inventory_insufficient", [line for line in short if line[2] < line[1]])
        hold = ModelHold(hold_id, shop, key, held_for, wanted, ttl, now + timedelta(seconds=ttl))
        self.holds[hold_id] = hold
        if held_for == "checkout":
            self.sessions[hold_id] = "open"
        return ("held", (hold_id, "active", hold.expires_at, False))

    def free_overdue(self, shop, keys, now):
        direct = self.overdue(shop, "direct", now, keys)
        for hold in direct:
            self._end(hold, "expired")
        self.commit()
        owned = [h for h in self.overdue(shop, "checkout", now, keys) if self.sessions[h.id] != "processing"]
        ends = [self.settle_overdue(hold) for hold in owned[:MOST_FREED]]
        return ("freed", len(direct) + ends.count("expired"))

    def finish(self, shop, hold_id, outcome):
        """Release or commit as staff and API do."""
        hold = self._of(shop, hold_id)
        if hold is None:
            return ("not_found", None)
        if hold.status != "active":
            return ("done", (hold.status, False)) if hold.status == outcome else ("hold_not_active", hold.status)
        if hold.held_for == "checkout":
            return ("hold_in_checkout", None)
        self._end(hold, outcome)
        self.audits.append((shop, f"hold.{outcome}"))
        self.commit()
        return ("done", (outcome, True))

    def finish_many(self, hold_ids, outcome):
        """As the owner of the holds does it: nobody is asked, those that have ended are left out."""
        ended = {hold_id for hold_id in hold_ids if self.holds[hold_id].status == "active"}
        for hold_id in sorted(ended):
            self._end(self.holds[hold_id], outcome)
        self.commit()
        return ("ended", ended)

    def extend(self, shop, hold_id, ttl, now, session_ends):
        hold = self._of(shop, hold_id)
        until = now + timedelta(seconds=ttl)
        if hold is not None and hold_id in session_ends and until > session_ends[hold_id]:
            return ("hold_in_checkout", None)
        if hold is None:
            return ("not_found", None)
        if hold.status != "active":
            return ("hold_not_active", hold.status)
        if shop in self.closed:
            return ("shop_expired", None)
        changed = until != hold.expires_at
        self._set(hold, ttl=ttl, expires_at=until)
        self.audits.append((shop, "hold.extended"))
        self.commit()
        return ("done", ("active", changed))

    def reap(self, shops, now, limit):
        """`shops` in the order of this run. Direct holds in batches, shop by shop; then those of checkouts."""
        per_shop = {}
        waiting = list(shops)
        while waiting:
            for shop in list(waiting):
                batch = self.overdue(shop, "direct", now)[:limit]
                for hold in batch:
                    self._end(hold, "expired")
                per_shop[shop] = per_shop.get(shop, 0) + len(batch)
                if len(batch) < limit:
                    waiting.remove(shop)
                self.commit()
        owned = sorted(
            (hold for shop in shops for hold in self.overdue(shop, "checkout", now)), key=lambda hold: hold.expires_at
        )
        ends = [self.settle_overdue(hold) for hold in owned]
        counted = {shop: count for shop, count in per_shop.items() if count}
        return ("reaped", (counted, ends.count("expired"), ends.count("committed"), ends.count("active")))

    def settle_overdue(self, hold):
        """What the guard does to one overdue hold of a checkout."""
        outcome = {"open": "expired", "paid": "committed"}.get(self.sessions[hold.id])
        if outcome is not None:
            self._end(hold, outcome)
            self.commit()
        return outcome or "active"

    # ---------------------------------------------------------------- stock

    def open_row(self, shop, key, on_hand):
        if (shop, key) in self.rows:
            return ("invalid_request", None)
        self.rows[shop, key] = ModelRow(0)
        if on_hand:
            self._move(shop, key, on_hand, "opening")
        self.audits.append((shop, "stock.opened"))
        self.commit()
        return ("opened", None)

    def adjust(self, shop, key, delta, reason):
        if (shop, key) not in self.rows:
            return ("not_found", None)
        if self.available(shop, key) + delta < 0:
            return self._in_the_way(shop, key)
        self._move(shop, key, delta, reason)
        self.audits.append((shop, "stock.adjusted"))
        self.commit()
        return ("changed", (self.rows[shop, key].on_hand, self.held(shop, key), delta))

    def recount(self, shop, key, counted):
        if (shop, key) not in self.rows:
            return ("not_found", None)
        if counted < self.held(shop, key):
            return self._in_the_way(shop, key)
        delta = counted - self.rows[shop, key].on_hand
        if delta:
            self._move(shop, key, delta, "recount")
        self.audits.append((shop, "stock.recounted"))
        self.commit()
        return ("changed", (counted, self.held(shop, key), delta))

    def set_threshold(self, shop, key, threshold):
        if (shop, key) not in self.rows:
            return ("not_found", None)
        self.rows[shop, key] = replace(self.rows[shop, key], threshold=threshold)
        self.audits.append((shop, "stock.threshold_set"))
        self.commit()
        return ("set", None)

    def take(self, shop, lines, reference):
        wanted = _summed(lines)
        short = [(k, q, self.available(shop, k)) for k, q in wanted if self.available(shop, k) < q]
        if short:
            return ("inventory_insufficient", short)
        for key, quantity in wanted:
            self._move(shop, key, -quantity, "sale", reference)
        self.commit()
        return ("taken", None)

    def give_back(self, shop, lines, reference):
        wanted = _summed(lines)
        if any((shop, key) not in self.rows for key, _ in wanted):
            return ("not_found", None)
        for key, quantity in wanted:
            self._move(shop, key, quantity, "return", reference)
        self.commit()
        return ("returned", None)

    # ---------------------------------------------------------------- how it is written

    def _of(self, shop, hold_id):
        hold = self.holds.get(hold_id)
        return hold if hold is not None and hold.shop == shop else None

    def _set(self, hold, **changes):
        self.holds[hold.id] = replace(hold, **changes)
        return self.holds[hold.id]

    def _end(self, hold, outcome):
        self._set(hold, status=outcome)
        if outcome == "committed":
            for key, quantity in hold.lines:
                self._move(hold.shop, key, -quantity, "sale", str(hold.id))

    def _move(self, shop, key, delta, reason, reference=""):
        row = self.rows[shop, key]
        self.rows[shop, key] = replace(row, on_hand=row.on_hand + delta)
        self.movements.append((shop, key, delta, row.on_hand + delta, reason, reference))

    def _in_the_way(self, shop, key):
        """The holders that a refusal names."""
        holders = {
            (hold.id, quantity)
            for hold in self.holds.values()
            if hold.shop == shop and hold.status == "active"
            for variant, quantity in hold.lines
            if variant == key
        }
        return ("wrong_state", holders)


def _summed(lines):
    totals = {}
    for key, quantity in lines:
        totals[key] = totals.get(key, 0) + quantity
    return tuple(sorted(totals.items()))

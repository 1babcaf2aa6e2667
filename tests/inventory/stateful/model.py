"""What the inventory is meant to be, in plain Python: two shops, the pool that they are routed to, their stock, their
holds and all that was written.

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
    """`lines` in the shop's words, `sources` where each one's units are: owner, variant there, number of the route."""

    id: UUID
    shop: str
    key: str
    held_for: str
    lines: tuple[tuple[str, int], ...]
    sources: tuple[tuple[str, str, int | None], ...]
    ttl: int
    expires_at: datetime
    status: str = "active"

    @property
    def counts(self) -> bool:
        return self.status in {"active", "committed"}

    @property
    def items(self) -> list[tuple[str, str, int | None, int]]:
        """Owner, variant there, route and quantity of each line."""
        return [(*source, quantity) for source, (_, quantity) in zip(self.sources, self.lines, strict=True)]


@dataclass(frozen=True)
class ModelRow:
    on_hand: int
    threshold: int = 0


@dataclass(frozen=True)
class ModelRoute:
    """A shop's variant that is sold from the pool's row `row`. `held` follows from the holds, so it isn't kept."""

    shop: str
    variant: str
    row: str
    cap: int | None
    sold: int = 0
    enabled: bool = True


@dataclass
class World:
    pool: str = ""
    pool_enabled: bool = True
    enforced: bool = False
    requiring: set[str] = field(default_factory=set)
    """Shops that must not sell without central inventory, where that is enforced."""
    routes: list[ModelRoute] = field(default_factory=list)
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

    def held(self, owner: str, key: str) -> int:
        return sum(quantity for _, quantity in self._holders(owner, key))

    def _holders(self, owner: str, key: str) -> set[tuple[UUID, int]]:
        return {
            (hold.id, quantity)
            for hold in self.holds.values()
            if hold.status == "active"
            for row_owner, row, _, quantity in hold.items
            if (row_owner, row) == (owner, key)
        }

    def available(self, owner: str, key: str) -> int:
        row = self.rows.get((owner, key))
        return row.on_hand - self.held(owner, key) if row else 0

    def held_by_route(self, number: int) -> int:
        active = (hold for hold in self.holds.values() if hold.status == "active")
        return sum(quantity for hold in active for _, _, route, quantity in hold.items if route == number)

    def left(self, number: int) -> int | None:
        """What the shop may still take of its allocation; None without a cap."""
        route = self.routes[number]
        return None if route.cap is None else route.cap - self.held_by_route(number) - route.sold

    def strict(self, shop: str) -> bool:
        return self.enforced and shop in self.requiring

    def source(self, shop: str, key: str, quantity: int, *, strict: bool):
        """Where so many units of a variant come from, as (owner, variant there, route), None for nowhere; how many
        there are for this shop; and why it isn't the pool.
        """
        number = next((n for n, r in enumerate(self.routes) if (r.shop, r.variant) == (shop, key) and r.enabled), None)
        if number is None:
            trouble = "no_route"
        elif not self.pool_enabled:
            trouble = "pool_disabled"
        elif (left := self.left(number)) is not None and left < quantity:
            trouble = "cap_reached"
        else:
            row = self.routes[number].row
            there = self.available(self.pool, row)
            return (self.pool, row, number), there if left is None else min(there, left), None
        if strict or (shop, key) not in self.rows:
            return None, 0, trouble
        return (shop, key, None), self.available(shop, key), trouble

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
                    hold.expires_at, hold.status != "active",
                    tuple((key, quantity, *source[:2]) for (key, quantity), source in
                          zip(hold.lines, hold.sources, strict=True)),
                )
                for hold in self.holds.values()
            },
            "routes": [
                (route.shop, route.variant, route.row, route.enabled, route.cap, self.held_by_route(n), route.sold)
                for n, route in enumerate(self.routes)
            ],
            "movements": sorted(self.movements, key=str),
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
        short = set()
        if answer[0] == "inventory_insufficient":
            short = {item[0] for item in answer[1]}
        elif answer[0] == "inventory_unavailable":
            short = {variant for variant, trouble in answer[1].items() if trouble == "cap_reached"}
        if makes_room and short and self.free_overdue(shop, short, now)[1]:
            answer = self._try(shop, key, wanted, ttl, held_for, now, hold_id)
        self.commit()
        return answer

    def _try(self, shop, key, wanted, ttl, held_for, now, hold_id):
        strict = self.strict(shop)
        found = [(k, quantity, *self.source(shop, k, quantity, strict=strict)) for k, quantity in wanted]
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
        if strict and (troubles := self._troubles(shop, found)):
            return ("inventory_unavailable", troubles)
        if short := [(k, quantity, there) for k, quantity, _, there, _ in found if there < quantity]:
            return ("inventory_insufficient", short)
        sources = tuple(source for _, _, source, _, _ in found)
        hold = ModelHold(hold_id, shop, key, held_for, wanted, sources, ttl, now + timedelta(seconds=ttl))
        self.holds[hold_id] = hold
        if held_for == "checkout":
            self.sessions[hold_id] = "open"
        return ("held", (hold_id, "active", hold.expires_at, False))

    def _troubles(self, shop, found):
        routed = any(route.shop == shop and route.enabled for route in self.routes)
        return {k: trouble if routed else "no_pool" for k, _, _, _, trouble in found if trouble is not None}

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
        self._audit(shop, "stock.opened")
        self.commit()
        return ("opened", None)

    def adjust(self, shop, key, delta, reason):
        if (shop, key) not in self.rows:
            return ("not_found", None)
        if self.available(shop, key) + delta < 0:
            return self._in_the_way(shop, key)
        self._move(shop, key, delta, reason)
        self._audit(shop, "stock.adjusted")
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
        self._audit(shop, "stock.recounted")
        self.commit()
        return ("changed", (counted, self.held(shop, key), delta))

    def set_threshold(self, shop, key, threshold):
        if (shop, key) not in self.rows:
            return ("not_found", None)
        self.rows[shop, key] = replace(self.rows[shop, key], threshold=threshold)
        self._audit(shop, "stock.threshold_set")
        self.commit()
        return ("set", None)

    def take(self, shop, lines, reference):
        strict = self.strict(shop)
        found = [(k, q, *self.source(shop, k, q, strict=strict)) for k, q in _summed(lines)]
        # Without a word about pools where there is no route at all: the verb asks variant by variant.
        if strict and (troubles := {k: trouble for k, _, _, _, trouble in found if trouble is not None}):
            return ("inventory_unavailable", troubles)
        # What the row has, not what the allocation leaves: that it suffices is known by now.
        there = {k: self.available(*source[:2]) if source else 0 for k, _, source, _, _ in found}
        if short := [(k, q, there[k]) for k, q, _, _, _ in found if there[k] < q]:
            return ("inventory_insufficient", short)
        for _, quantity, source, _, _ in found:
            self._move(*source[:2], -quantity, "sale", reference, for_shop=shop)
            self._sold(source[2], quantity)
        self.commit()
        return ("taken", None)

    def give_back(self, shop, lines, reference):
        found = [(quantity, self.source(shop, key, 0, strict=False)[0]) for key, quantity in _summed(lines)]
        if any(source is None for _, source in found):
            return ("not_found", None)
        for quantity, source in found:
            self._move(*source[:2], quantity, "return", reference, for_shop=shop)
            self._sold(source[2], -quantity)
        self.commit()
        return ("returned", None)

    # ---------------------------------------------------------------- pools

    def add_route(self, shop, variant, row, cap):
        live = [route for route in self.routes if route.shop == shop and route.enabled]
        if (self.pool, row) not in self.rows or any(route.variant == variant or route.row == row for route in live):
            return ("invalid_request", None)
        self.routes.append(ModelRoute(shop, variant, row, cap))
        return self._route_done(shop, "added")

    def end_route(self, number):
        if not self.routes[number].enabled:
            return ("wrong_state", None)
        self._change_route(number, enabled=False)
        return self._route_done(self.routes[number].shop, "ended")

    def resume_route(self, number):
        mine = self.routes[number]
        live = [route for route in self.routes if route.shop == mine.shop and route.enabled]
        if mine.enabled or any(route.variant == mine.variant or route.row == mine.row for route in live):
            return ("wrong_state", None)
        self._change_route(number, enabled=True)
        return self._route_done(mine.shop, "resumed")

    def set_allocation(self, number, cap):
        route = self.routes[number]
        if not route.enabled or (cap is not None and cap < self.held_by_route(number) + route.sold):
            return ("wrong_state", None)
        self._change_route(number, cap=cap)
        return self._route_done(route.shop, "allocation_set")

    def renew_allocation(self, number):
        if not self.routes[number].enabled:
            return ("wrong_state", None)
        self._change_route(number, sold=0)
        return self._route_done(self.routes[number].shop, "allocation_renewed")

    def set_pool_enabled(self, enabled):
        if self.pool_enabled == enabled:
            return ("wrong_state", None)
        self.pool_enabled = enabled
        self.commit()
        return ("pool", None)

    def _route_done(self, shop, what):
        self._audit(shop, f"route.{what}")
        self.commit()
        return ("route", what)

    def _change_route(self, number, **changes):
        self.routes[number] = replace(self.routes[number], **changes)

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
            for owner, key, route, quantity in hold.items:
                self._move(owner, key, -quantity, "sale", str(hold.id), for_shop=hold.shop)
                self._sold(route, quantity)

    def _sold(self, number, quantity):
        if number is not None:
            self._change_route(number, sold=max(self.routes[number].sold + quantity, 0))

    def _move(self, owner, key, delta, reason, reference="", *, for_shop=None):
        row = self.rows[owner, key]
        self.rows[owner, key] = replace(row, on_hand=row.on_hand + delta)
        told = for_shop if owner == self.pool else None
        self.movements.append((owner, key, delta, row.on_hand + delta, reason, reference, told))

    def _audit(self, owner, action):
        """What is done to the pool itself is audited under no shop."""
        if owner != self.pool:
            self.audits.append((owner, action))

    def _in_the_way(self, owner, key):
        """The holders that a refusal names."""
        return ("wrong_state", self._holders(owner, key))


def _summed(lines):
    totals = {}
    for key, quantity in lines:
        totals[key] = totals.get(key, 0) + quantity
    return tuple(sorted(totals.items()))

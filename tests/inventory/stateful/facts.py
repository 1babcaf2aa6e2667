"""What there is, in plain Python: two shops, the pool that they are routed to, their stock, their holds and their
history. What may be done with it is model.py's.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID


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
class Facts:
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
    marks: list[Facts] | None = None
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

    # ---------------------------------------------------------------- writing

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

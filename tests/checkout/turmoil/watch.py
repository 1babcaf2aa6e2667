"""What must hold after every step, and once everything has come to rest. Read with plain SQL and from Stripe's side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection

from checkout.models import CheckoutAttempt
from commerce.orders.states import FORWARD, may_move
from inventory.verify import verify_stock
from tests.checkout.test_attempt_model import RIVALS, TRANSITIONS, UNHEARD_OF
from tests.fixtures.standin import StandIn

# (state before, state after, outcome after); the state before a claim is "".
ALLOWED = {(before, after, outcome) for _, before, after, outcome in TRANSITIONS | RIVALS | UNHEARD_OF}
CAN_FOLLOW = {(before, after, outcome) for before, after, outcome in ALLOWED}
while more := {(a, d, o) for a, b, _ in CAN_FOLLOW for c, d, o in ALLOWED if b == c} - CAN_FOLLOW:
    CAN_FOLLOW |= more
OPEN, CLOSED = CheckoutAttempt.State.OPEN.value, CheckoutAttempt.State.CLOSED.value
GIVEN_BACK = {"released", "expired"}
SOLD = {"confirmed"}
PAID = {"confirmed", "review"}
FINAL = {"confirmed", "review", "failed", "canceled"}

ATTEMPTS = """
    SELECT a.id::text, a.state, a.outcome, coalesce(a.cart_id::text, ''), coalesce(a.client_key, ''), a.session_id,
        a.url_answered, a.sends, a.refusals, a.lease_until IS NOT NULL, a.order_id::text, a.hold_id::text, o.status,
        o.session_id, o.total_amount, h.status, h.held_for, h.idempotency_key, h.stock, o.quantity,
        (SELECT count(*) FROM commerce_journalentry j WHERE j.order_id = o.id AND j.kind = 'capture'),
        (SELECT sum(l.quantity) FROM commerce_cart c JOIN commerce_cartline l ON l.cart_id = c.id
            WHERE c.id = a.cart_id AND c.generation = a.cart_generation + 1),
        a.cart_generation, (SELECT c.generation FROM commerce_cart c WHERE c.id = a.cart_id)
    FROM checkout_checkoutattempt a
    LEFT JOIN LATERAL (
        SELECT o.*, (SELECT sum(l.quantity) FROM commerce_orderline l WHERE l.order_id = o.id) AS quantity
        FROM commerce_order o WHERE o.id = a.order_id AND o.shop_id = a.shop_id
    ) o ON true
    LEFT JOIN LATERAL (
        SELECT h.*, (SELECT sum(i.quantity) FROM inventory_holditem i WHERE i.hold_id = h.id) AS stock
        FROM inventory_hold h WHERE h.id = a.hold_id AND h.shop_id = a.shop_id
    ) h ON true
    WHERE a.shop_id = %s
"""
ALONE = """
    SELECT 'order ' || o.id FROM commerce_order o
        WHERE o.shop_id = %(shop)s AND NOT EXISTS (SELECT FROM checkout_checkoutattempt a WHERE a.order_id = o.id)
    UNION ALL
    SELECT 'hold ' || h.id FROM inventory_hold h WHERE h.shop_id = %(shop)s AND h.held_for = 'checkout'
        AND NOT EXISTS (SELECT FROM checkout_checkoutattempt a WHERE a.hold_id = h.id)
"""
STOCK = "SELECT on_hand, held FROM inventory_stockrow WHERE owner_id = %s"


class Row(NamedTuple):
    """One attempt with its order and hold, as `ATTEMPTS` selects them."""

    id: str
    state: str
    outcome: str
    cart: str
    key: str
    session_id: str | None
    url_answered: bool
    sends: int
    refusals: int
    leased: bool
    order_id: str
    hold_id: str | None
    order: str | None
    order_session: str | None
    total: int
    hold: str | None
    held_for: str | None
    hold_key: str | None
    held: int | None
    quantity: int
    captures: int
    in_next_cart: int | None
    generation: int | None
    cart_now: int | None


@dataclass
class Watch:
    """Looks at one shop and at the stand-in. `holds`: whether the shop holds stock while customers pay. `rushed` is set
    when more than one step has been made since the last look.
    """

    shop_id: str
    standin: StandIn
    on_hand: int
    holds: bool
    rushed: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    paid_late: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)

    def look(self, *, at_stripe: bool = True) -> None:
        """Raises AssertionError with everything that is wrong. `at_stripe` false: nothing has happened there."""
        with connection.cursor() as cursor:
            cursor.execute(ATTEMPTS, [self.shop_id])
            rows = {row[0]: Row(*row) for row in cursor.fetchall()}
            cursor.execute(ALONE, {"shop": self.shop_id})
            alone = [str(found) for (found,) in cursor.fetchall()]
            cursor.execute(STOCK, [self.shop_id])
            stock = cursor.fetchone()
        if at_stripe:
            self.sessions = {str(s["id"]): s for s in self.standin.sessions()}
        by_attempt: dict[str, list[dict[str, Any]]] = {}
        for session in self.sessions.values():
            by_attempt.setdefault(str(session["client_reference_id"]), []).append(session)
        wrong = [
            *(f"{what} has no attempt" for what in alone),
            *(f"session of nobody: {who}" for who in by_attempt if who not in rows),
            *self._moves(rows),
            *self._relations(rows, by_attempt),
            *self._slots(rows, by_attempt),
            *self._stock(rows, *stock),
        ]
        self.rows, self.rushed = rows, False
        assert not wrong, "\n".join(wrong)

    def _moves(self, rows: Mapping[str, Row]) -> Iterator[str]:
        """States only along the model's transitions, orders only forwards, nothing forgotten."""
        for gone in self.rows.keys() - rows.keys():
            yield f"attempt {gone} has vanished"
        for row in rows.values():
            before = self.rows.get(row.id)
            was = (before.state, before.outcome) if before else ("", "")
            if before is None and not self.rushed and row.generation != row.cart_now:
                yield f"attempt {row.id} sells generation {row.generation} of a cart that is at {row.cart_now}"
            if was != (row.state, row.outcome):
                move = (was[0], row.state, row.outcome)
                self.seen[" → ".join(part for part in (was[0] or "nothing", row.state, row.outcome) if part)] += 1
                if move not in (CAN_FOLLOW if self.rushed else ALLOWED):
                    yield f"attempt {row.id} moved {move}"
            if before and before.order != row.order and not self._forwards(str(before.order), str(row.order)):
                yield f"order of {row.id} moved from {before.order} to {row.order}"
            if before and before.session_id and before.session_id != row.session_id:
                yield f"attempt {row.id} changed its session"
            if before and (before.sends > row.sends or before.refusals > row.refusals):
                yield f"attempt {row.id} forgot a send or a refusal"
            if before and before.order not in {*PAID, "processing"} and row.order in PAID:
                yield from self._rivals(row, rows)
            if row.captures != (row.order in PAID):
                yield f"attempt {row.id} is {row.order} with {row.captures} captures"

    def _rivals(self, paid: Row, rows: Mapping[str, Row]) -> Iterator[str]:
        """What would sell the same lines once more has its door closed by the payment, also by a late one."""
        for other in rows.values():
            same_cart, same_key = paid.cart and other.cart == paid.cart, paid.key and other.key == paid.key
            same = other.id != paid.id and (same_cart or same_key)
            if same and other.id in self.rows and other.state in {"sending", "unknown", OPEN}:
                yield f"attempt {paid.id} was paid, and {other.id} is still {other.state}"

    def _forwards(self, before: str, after: str) -> bool:
        between = FORWARD[before] if self.rushed else frozenset()
        return may_move(before, after) or any(may_move(step, after) for step in between)

    def _relations(self, rows: Mapping[str, Row], by_attempt: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
        """Attempt, order, hold and session are one to one; a session can be paid only while stock waits for it."""
        for row in rows.values():
            sessions = by_attempt.get(row.id, [])
            if row.order is None or (row.hold is None) == self.holds:
                yield f"attempt {row.id} has order {row.order} and hold {row.hold}"
            if row.hold is not None and (row.held_for, row.hold_key, row.held) != ("checkout", row.id, row.quantity):
                yield f"hold of {row.id} is {row.held_for}, {row.hold_key}, {row.held} of {row.quantity}"
            if len(sessions) > 1:
                yield f"attempt {row.id} has {len(sessions)} sessions"
            if row.session_id and [s["id"] for s in sessions] != [row.session_id]:
                yield f"attempt {row.id} names {row.session_id}"
            if (row.state == OPEN) != row.url_answered and row.state == OPEN:
                yield f"attempt {row.id} is open and nobody may be shown its address"
            if row.order_session not in {None, row.session_id}:
                yield f"order of {row.id} names {row.order_session}"
            for session in sessions:
                yield from self._session(row, session)
            if row.hold in GIVEN_BACK and not sessions and row.outcome not in {"refused", "never_made"}:
                yield f"hold of {row.id} given back as {row.outcome} without a session"

    def _session(self, row: Row, session: Mapping[str, Any]) -> Iterator[str]:
        named = session["metadata"]
        ours = (self.shop_id, row.order_id, row.hold_id, row.total)
        theirs = (named["shop_id"], named["order_id"], named.get("inventory_reservation_id"), session["amount_total"])
        if ours != theirs:
            yield f"session of {row.id} names {theirs}, not {ours}"
        intent = (session["payment_intent"] or {}).get("status", "")
        if session["status"] == "open":
            if self.holds and row.hold != "active":
                yield f"session of {row.id} is payable, its hold is {row.hold}"
            if row.state == CLOSED:
                yield f"session of {row.id} is payable, the attempt is closed as {row.outcome}"
        on_its_way = session["status"] == "complete" and intent in {"processing", "succeeded"}
        if row.hold in GIVEN_BACK and on_its_way and session["id"] not in self.paid_late:
            yield f"hold of {row.id} was given back, its session is paid or will be"

    def _slots(self, rows: Mapping[str, Row], by_attempt: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
        """Of each cart and of each client key: one payable session, one active hold of an unfinished attempt."""
        payable, held, bought = Counter[str](), Counter[str](), dict[str, int]()
        for row in rows.values():
            for slot in filter(None, (row.cart, row.key)):
                payable[slot] += sum(s["status"] == "open" for s in by_attempt.get(row.id, []))
                held[slot] += row.hold == "active" and row.state != CLOSED
            for session in by_attempt.get(row.id, []):
                if row.cart and session["status"] == "complete" and session["id"] not in self.paid_late:
                    bought[row.cart] = max(bought.get(row.cart, -1), row.generation or 0)
        for row in rows.values():
            stale = row.cart and (row.generation or 0) <= bought.get(row.cart, -1)
            if stale and any(session["status"] == "open" for session in by_attempt.get(row.id, [])):
                yield f"session of {row.id} is payable, generation {bought[row.cart]} of its cart is bought"
        yield from (f"{count} payable sessions of {slot}" for slot, count in payable.items() if count > 1)
        yield from (f"{count} active holds of {slot}" for slot, count in held.items() if count > 1)

    def _stock(self, rows: Mapping[str, Row], on_hand: int, held: int) -> Iterator[str]:
        sold = sum(row.quantity for row in rows.values() if row.order in SOLD)
        holding = sum(row.quantity for row in rows.values() if row.hold == "active")
        if not (0 <= held <= on_hand and held == holding and on_hand == self.on_hand - sold):
            yield f"{held} held of {on_hand}; held for attempts {holding}, sold {sold} of {self.on_hand}"

    def look_at_rest(self) -> None:
        """Everything is closed, paid means sold or in review, nothing is left over."""
        self.look()
        wrong = [
            *(f"attempt {row.id} rests {row.state}, {row.order}, hold {row.hold}" for row in self.rows.values()
              if row.state != CLOSED or row.order not in FINAL or row.hold == "active" or row.leased),
            *(f"session {s['id']} is still open" for s in self.sessions.values() if s["status"] == "open"),
            *(f"what {row.id} sold is still in the cart" for row in self.rows.values()
              if row.order in PAID and row.in_next_cart),
            *(drift for drift in verify_stock(owner_id=self.shop_id).drifts),
        ]  # fmt: skip
        money = {s["client_reference_id"] for s in self.sessions.values()
                 if s["status"] != "open" and (s["payment_intent"] or {}).get("status") == "succeeded"}  # fmt: skip
        paid = {row.id for row in self.rows.values() if row.order in PAID}
        if money != paid:
            wrong.append(f"paid at Stripe {sorted(money)}, sold or in review here {sorted(paid)}")
        assert not wrong, "\n".join(map(str, wrong))
        self.seen.update(f"order {row.order}" for row in self.rows.values())

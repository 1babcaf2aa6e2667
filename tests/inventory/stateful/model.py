"""What the inventory is meant to do with what there is.

Every verb changes the world as the real one changes the database, and answers as it answers: `(code, details)`. Where a
real verb commits more than once, `commit()` marks it: after a crash the database must be at one of these marks.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.inventory.stateful.facts import Facts, ModelHold, ModelRoute, ModelRow

MOST_FREED = 5
"""Sessions that the guard ends for one waiting customer."""


class World(Facts):
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


def _summed(lines):
    totals = {}
    for key, quantity in lines:
        totals[key] = totals.get(key, 0) + quantity
    return tuple(sorted(totals.items()))

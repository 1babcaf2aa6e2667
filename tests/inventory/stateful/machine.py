"""What may happen, in any order: each rule does the same to the database, by the real verb, and to the model."""

from __future__ import annotations

import itertools
from copy import deepcopy

from django.conf import settings
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from inventory import holds, routes, stock
from inventory.holds import Line
from inventory.models import PoolRoute
from inventory.reaper import run_once
from inventory.release_guard import GuardReport
from tenants.audit import CUSTOMER, SETTLEMENT
from tenants.models import Shop, ShopSettings
from tests.inventory.stateful.crashes import KINDS, Crash
from tests.inventory.stateful.stage import NOBODY, Stage
from tests.inventory.steps import API, STAFF

VARIANTS = ("A", "B#size:M", "B#size:S")

shops = st.integers(0, 1)
# The third is the pool that both shops may be routed to.
owners = st.sampled_from([0, 0, 1, 1, 2])
numbers = st.integers(0, 30)
caps = st.sampled_from([None, None, 0, 1, 2, 3, 5, 8])
variants = st.sampled_from(VARIANTS)
# Mostly small, so that there is something to hold; "NONE" has no row.
lines = st.lists(
    st.tuples(st.sampled_from([*VARIANTS * 3, "NONE"]), st.sampled_from([1, 1, 1, 2, 4])), min_size=1, max_size=3
)
keys = st.sampled_from([f"k{number}" for number in range(8)])
picks = st.integers(0, 40)
ttls = st.sampled_from([60, 300, 1200, 3600])
kinds = st.sampled_from(["direct", "direct", "checkout"])
outcomes = st.sampled_from(["committed", "released"])
rarely = st.sampled_from([False, False, False, False, True])
crash_points = st.builds(Crash, st.sampled_from([0, 1, 1, 2, 2, 3, 4, 5, 6, 9]), st.sampled_from(KINDS))
crashes = st.one_of(st.none(), st.none(), st.none(), crash_points)


class Inventory(Stage):
    """All that may happen to it."""

    # ---------------------------------------------------------------- the clock and the shop's door

    @initialize(counts=st.lists(st.integers(0, 20), min_size=9, max_size=9), routed=st.booleans())
    def open_shops(self, counts, routed):
        for (owner, key), count in zip(itertools.product(self.owners, VARIANTS), counts, strict=True):
            self._open(owner, key, count, None)
        if routed:
            for shop in self.shops:
                self._add_route(shop, "A", "A", None, None)

    @rule(seconds=st.sampled_from([-20, 1, 1, 59, 60, 61, 300, 1200, 4000]))
    def time_passes(self, seconds):
        """Backwards too: clocks are set."""
        self.seconds += seconds

    @rule(side=shops, opens=st.sampled_from([True, True, False]))
    def close_or_open(self, side, opens):
        shop = self.shops[side]
        Shop.objects.filter(pk=shop).update(status=Shop.Status.ACTIVE if opens else Shop.Status.CLOSED)
        self.world.closed -= {shop}
        if not opens:
            self.world.closed |= {shop}

    # ---------------------------------------------------------------- holds

    @rule(side=shops, key=keys, wanted=lines, ttl=ttls, held_for=kinds, crash=crashes)
    def place(self, side, key, wanted, ttl, held_for, crash):
        """New holds, replays, conflicts, revivals, shortages: whatever the key and the stock make of it."""
        shop = self.shops[side]
        self._place(shop, key, wanted, ttl, held_for, crash)

    @rule(side=shops, key=keys, variant=variants, ttl=ttls, held_for=kinds, crash=crashes)
    def place_one(self, side, key, variant, ttl, held_for, crash):
        """What most customers want."""
        self._place(self.shops[side], key, [(variant, 1)], ttl, held_for, crash)

    @rule(pick=picks, ttl=ttls, crash=crashes)
    def place_again(self, pick, ttl, crash):
        """The same key and lines once more, rather late than early."""
        late = [hold for shop in self.shops for hold in self.world.overdue(shop, "direct", self.now)]
        hold = late[pick % len(late)] if late and pick % 2 else self.world.holds.get(self.hold_at(pick))
        if hold is not None:
            self._place(hold.shop, hold.key, list(hold.lines), ttl, hold.held_for, crash)

    def _place(self, shop, key, wanted, ttl, held_for, crash):
        now = self.now

        def verb():
            asked = [Line(k.partition("#")[0], k, quantity) for k, quantity in wanted]
            placed = holds.place_hold(
                shop_id=shop, key=key, lines=asked, ttl_seconds=ttl, acting=API, held_for=held_for, now=now
            )
            return ("held", (placed.hold_id, placed.status, placed.expires_at, placed.idempotent_hit))

        self.step(verb, lambda w, known: w.place(shop, key, wanted, ttl, held_for, now, known), crash)

    @rule(side=shops, key=keys, wanted=lines, abandoned=rarely, crash=crashes)
    def place_within(self, side, key, wanted, abandoned, crash):
        """As the checkout does it: in a transaction of its own making, which may come to nothing."""
        shop, now, mine = self.shops[side], self.now, holds.uuid7()

        def verb():
            asked = [Line(k.partition("#")[0], k, quantity) for k, quantity in wanted]
            with transaction.atomic(durable=True):
                placed = holds.place_hold_within(
                    shop_id=shop, hold_id=mine, key=key, lines=asked, ttl_seconds=60, held_for="checkout", now=now
                )
                if abandoned:
                    transaction.set_rollback(True)
            return ("held", (placed.hold_id, placed.status, placed.expires_at, placed.idempotent_hit))

        def model(world, known):
            return (deepcopy(world) if abandoned else world).place(
                shop, key, wanted, 60, "checkout", now, mine, makes_room=False
            )

        self.step(verb, model, None if abandoned else crash)

    @rule(side=shops, pick=picks, outcome=outcomes, foreign=rarely, crash=crashes)
    def finish(self, side, pick, outcome, foreign, crash):
        """By API or staff; now and then with the other shop's hold."""
        hold_id, now = self.hold_at(pick), self.now
        hold = self.world.holds.get(hold_id)
        shop = hold.shop if hold is not None and not foreign else self.shops[side]
        finish = holds.release_hold if outcome == "released" else holds.commit_hold

        def verb():
            state = finish(shop_id=shop, hold_id=hold_id, reason="asked", acting=API, now=now)
            return ("done", (state.status, state.changed))

        self.step(verb, lambda w, _: w.finish(shop, hold_id, outcome), crash)

    @rule(side=shops, pick=picks, ttl=ttls, foreign=rarely, crash=crashes)
    def extend(self, side, pick, ttl, foreign, crash):
        hold_id, now = self.hold_at(pick), self.now
        hold = self.world.holds.get(hold_id)
        shop = hold.shop if hold is not None and not foreign else self.shops[side]
        ends = dict(self.guard.ends)

        def verb():
            state = holds.extend_hold(shop_id=shop, hold_id=hold_id, ttl_seconds=ttl, acting=API, now=now)
            return ("done", (state.status, state.changed))

        self.step(verb, lambda w, _: w.extend(shop, hold_id, ttl, now, ends), crash)

    @rule(chosen=st.lists(picks, min_size=1, max_size=6), outcome=outcomes, crash=crashes)
    def finish_many(self, chosen, outcome, crash):
        """A checkout settles, or is superseded: it ends its holds itself, of both shops at once if it likes."""
        ids = sorted({self.hold_at(pick) for pick in chosen} - {NOBODY})
        now = self.now

        def verb():
            with transaction.atomic(durable=True):
                ended = holds.finish_holds_within(
                    hold_ids=ids, outcome=outcome, reason="settled", acting=SETTLEMENT, now=now
                )
            return ("ended", ended)

        self.step(verb, lambda w, _: w.finish_many(ids, outcome), crash)

    @rule(pick=picks, state=st.sampled_from(["paid", "processing", "open"]))
    def at_the_provider(self, pick, state):
        """The customer pays, or the payment takes days, or it fails. The inventory isn't told."""
        hold_id = self.hold_at(pick)
        if hold_id in self.guard.states:
            self.guard.states[hold_id] = self.world.sessions[hold_id] = state

    @rule(limit=st.sampled_from([1, 2, 100]), crash=crashes)
    def reap(self, limit, crash):
        now = self.now

        def verb():
            report = run_once(now=now, limit=limit, pause_seconds=0)
            assert report.failed == ()
            owned = report.checkout or GuardReport()  # None: the guard had no database to work with
            return ("reaped", (report.per_shop, owned.expired, owned.committed, owned.kept))

        orders = [lambda w, _, order=order: w.reap(order, now, limit) for order in (self.shops, self.shops[::-1])]
        self.step(verb, None, crash, orders)

    @rule(side=shops, wanted=st.sets(variants, min_size=1), crash=crashes)
    def free_overdue(self, side, wanted, crash):
        shop, now = self.shops[side], self.now

        def verb():
            return ("freed", holds.free_overdue(shop_id=shop, variant_keys=sorted(wanted), now=now))

        self.step(verb, lambda w, _: w.free_overdue(shop, wanted, now), crash)

    # Hypothesis draws rules evenly: what this is about is drawn more often.
    place_more = place_most = place_one
    finish_more = finish_most = finish
    place_again_more = place_again
    extend_more = extend

    # ---------------------------------------------------------------- stock

    @rule(side=owners, key=st.sampled_from(("A", "C", "D")), on_hand=st.integers(0, 5), crash=crashes)
    def open_row(self, side, key, on_hand, crash):
        self._open(self.owners[side], key, on_hand, crash)

    def _open(self, shop, key, on_hand, crash):
        wish = {"shop_id": shop, "sku": key.partition("#")[0], "variant_key": key, "on_hand": on_hand}

        def verb():
            stock.create_stock_row(**wish, acting=STAFF, note="new", now=self.now)
            return ("opened", None)

        self.step(verb, lambda w, _: w.open_row(shop, key, on_hand), crash)

    @rule(
        side=owners, key=variants, delta=st.integers(-6, 9).filter(bool), crash=crashes,
        reason=st.sampled_from(["receipt", "adjustment", "return"]),
    )  # fmt: skip
    def adjust(self, side, key, delta, reason, crash):
        shop, now = self.owners[side], self.now
        row_id = self.row_id(shop, key)

        def verb():
            change = stock.adjust_stock(
                shop_id=shop, stock_row_id=row_id, delta=delta, reason=reason, note="why", acting=STAFF, now=now
            )
            return ("changed", (change.on_hand, change.held, change.delta))

        self.step(verb, lambda w, _: w.adjust(shop, key, delta, reason), crash)

    @rule(side=owners, key=variants, counted=st.integers(0, 12), elsewhere=rarely, crash=crashes)
    def recount(self, side, key, counted, elsewhere, crash):
        """Now and then somebody counts another owner's row, which isn't there for them."""
        shop, now = self.owners[side], self.now
        row_id = self.row_id(self.owners[side - 1] if elsewhere else shop, key)

        def verb():
            change = stock.recount_stock(
                shop_id=shop, stock_row_id=row_id, counted=counted, note="counted", acting=STAFF, now=now
            )
            return ("changed", (change.on_hand, change.held, change.delta))

        counts = "nowhere" if elsewhere else key
        self.step(verb, lambda w, _: w.recount(shop, counts, counted), crash)

    @rule(side=owners, key=variants, threshold=st.integers(0, 5), crash=crashes)
    def set_threshold(self, side, key, threshold, crash):
        shop, row_id = self.owners[side], self.row_id(self.owners[side], key)

        def verb():
            stock.set_low_stock_threshold(
                shop_id=shop, stock_row_id=row_id, threshold=threshold, note="why", acting=STAFF
            )
            return ("set", None)

        self.step(verb, lambda w, _: w.set_threshold(shop, key, threshold), crash)

    @rule(side=shops, wanted=lines, back=st.booleans(), crash=crashes)
    def take_or_return(self, side, wanted, back, crash):
        """A payment that no hold covers, or units that come back."""
        shop, now = self.shops[side], self.now
        asked = [Line(key.partition("#")[0], key, quantity) for key, quantity in wanted]

        def verb():
            with transaction.atomic(durable=True):
                if back:
                    stock.return_stock_within(shop_id=shop, lines=asked, reference="r", acting=STAFF, now=now)
                else:
                    stock.take_stock_within(shop_id=shop, lines=asked, reference="o", acting=CUSTOMER, now=now)
            return ("returned" if back else "taken", None)

        def model(world, known):
            return world.give_back(shop, wanted, "r") if back else world.take(shop, wanted, "o")

        self.step(verb, model, crash)

    # ---------------------------------------------------------------- pools

    @rule(side=shops, variant=st.sampled_from((*VARIANTS, "D")), row=st.sampled_from((*VARIANTS, "D")), cap=caps,
          crash=crashes)  # fmt: skip
    def add_route(self, side, variant, row, cap, crash):
        """A variant is sold from the pool from now on; "D" has no row at first, neither here nor there."""
        self._add_route(self.shops[side], variant, row, cap, crash)

    def _add_route(self, shop, variant, row, cap, crash):
        wish = routes.NewRoute(shop, variant.partition("#")[0], variant, self.row_id(self.pool, row), cap)

        def verb():
            routes.add_routes(routes=[wish], note="new", acting=STAFF)
            return ("route", "added")

        self.step(verb, lambda w, _: w.add_route(shop, variant, row, cap), crash)

    @rule(number=numbers, what=st.sampled_from(["end", "resume", "resume", "renew", "cap", "cap"]), cap=caps,
          crash=crashes)  # fmt: skip
    def change_route(self, number, what, cap, crash):
        if not self.world.routes:
            return
        number %= len(self.world.routes)
        ids = PoolRoute.objects.filter(shop_id__in=self.shops).order_by("pk").values_list("pk", flat=True)
        named = {"shop_id": self.world.routes[number].shop, "route_id": ids[number], "note": "why", "acting": STAFF}

        def verb():
            match what:
                case "end":
                    routes.end_route(**named)
                    return ("route", "ended")
                case "resume":
                    routes.resume_route(**named)
                    return ("route", "resumed")
                case "renew":
                    routes.renew_allocation(**named)
                    return ("route", "allocation_renewed")
            routes.set_allocation(**named, cap=cap)
            return ("route", "allocation_set")

        def model(world, known):
            match what:
                case "end":
                    return world.end_route(number)
                case "resume":
                    return world.resume_route(number)
                case "renew":
                    return world.renew_allocation(number)
            return world.set_allocation(number, cap)

        self.step(verb, model, crash)

    @rule(enabled=st.sampled_from([True, True, False]))
    def turn_the_pool(self, enabled):
        """On or off. Without crashes: that it is off isn't among what is compared."""

        def verb():
            routes.set_pool_enabled(pool_id=self.pool, enabled=enabled, note="why", acting=STAFF)
            return ("pool", None)

        self.step(verb, lambda w, _: w.set_pool_enabled(enabled))

    @rule(side=shops, requires=st.booleans(), enforced=st.booleans())
    def require_the_pool(self, side, requires, enforced):
        """A shop that may not sell without central inventory, in an environment that enforces it or doesn't."""
        shop = self.shops[side]
        ShopSettings.objects.update_or_create(shop_id=shop, defaults={"requires_central_inventory": requires})
        settings.ENFORCE_CENTRAL_INVENTORY = self.world.enforced = enforced
        self.world.requiring -= {shop}
        if requires:
            self.world.requiring |= {shop}

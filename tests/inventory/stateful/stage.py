"""What every step is played on: two shops and a pool in the database, the same in the model, and the look at both."""

from __future__ import annotations

import itertools
from collections import Counter
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from hypothesis.stateful import RuleBasedStateMachine, invariant

from inventory import holds, routes
from inventory.errors import InsufficientStock, InventoryUnavailable, StockHeld
from inventory.models import PoolRoute, StockRow
from inventory.release_guard import release_guard
from inventory.verify import verify_stock
from tenants.audit import SETTLEMENT
from tenants.errors import HoldfastError
from tests.factories.tenants import ShopFactory
from tests.inventory.stateful.crashes import crashing
from tests.inventory.stateful.model import World
from tests.inventory.stateful.reading import read
from tests.inventory.steps import STAFF

NOBODY = UUID(int=0)
worlds = itertools.count()


class Stage(RuleBasedStateMachine):
    """Two shops and a pool. After every step the database is what the model says, and the stock is proven."""

    seen: ClassVar[Counter[str]] = Counter()
    """Of all machines together: what was answered, and at which commit crashes left the database."""

    def __init__(self):
        super().__init__()
        self.guard = release_guard()
        self.guard.forget()
        number = next(worlds)
        self.shops = [ShopFactory(id=f"world-{number}-{side}").pk for side in "ab"]
        self.pool = routes.create_pool(name=f"world-{number}", title="", note="new", acting=STAFF).pk
        self.owners = [*self.shops, self.pool]
        self.world = World(pool=self.pool)
        settings.ENFORCE_CENTRAL_INVENTORY = False
        self.seconds = self.ticks = 0

    @property
    def now(self) -> datetime:
        """A clock that jumps in whole seconds; the microseconds make every moment a different one."""
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds, microseconds=self.ticks)

    # ---------------------------------------------------------------- one step

    def step(self, verb, model, crash=None, orders=None):
        """`verb()` on the database, `model(world, known)` on the world; `orders` are the ways a model may go."""
        self.ticks += 1
        self.guard.now = self.now
        ways = orders or [model]
        if crash is None:
            answer = _answer(verb)
            known = answer[1][0] if answer[0] == "held" else NOBODY
            self.world.revived = 0
            expected = ways[0](self.world, known)
            assert answer == expected, f"the database answered {answer}, the model {expected}"
            self.seen[_named(answer)] += 1
            self.seen["revived"] += self.world.revived
        else:
            with crashing(crash):
                _answer(verb)
            self._adopt(ways)
        for hold in self.world.holds.values():
            if hold.held_for == "checkout" and hold.id not in self.guard.states:
                self.guard.opened(hold.id, hold.shop, hold.expires_at)

    def _adopt(self, ways):
        """After a crash: the database is at a moment between two commits, and the world goes on from there."""
        seen = read(self.shops, self.pool)
        fresh = [hold_id for hold_id in seen["holds"] if hold_id not in self.world.holds]
        assert len(fresh) <= 1, "one placement is one hold"
        possible = [self.world]
        for way in ways:
            world = deepcopy(self.world)
            world.marks = []
            way(world, fresh[0] if fresh else NOBODY)
            possible += world.marks
        found = next((world for world in possible if world.snapshot() == seen), None)
        assert found is not None, f"half a verb: {seen} is none of {[world.snapshot() for world in possible]}"
        self.seen["crash: nothing happened" if found is self.world else "crash: committed"] += 1
        self.world = found

    @invariant()
    def the_database_is_the_model(self):
        assert read(self.shops, self.pool) == self.world.snapshot()
        for owner in self.owners:
            proof = verify_stock(owner_id=owner)
            assert proof.clean, proof.drifts

    def teardown(self):
        """Nothing of this world is left for the reapers of the next."""
        active = [hold.id for hold in self.world.holds.values() if hold.status == "active"]
        with transaction.atomic(durable=True):
            holds.finish_holds_within(
                hold_ids=active, outcome="released", reason="the end", acting=SETTLEMENT, now=self.now
            )
        assert all(proof.clean for proof in [verify_stock(owner_id=owner) for owner in self.owners])
        assert not StockRow.objects.filter(owner_id__in=self.owners, held__gt=0).exists()
        assert not PoolRoute.objects.filter(shop_id__in=self.shops, held__gt=0).exists()

    # ---------------------------------------------------------------- words

    def hold_at(self, pick) -> UUID:
        """A hold of any shop and state; now and then one that never was."""
        known = sorted(hold.id for hold in self.world.holds.values() if pick % 3 == 0 or hold.status == "active")
        return known[pick % len(known)] if known and pick < 40 else NOBODY

    def row_id(self, shop, key) -> int:
        return StockRow.objects.filter(owner_id=shop, variant_key=key).values_list("pk", flat=True).first() or 0


def _named(answer) -> str:
    code, detail = answer
    if code == "held":
        return "replayed" if detail[3] else "held"
    if code == "freed":
        return "freed" if detail else "nothing to free"
    if code == "route":
        return f"route {detail}"
    return f"{code} {detail[0]}" if code == "done" else code


def _answer(verb):
    """What a verb answers or raises, in the model's words."""
    try:
        return verb()
    except InsufficientStock as error:
        return (error.code, [(item.variant_key, item.requested, item.available) for item in error.items])
    except InventoryUnavailable as error:
        return (error.code, error.troubles)
    except StockHeld as error:
        return (error.code, {(holder.hold_id, holder.quantity) for holder in error.holders})
    except HoldfastError as error:
        return (error.code, getattr(error, "status", None))

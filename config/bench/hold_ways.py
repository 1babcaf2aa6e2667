"""Ways of placing a hold that are compared: the product's verb, and the classic one with Django's ORM."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Final
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from config.bench.hold_stage import SHOP_ID
from inventory.combiner import place_hold_together
from inventory.errors import InventoryBusy
from inventory.holds import Line, lines_digest, place_hold
from inventory.models import Hold, HoldItem, StockRow
from tenants.audit import Actor
from tenants.database import as_shop, as_system

TTL_SECONDS: Final = 3600
BENCH: Final = Actor("system", "bench")
Way = Callable[[tuple[Line, ...]], None]


def verb(lines: tuple[Line, ...]) -> None:
    place_hold(shop_id=SHOP_ID, key=str(uuid4()), lines=lines, ttl_seconds=TTL_SECONDS, acting=BENCH)


def classic(lines: tuple[Line, ...]) -> None:
    """As most shops on Django do it: each row locked, changed in Python and saved, in one transaction."""
    now = timezone.now()
    key = str(uuid4())
    with transaction.atomic():
        if Hold.objects.filter(shop_id=SHOP_ID, active_idempotency_key=key).exists():
            return
        hold = Hold.objects.create(
            shop_id=SHOP_ID,
            idempotency_key=key,
            active_idempotency_key=key,
            lines_digest=lines_digest(lines),
            ttl_seconds=TTL_SECONDS,
            created_at=now,
            expires_at=now + timedelta(seconds=TTL_SECONDS),
        )
        for line in sorted(lines, key=lambda line: line.variant_key):
            row = StockRow.objects.select_for_update().get(owner_id=SHOP_ID, variant_key=line.variant_key)
            if row.on_hand - row.held < line.quantity:
                raise InventoryBusy(retry_after_ms=0)
            row.held += line.quantity
            row.save()
            HoldItem.objects.create(shop_id=SHOP_ID, hold=hold, stock_row=row, quantity=line.quantity)


def together(lines: tuple[Line, ...]) -> None:
    place_hold_together(shop_id=SHOP_ID, key=str(uuid4()), lines=lines, ttl_seconds=TTL_SECONDS, acting=BENCH)


# The same verb with the rights of the tables' owner, whom no policy binds: what the policies cost is the difference.
UNGUARDED: Final = "verb_as_owner"
WAYS: Final[dict[str, Way]] = {"verb": verb, "together": together, UNGUARDED: verb, "classic": classic}


def scope_of(way: str) -> AbstractContextManager[None]:
    """The classic way saves whole rows, which no shop's scope may: it gets the platform's, without policies."""
    if way == "classic":
        return as_system()
    return nullcontext() if way == UNGUARDED else as_shop(SHOP_ID)


def cart(chance: random.Random, *, lines: int, skus: int, hot: bool) -> tuple[Line, ...]:
    """One unit each of `lines` variants; of the same ones each time when `hot`."""
    third = skus // 3
    numbers = [third * at + (1 if hot else chance.randint(1, third)) for at in range(lines)]
    return tuple(Line(f"bench-{number}", f"bench-{number}", 1) for number in numbers)

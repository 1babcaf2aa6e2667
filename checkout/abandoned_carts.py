"""Removes carts that nobody has changed for CART_ABANDONED_DAYS, never what an unfinished checkout may still sell.

In two steps, a run apart. First a cart is emptied, as a new generation: a checkout that begins at that moment finds
another cart than it priced, and reprices nothing. Only the next run removes the empty row, from which no checkout can
begin any more. A row that an attempt names stays, empty: it belongs to an order's story.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Exists, OuterRef, Q

from checkout.models import CheckoutAttempt
from commerce.cart.abandoned import empty_abandoned_within, remove_empty_within
from commerce.cart.metrics import ABANDONED
from commerce.models import Cart, CartLine, Order
from inventory.holds import refuse_transaction
from tenants.database import shop_tx

log = structlog.get_logger(__name__)

# Well below the limit of a task; what is left is the next run's.
SECONDS: Final = 200.0
# Orders whose lines may come back to the cart: their payment is still on its way.
UNDER_WAY: Final = (Order.Status.PENDING, Order.Status.PROCESSING)

Place = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class SweepReport:
    """One run. `failed`: shops whose carts could not all be looked at, left to the next run; so is what `drained` false
    leaves.
    """

    emptied: dict[str, int]
    removed: dict[str, int]
    failed: tuple[str, ...]
    drained: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "emptied": self.emptied,
            "removed": self.removed,
            "failed": list(self.failed),
            "drained": self.drained,
            "seconds": round(self.seconds, 3),
        }


def run_once(*, now: datetime, limit: int = 500) -> SweepReport:
    """Works through the abandoned carts of all shops, in turns of `limit` carts, each a transaction of its own shop.

    Any number of runs may be under way: a cart that another transaction has is passed over. Reads as the platform.
    """
    refuse_transaction("run_once")
    began = time.monotonic()
    before = now - timedelta(days=settings.CART_ABANDONED_DAYS)
    emptied, removed, failed = Counter[str](), Counter[str](), list[str]()
    places: dict[str, Place | None] = dict.fromkeys(_shops(before))
    while places and time.monotonic() - began < SECONDS:
        for shop_id, place in list(places.items()):
            try:
                batch = _batch(shop_id, before=before, after=place, limit=limit)
            except DatabaseError as error:
                log.exception("abandoned_carts_failed", shop_id=shop_id, error=type(error).__name__)
                failed.append(shop_id)
                del places[shop_id]
                continue
            emptied[shop_id] += batch.emptied
            removed[shop_id] += batch.removed
            places[shop_id] = batch.last
            if batch.last is None:
                del places[shop_id]
    for step, counts in (("emptied", emptied), ("removed", removed)):
        for shop_id, count in counts.items():
            ABANDONED.labels(shop_id=shop_id, step=step).inc(count)
    return SweepReport(
        emptied={shop_id: count for shop_id, count in sorted(emptied.items()) if count},
        removed={shop_id: count for shop_id, count in sorted(removed.items()) if count},
        failed=tuple(failed),
        drained=not places,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    emptied: int
    removed: int
    last: Place | None


def _shops(before: datetime) -> list[str]:
    return sorted(Cart.objects.filter(updated_at__lt=before).values_list("shop_id", flat=True).distinct())


def _batch(shop_id: str, *, before: datetime, after: Place | None, limit: int) -> _Batch:
    """The next carts of one shop, oldest first. Goes on after the last one seen: carts that stay would be read again by
    every batch otherwise.
    """
    attempts = CheckoutAttempt.objects.for_shop(shop_id).filter(cart_id=OuterRef("pk"))
    under_way = attempts.filter(~Q(state=CheckoutAttempt.State.CLOSED) | Q(order__status__in=UNDER_WAY))
    lines = CartLine.objects.for_shop(shop_id).filter(cart_id=OuterRef("pk"))
    with shop_tx(shop_id):
        carts = Cart.objects.for_shop(shop_id).filter(updated_at__lt=before)
        if after is not None:
            # Twice, because only a plain comparison narrows the index.
            carts = carts.filter(Q(updated_at__gt=after[0]) | Q(updated_at=after[0], pk__gt=after[1]))
            carts = carts.filter(updated_at__gte=after[0])
        found = list(
            carts.annotate(has_rows=Exists(lines), named=Exists(attempts), under_way=Exists(under_way))
            .order_by("updated_at", "pk")
            .select_for_update(skip_locked=True, of=("self",))[:limit]
        )
        filled = {cart.pk for cart in found if cart.has_rows or cart.lines_version is not None}
        doomed = [cart for cart in found if cart.pk in filled and not cart.under_way]
        empty = [cart.pk for cart in found if cart.pk not in filled and not cart.named]
        if doomed:
            empty_abandoned_within(shop_id=shop_id, carts=doomed)
        if empty:
            remove_empty_within(shop_id=shop_id, cart_ids=empty)
    last = (found[-1].updated_at, found[-1].pk) if len(found) == limit else None
    return _Batch(len(doomed), len(empty), last)

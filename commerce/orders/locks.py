"""Locked orders. In the lock order: attempt, order, hold, stock, cart, journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from commerce.orders.models import Order
from inventory.locks import bound_lock_waits, busy_on_lock_timeout
from tenants.database import shop_tx
from tenants.postgres.kept import KeptQuery

# Milliseconds. Money verbs of one order queue behind each other, and each is short: waiting beats refusing staff.
LOCK_TIMEOUT_MS: Final = 5_000


@contextmanager
def order_tx(shop_id: str) -> Iterator[None]:
    """A durable transaction in which an order's money moves. Raises InventoryBusy, rolled back, when its locks are
    taken for too long.
    """
    with busy_on_lock_timeout(shop_id=shop_id), shop_tx(shop_id):
        bound_lock_waits(LOCK_TIMEOUT_MS)
        yield


def order_for_update(*, shop_id: str, order_id: UUID) -> Order:
    """The order's row, locked; other tables' foreign keys to it stay unblocked."""
    return _ORDER.get(shop_id, order_id)


_ORDER: Final = KeptQuery(
    lambda shop_id, order_id: Order.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=order_id),
    str,
    UUID,
)

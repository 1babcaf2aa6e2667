"""Locks of this app, in the order that everybody takes them: holds by id, stock queues ascending, routes by id, stock
rows by id. A route leads to one row and is locked under that row's queue alone: nobody ever waits for a route.

A stock row has two locks. The advisory one is a queue: waiters get it in the order they came, so that the bound on the
wait means what it says; row locks alone let every waiter start over with each new version of a hot row. The row lock
behind it protects against whoever doesn't queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction

from inventory import metrics
from inventory.errors import HoldNotFound, InventoryBusy
from inventory.models import Hold, PoolRoute, StockRow
from inventory.models.stock import is_pool
from tenants.database import as_shop, as_system
from tenants.metrics import NO_SHOP

LOCK_NOT_AVAILABLE: Final = "55P03"
DEADLOCK_DETECTED: Final = "40P01"


def owner_scope(owner_id: str) -> AbstractContextManager[None]:
    """The scope of the stock's owner: its shop's, or the platform's for a pool."""
    return as_system() if is_pool(owner_id) else as_shop(owner_id)


@contextmanager
def owner_tx(owner_id: str) -> Iterator[None]:
    """A durable transaction in the owner's scope."""
    with owner_scope(owner_id), transaction.atomic(durable=True):
        yield


def bound_lock_waits(milliseconds: int | None = None) -> None:
    """Limits every lock wait in the rest of the current transaction; the setting's limit unless told otherwise."""
    limit = settings.INVENTORY_LOCK_TIMEOUT_MS if milliseconds is None else milliseconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(limit)])


def is_contention(error: OperationalError) -> bool:
    """Whether a lock was waited for too long, or a deadlock broken. The transaction is lost in either case."""
    return getattr(error.__cause__, "sqlstate", None) in {LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED}


@contextmanager
def busy_on_lock_timeout(*, shop_id: str = NO_SHOP) -> Iterator[None]:
    """Turns contention inside the block into InventoryBusy, counted for the shop.

    Goes around the whole `atomic` block from outside: a transaction in which a lock timed out can only be left.
    """
    try:
        yield
    except OperationalError as error:
        if not is_contention(error):
            raise
        raise busy(shop_id=shop_id) from error


def busy(*, shop_id: str) -> InventoryBusy:
    """The error to raise, counted. As long again as we were ready to wait is when a retry is worth its while."""
    metrics.BUSY.labels(shop_id).inc()
    return InventoryBusy(retry_after_ms=settings.INVENTORY_LOCK_TIMEOUT_MS)


def lock_hold(*, shop_id: str, hold_id: UUID) -> Hold:
    """The shop's hold, locked until the transaction ends. Raises HoldNotFound."""
    hold = Hold.objects.for_shop(shop_id).select_for_update().filter(pk=hold_id).first()
    if hold is None:
        raise HoldNotFound
    return hold


def queue_for_rows(row_ids: Iterable[int]) -> None:
    """The first of a row's two locks, in order of id; also the one under which its routes may be locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inventory_stock_queue(%s::bigint[])", [sorted(row_ids)])


def lock_routes(route_ids: Iterable[int]) -> dict[int, PoolRoute]:
    """Routes by id, locked until the transaction ends. To be called under the queues of their rows."""
    rows = PoolRoute.objects.filter(pk__in=sorted(route_ids)).order_by("pk")
    return {route.pk: route for route in rows.select_for_update(no_key=True)}


def lock_rows(row_ids: Iterable[int]) -> dict[int, StockRow]:
    """Stock rows by id, whoever's they are, locked until the transaction ends. To be called under their queues."""
    rows = StockRow.objects.filter(pk__in=sorted(row_ids)).order_by("pk")
    return {row.pk: row for row in rows.select_for_update(no_key=True)}


def lock_stock_rows(*, owner_id: str, row_ids: Iterable[int]) -> list[StockRow]:
    """The owner's rows in order of id, locked until the transaction ends; rows of other owners are left out."""
    ordered = sorted(row_ids)
    queue_for_rows(ordered)
    rows = StockRow.objects.filter(owner_id=owner_id, pk__in=ordered).order_by("pk")
    return list(rows.select_for_update(no_key=True))

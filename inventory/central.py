"""Central inventory: when a shop sells from its pools, and what happens when they fail it (I9).

Shops that require central inventory fail closed where that is enforced: in production, with ENFORCE_CENTRAL_INVENTORY.
Everybody else sells its own stock instead, and every time is counted and logged. Which row a variant is sold from is
the database's to say (`inventory_stock_source`, migrations/0005_pools.py); here is what Python decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, Literal, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, OperationalError, connection, transaction

from inventory import metrics
from inventory.errors import CentralQueryFailed
from inventory.locks import is_contention
from tenants.models import ShopSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")

Central = Literal["own", "lenient", "enforced"]
"""How a statement treats routes: not at all; falling back where they fail; refusing shops that require them."""

QUERY_FAILED: Final = "query_failed"


def central_rule() -> Central:
    """What this environment does to shops that require central inventory."""
    enforced = settings.ENFORCE_CENTRAL_INVENTORY and settings.ENVIRONMENT == "production"
    return "enforced" if enforced else "lenient"


def fails_closed(shop_id: str) -> bool:
    """Whether the shop must not sell without central inventory, here and now. One query at most."""
    required = ShopSettings.objects.for_shop(shop_id).filter(requires_central_inventory=True)
    return central_rule() == "enforced" and required.exists()


def through_routes(*, shop_id: str, work: Callable[..., T]) -> T:
    """`work` through the shop's routes and, when their statement fails, once more on its own stock, counted.

    `work` takes `central` and owns its transactions. Raises what that raises, and CentralQueryFailed for a shop that
    fails closed.
    """
    try:
        return work(central=central_rule())
    except CentralQueryFailed as failure:
        log.error("central_query_failed", shop_id=shop_id, error=str(failure.__cause__))
        if fails_closed(shop_id):
            raise
    answer = work(central="own")
    count_fallback(shop_id=shop_id, troubles={"*": QUERY_FAILED})
    return answer


@contextmanager
def query_may_fail(central: Central) -> Iterator[None]:
    """Turns an error of the statement in the block into CentralQueryFailed, where routes were part of it.

    Contention stays contention, bad values stay a defect, and a database that is away stays away: its own stock is no
    easier to reach.
    """
    try:
        yield
    except DatabaseError as error:
        contention = isinstance(error, OperationalError) and is_contention(error)
        if central == "own" or contention or isinstance(error, IntegrityError | DataError) or _is_away():
            raise
        raise CentralQueryFailed from error


def count_fallback(*, shop_id: str, troubles: Mapping[str, str]) -> None:
    """One more time that own stock stood in; logged once it is certain to have happened."""
    transaction.on_commit(partial(_count, shop_id, dict(troubles)))


def _count(shop_id: str, troubles: dict[str, str]) -> None:
    metrics.CENTRAL_FALLBACK.labels(shop_id).inc()
    log.warning("central_inventory_fallback", shop_id=shop_id, troubles=troubles)


def _is_away() -> bool:
    return connection.connection is None or connection.connection.closed

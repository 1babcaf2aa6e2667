"""Holds of one process that wait for the same stock, placed by one statement (`INVENTORY_COMBINES_HOLDS`).

A hot row is bound by its commits: one hold after the other waits for the disk while it has the row. Here the first
caller of a variant goes ahead as ever; those who come meanwhile wait for it, and one of them places for all. No thread
of our own, no connection of our own: whoever places is a caller with a connection in that shop's scope, so that there
is nothing to start, to fork or to shut down.

Such a statement only ever says "placed". Whoever isn't asks `place_hold`'s own function, and so does everybody when the
statement fails or nobody knows how it ended: the key makes that safe, whatever had happened.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from inventory import metrics
from inventory.holds import PlacedHold, bound_request_id, place_hold, refuse_transaction, usable_ttl
from inventory.lines import Line, combined, digest_of, storable
from inventory.locks import busy
from inventory.periods import has_periods
from tenants.audit import Actor
from tenants.database import current_scope
from tenants.postgres.direct import ask_all

log = structlog.get_logger(__name__)

WAITING_AT_MOST: Final = 256
"""Per variant; more than a process has threads. Who comes after them doesn't wait for others."""
UNDER_WAY_SECONDS: Final = 2.0
"""For a statement that has begun: longer than its own waits for locks. After that the key has to tell how it ended."""

_COLUMNS: Final = "o_wish, o_expires_at, o_waited_seconds"
_ARGUMENTS: Final = (
    "%s::uuid[], %s::text[], %s::text[], %s::integer[], %s::timestamptz[], %s::text[], %s::integer[], %s::text[],"
    " %s::integer[], %s::integer"
)
_guard = threading.Lock()


@dataclass(slots=True, eq=False)
class Wish:
    """What one caller wants, and what becomes of it. Its event is set once it has an answer, has none, or leads."""

    key: str
    lines: tuple[Line, ...]
    ttl_seconds: int
    now: datetime
    request_id: str
    hold_id: UUID = field(default_factory=uuid7)
    placed: PlacedHold | None = None
    leads: list[Wish] | None = None
    told: threading.Event = field(default_factory=threading.Event)


Lane = tuple[str, str, str]
"""Database scope, shop, and the first of the cart's variants: whoever shares these meets at that variant's row."""

_lanes: dict[Lane, list[Wish]] = {}
"""A lane is there while somebody places in it; in it are those who wait."""


def place_hold_together(
    *, shop_id: str, key: str, lines: Sequence[Line], ttl_seconds: int, acting: Actor, now: datetime | None = None
) -> PlacedHold:
    """As `place_hold` for a direct hold, in every answer and every error; when others of this process wait for the same
    variant, with them in one transaction. Raises InventoryBusy also when its turn doesn't come within the lock timeout.
    """
    refuse_transaction("place_hold_together")
    place = partial(place_hold, shop_id=shop_id, key=key, lines=lines, ttl_seconds=ttl_seconds, acting=acting, now=now)
    # What staff place is audited with it, and days have a statement of their own.
    if not settings.INVENTORY_COMBINES_HOLDS or acting.kind == "staff" or has_periods(lines):
        return place()
    return place(first=partial(_in_turn, shop_id=shop_id, key=key, lines=lines, ttl_seconds=ttl_seconds, now=now))


def place_together(*, shop_id: str, wishes: Sequence[Wish]) -> None:
    """One statement for all of them; those that it places have `placed` set, the others know nothing. Raises Django's
    database errors with nothing written, unless the connection was lost.
    """
    lines = [(number, line) for number, wish in enumerate(wishes, 1) for line in wish.lines]
    rows = ask_all(
        columns=_COLUMNS,
        function="inventory_holds_place_together",
        shop_id=shop_id,
        arguments=_ARGUMENTS,
        values=(
            [wish.hold_id for wish in wishes],
            [wish.key for wish in wishes],
            [digest_of(wish.lines) for wish in wishes],
            [wish.ttl_seconds for wish in wishes],
            [wish.now for wish in wishes],
            [wish.request_id for wish in wishes],
            [number for number, _ in lines],
            [line.variant_key for _, line in lines],
            [line.quantity for _, line in lines],
            settings.INVENTORY_LOCK_TIMEOUT_MS,
        ),
    )
    for number, expires_at, _ in rows:
        wish = wishes[number - 1]
        wish.placed = PlacedHold(wish.hold_id, "active", expires_at, idempotent_hit=False)
    if rows:
        metrics.LOCK_WAIT.labels(shop_id).observe(rows[0][2])


def _in_turn(
    plain: Callable[[], PlacedHold],
    *,
    shop_id: str,
    key: str,
    lines: Sequence[Line],
    ttl_seconds: int,
    now: datetime | None,
) -> PlacedHold:
    """The wish's answer: `plain`'s own, or that of a statement for all who waited."""
    lane = (current_scope.get(), shop_id, min((line.variant_key for line in lines), default=""))
    if _leads(lane):  # nearly everybody, for next to nothing
        return _ahead(lane, plain)
    wish = Wish(
        key=storable(key, "idempotencyKey"),
        lines=combined(lines),
        ttl_seconds=usable_ttl(ttl_seconds),
        now=now or timezone.now(),
        request_id=bound_request_id()[:64],
    )
    if _leads(lane, wish):
        return _ahead(lane, plain)
    _await_turn(shop_id, lane, wish)
    if wish.leads == [wish]:
        return _ahead(lane, plain)
    if wish.leads is not None:
        try:
            _place_for(shop_id, wish.leads)
        finally:
            _next(lane)
            for other in wish.leads:
                other.told.set()
    if wish.placed is None:
        return plain()
    metrics.HOLDS_CREATED.labels(shop_id).inc()
    metrics.HOLDS_COMBINED.labels(shop_id).inc()
    return wish.placed


def _leads(lane: Lane, wish: Wish | None = None) -> bool:
    """Whether nobody was placing in the lane; otherwise the wish waits there, or needn't because too many do."""
    with _guard:
        waiting = _lanes.get(lane)
        if waiting is None:
            _lanes[lane] = []
            return True
        if wish is not None:
            if len(waiting) < WAITING_AT_MOST:
                waiting.append(wish)
            else:
                wish.told.set()
        return False


def _ahead(lane: Lane, plain: Callable[[], PlacedHold]) -> PlacedHold:
    try:
        return plain()
    finally:
        _next(lane)


def _place_for(shop_id: str, wishes: list[Wish]) -> None:
    """`place_together`; when that fails nobody is placed, and each finds out for himself why."""
    try:
        place_together(shop_id=shop_id, wishes=wishes)
    except Error as error:
        log.warning("holds_not_placed_together", shop_id=shop_id, holds=len(wishes), error=str(error))
        if connection.connection is not None and not connection.is_usable():
            connection.close()  # its own retry gets another


def _await_turn(shop_id: str, lane: Lane, wish: Wish) -> None:
    """Until the wish has been dealt with or leads. Raises InventoryBusy when nobody has begun with it in time."""
    if wish.told.wait(settings.INVENTORY_LOCK_TIMEOUT_MS * 0.001):
        return
    with _guard:
        waiting = _lanes.get(lane, [])
        withdrawn = wish in waiting
        if withdrawn:
            waiting.remove(wish)
    if withdrawn:
        raise busy(shop_id=shop_id)
    wish.told.wait(UNDER_WAY_SECONDS)


def _next(lane: Lane) -> None:
    """Whoever has placed in the lane leaves it, to the first of those who wait: he places for all of them."""
    with _guard:
        wishes = _lanes[lane]
        if not wishes:
            del _lanes[lane]
            return
        _lanes[lane] = []
        wishes[0].leads = wishes
        wishes[0].told.set()


def _forget() -> None:
    """A forked process has none of the threads that its parent's lanes are waiting for."""
    global _guard
    _guard = threading.Lock()
    _lanes.clear()


os.register_at_fork(after_in_child=_forget)

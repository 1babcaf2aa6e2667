"""Holds: placing, ending and extending them. The rules that must hold whoever writes are in the database (0002, 0003).

`…_within` verbs are bare: they join the caller's transaction. The others own theirs and are refused inside one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from inventory import metrics
from inventory.central import Central, central_rule, count_fallback, query_may_fail, through_routes
from inventory.errors import (
    HoldKeyConflict,
    HoldNotActive,
    HoldNotFound,
    InsufficientStock,
    InventoryUnavailable,
    Shortage,
)
from inventory.lines import Line as Line
from inventory.lines import combined as combined
from inventory.lines import digest_of, storable
from inventory.lines import lines_digest as lines_digest
from inventory.locks import bound_lock_waits, busy, lock_hold
from inventory.locks import busy_on_lock_timeout as busy_on_lock_timeout
from inventory.models import Hold
from inventory.periods import ask_for_periods, has_periods, refuse_where_central
from inventory.release_guard import release_guard
from tenants.audit import Actor, record_audit
from tenants.database import as_shop, shop_tx
from tenants.errors import InvalidRequest, ShopExpired
from tenants.models import Shop
from tenants.postgres.direct import ask, run, text_array

MIN_TTL_SECONDS: Final = 60
MAX_TTL_SECONDS: Final = 3600
# A waiting customer pays for this: the seconds that ending other people's sessions may take.
FREE_WITHIN_SECONDS: Final = 2.0
# More than the guard will end: delayed payments stay overdue for days and aren't the guard's to end.
OWNED_AT_MOST: Final = 50
TIME_WAS_UP: Final = "time was up"

Outcome = Literal["committed", "released", "expired"]

_PLACED: Final = "o_answer, o_hold, o_status, o_expires_at, o_available, o_waited_seconds, o_troubles"
_WISHED: Final = (
    "%s::uuid, %s::text, %s::text, %s::text[], %s::integer[], %s::text, %s::integer, %s::timestamptz, %s::text,"
    " %s::integer, %s::text"
)
_FINISH: Final = "SELECT o_hold, o_shop FROM inventory_holds_finish(%s::uuid[], %s, %s, %s, %s::timestamptz, %s, %s)"
_OVERDUE: Final = """
    SELECT h.id FROM inventory_hold h
    WHERE h.shop_id = %s AND h.status = 'active' AND h.held_for = %s AND h.expires_at <= %s
      AND (EXISTS (SELECT 1 FROM inventory_holditem i JOIN inventory_stockrow s ON s.id = i.stock_row_id
                       LEFT JOIN inventory_poolroute r ON r.id = i.route_id
                   WHERE i.hold_id = h.id AND coalesce(r.variant_key, s.variant_key) = ANY (%s::text[]))
        OR EXISTS (SELECT 1 FROM inventory_holdperiod p JOIN inventory_stockrow s ON s.id = p.stock_row_id
                   WHERE p.hold_id = h.id AND s.variant_key = ANY (%s::text[])))
    ORDER BY h.expires_at LIMIT %s
"""
_MAKING_ROOM: Final = Actor("system", "making-room")


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """The hold that a key has. `idempotent_hit`: it was there before, and no stock was moved."""

    hold_id: UUID
    status: str
    expires_at: datetime
    idempotent_hit: bool


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold after a verb. `changed` is false when the verb found it done already."""

    hold_id: UUID
    status: str
    expires_at: datetime
    changed: bool


def place_hold_within(
    *,
    shop_id: str,
    hold_id: UUID,
    key: str,
    lines: Sequence[Line],
    ttl_seconds: int,
    held_for: str,
    now: datetime,
    request_id: str = "",
    central: Central | None = None,
) -> PlacedHold:
    """Holds all lines or none, under `key`; a repeat finds the hold it made. One round trip.

    Joins the caller's transaction, and bounds every lock wait in the rest of it. Raises InvalidRequest, ShopExpired,
    InsufficientStock (RentalUnavailable for periods), InventoryUnavailable, HoldKeyConflict and InventoryBusy with
    nothing written; leave the transaction then, as its locks on the stock remain. Waiting too long is an
    OperationalError: see busy_on_lock_timeout. `central` is `through_routes`' to say; without it a statement that fails
    isn't tried again.
    """
    answer = _placed(
        shop_id=shop_id,
        hold_id=hold_id,
        key=storable(key, "idempotencyKey"),
        wanted=combined(lines),
        ttl_seconds=usable_ttl(ttl_seconds),
        held_for=held_for,
        now=now,
        request_id=request_id,
        central=central or central_rule(),
    )
    counter = metrics.HOLDS_REPEATED if answer.idempotent_hit else metrics.HOLDS_CREATED
    transaction.on_commit(partial(counter.labels(shop_id).inc))
    return answer


def place_hold(
    *,
    shop_id: str,
    key: str,
    lines: Sequence[Line],
    ttl_seconds: int,
    acting: Actor,
    held_for: str = "direct",
    now: datetime | None = None,
    first: Callable[[Callable[[], PlacedHold]], PlacedHold] | None = None,
) -> PlacedHold:
    """Holds all lines or none, under `key`; a repeat finds the hold it made, and revives it when it was overdue.

    One round trip when there is stock. When there isn't, overdue holds on the short variants are given back first. The
    hold's row is its record; a placement by staff is audited as well. `first` is given the first try and answers for it
    (inventory/combiner.py). Raises InvalidRequest, ShopExpired, InsufficientStock, InventoryUnavailable,
    HoldKeyConflict and InventoryBusy.
    """
    refuse_transaction("place_hold")
    wish = {"shop_id": shop_id, "key": key, "lines": lines, "ttl_seconds": ttl_seconds, "held_for": held_for}
    started = now or timezone.now()
    plain = partial(_place_and_audit, acting=acting, now=started, **wish)
    try:
        return plain() if first is None else first(plain)
    except (InsufficientStock, InventoryUnavailable) as shortage:
        short = keys_in_the_way(shortage)
        if not short or not free_overdue(shop_id=shop_id, variant_keys=short, now=started):
            raise
        return _place_and_audit(acting=acting, now=now or timezone.now(), **wish)


def keys_in_the_way(shortage: InsufficientStock | InventoryUnavailable) -> list[str]:
    """The variants for which overdue holds are worth ending: those that are short, or whose allocation is used up."""
    if isinstance(shortage, InventoryUnavailable):
        return shortage.keys_at_cap()
    return [item.variant_key for item in shortage.items]


def free_overdue(*, shop_id: str, variant_keys: Sequence[str], now: datetime) -> int:
    """Gives back overdue holds on these variants, because a customer waits for them; answers how many.

    Direct holds end in a transaction of their own; those that checkouts own are offered to the release guard, which
    tries at most five within two seconds.
    """
    refuse_transaction("free_overdue")
    keys = list(variant_keys)
    with busy_on_lock_timeout(shop_id=shop_id), shop_tx(shop_id), connection.cursor() as cursor:
        cursor.execute(f"{_OVERDUE} FOR UPDATE OF h SKIP LOCKED", [shop_id, "direct", now, keys, keys, 100])
        direct = [row[0] for row in cursor.fetchall()]
        freed = len(
            finish_holds_within(hold_ids=direct, outcome="expired", reason=TIME_WAS_UP, acting=_MAKING_ROOM, now=now)
        )
    with as_shop(shop_id), connection.cursor() as cursor:
        cursor.execute(_OVERDUE, [shop_id, "checkout", now, keys, keys, OWNED_AT_MOST])
        owned = [row[0] for row in cursor.fetchall()]
    if owned:
        freed += release_guard().free_overdue(shop_id=shop_id, hold_ids=owned, within_seconds=FREE_WITHIN_SECONDS)
    return freed


def finish_holds_within(
    *, hold_ids: Iterable[UUID], outcome: Outcome, reason: str, acting: Actor, now: datetime
) -> set[UUID]:
    """Ends those of the holds that are active, in the caller's transaction; answers which those were. One round trip.

    `committed` turns the units into sales, one movement each with the hold as its reference; the others give them back.
    The hold keeps who ended it, when and why. Asks no guard: whoever calls this has the right to.
    """
    ids = list(hold_ids)
    if not ids:
        return set()
    finished, _ = run(
        _FINISH,
        [ids, outcome, reason[:200], str(acting), now, bound_request_id(), settings.INVENTORY_LOCK_TIMEOUT_MS],
    )
    for _, shop_id in finished:
        transaction.on_commit(partial(metrics.FINISHED[outcome].labels(shop_id).inc))
    return {hold_id for hold_id, _ in finished}


def release_hold(*, shop_id: str, hold_id: UUID, reason: str, acting: Actor, now: datetime | None = None) -> HoldState:
    """Gives the units back. A released hold stays released (`changed` false).

    Raises HoldNotFound, HoldNotActive when it ended otherwise, HoldInCheckout when a checkout owns it, InventoryBusy.
    """
    return _finish(shop_id=shop_id, hold_id=hold_id, outcome="released", reason=reason, acting=acting, now=now)


def commit_hold(*, shop_id: str, hold_id: UUID, reason: str, acting: Actor, now: datetime | None = None) -> HoldState:
    """Turns the hold into a sale: its units leave the stock. A committed hold stays committed (`changed` false).

    Raises HoldNotFound, HoldNotActive when it ended otherwise, HoldInCheckout when a checkout owns it, InventoryBusy.
    """
    return _finish(shop_id=shop_id, hold_id=hold_id, outcome="committed", reason=reason, acting=acting, now=now)


def extend_hold(
    *, shop_id: str, hold_id: UUID, ttl_seconds: int, acting: Actor, reason: str = "", now: datetime | None = None
) -> HoldState:
    """Lets the hold live `ttl_seconds` from now, 60 to 3,600; an overdue one that is still active lives again.

    Raises InvalidRequest, HoldNotFound, HoldNotActive, InventoryBusy, ShopExpired for a closed shop, and HoldInCheckout
    when its session ends earlier.
    """
    at = now or timezone.now()
    until = at + timedelta(seconds=usable_ttl(ttl_seconds))
    with busy_on_lock_timeout(shop_id=shop_id), shop_tx(shop_id):
        bound_lock_waits()
        release_guard().refuse_extend(shop_id=shop_id, hold_id=hold_id, until=until)
        hold = lock_hold(shop_id=shop_id, hold_id=hold_id)
        if hold.status != Hold.Status.ACTIVE:
            raise HoldNotActive(hold.status)
        if not Shop.objects.filter(pk=shop_id, status=Shop.Status.ACTIVE).exists():
            raise ShopExpired("The shop is closed to new business.")
        changed = until != hold.expires_at
        hold.expires_at, hold.ttl_seconds = until, ttl_seconds
        hold.save(update_fields=["expires_at", "ttl_seconds"])
        _audit(shop_id, acting, "hold.extended", hold_id, reason, {"until": until.isoformat()})
    return HoldState(hold_id, hold.status, until, changed)


def bound_request_id() -> str:
    """The id of the request that this work belongs to; empty outside one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _finish(
    *, shop_id: str, hold_id: UUID, outcome: Outcome, reason: str, acting: Actor, now: datetime | None
) -> HoldState:
    with busy_on_lock_timeout(shop_id=shop_id), shop_tx(shop_id):
        bound_lock_waits()
        seen = Hold.objects.for_shop(shop_id).filter(pk=hold_id).first()
        if seen is None:
            raise HoldNotFound
        if seen.status == Hold.Status.ACTIVE:
            # The guard locks what stands before a hold in the lock order, so it is asked before the hold is locked.
            release_guard().refuse_finish(shop_id=shop_id, hold_id=hold_id, held_for=seen.held_for)
        hold = lock_hold(shop_id=shop_id, hold_id=hold_id)
        if hold.status != Hold.Status.ACTIVE:
            if hold.status != outcome:
                raise HoldNotActive(hold.status)
            return HoldState(hold_id, hold.status, hold.expires_at, changed=False)
        at = now or timezone.now()
        finish_holds_within(hold_ids=[hold_id], outcome=outcome, reason=reason, acting=acting, now=at)
        _audit(shop_id, acting, f"hold.{outcome}", hold_id, reason, {})
    return HoldState(hold_id, outcome, hold.expires_at, changed=True)


def _place_and_audit(*, now: datetime, acting: Actor, **wish: Any) -> PlacedHold:
    wish["request_id"] = bound_request_id()

    def place(central: Central) -> PlacedHold:
        if acting.kind != "staff":
            return place_hold_within(hold_id=uuid7(), now=now, central=central, **wish)
        with transaction.atomic(durable=True):
            placed = place_hold_within(hold_id=uuid7(), now=now, central=central, **wish)
            if not placed.idempotent_hit:
                _audit(wish["shop_id"], acting, "hold.placed", placed.hold_id, "", {})
        return placed

    with busy_on_lock_timeout(shop_id=wish["shop_id"]):
        return through_routes(shop_id=wish["shop_id"], work=place)


def _placed(
    *,
    shop_id: str,
    hold_id: UUID,
    key: str,
    wanted: tuple[Line, ...],
    ttl_seconds: int,
    held_for: str,
    now: datetime,
    request_id: str,
    central: Central,
) -> PlacedHold:
    if has_periods(wanted):
        if central == "enforced":
            refuse_where_central(shop_id=shop_id, lines=wanted)
        answer, placed, status, expires_at = ask_for_periods(
            shop_id=shop_id, hold_id=hold_id, key=key, wanted=wanted, ttl_seconds=ttl_seconds, held_for=held_for,
            now=now, request_id=request_id,
        )  # fmt: skip
        return _read_answer(shop_id, answer, placed, status, expires_at)
    keys = text_array([line.variant_key for line in wanted])
    quantities = "{" + ",".join([str(line.quantity) for line in wanted]) + "}"
    with query_may_fail(central):
        answer, placed, status, expires_at, available, waited, troubles = ask(
            columns=_PLACED,
            function="inventory_hold_place",
            shop_id=shop_id,
            arguments=_WISHED,
            values=(
                str(hold_id), key, digest_of(wanted), keys, quantities, held_for, ttl_seconds, now, request_id[:64],
                settings.INVENTORY_LOCK_TIMEOUT_MS, central,
            ),
        )  # fmt: skip
    if waited is not None:
        metrics.LOCK_WAIT.labels(shop_id).observe(waited)
    if answer == "insufficient":
        raise InsufficientStock(_shortages(wanted, json.loads(available)))
    if answer == "unavailable":
        raise InventoryUnavailable(json.loads(troubles))
    found = _read_answer(shop_id, answer, placed, status, expires_at)
    if troubles is not None:
        count_fallback(shop_id=shop_id, troubles=json.loads(troubles))
    return found


def _read_answer(shop_id: str, answer: str, placed: UUID, status: str, expires_at: datetime) -> PlacedHold:
    if answer == "conflict":
        raise HoldKeyConflict
    if answer == "closed":
        raise ShopExpired("The shop is closed to new business.")
    if answer == "busy":
        raise busy(shop_id=shop_id)
    return PlacedHold(placed, status, expires_at, idempotent_hit=answer != "created")


def _shortages(wanted: Iterable[Line], available: Mapping[str, int]) -> list[Shortage]:
    """The lines that can't be met."""
    return [
        Shortage(line.sku, line.variant_key, line.quantity, available.get(line.variant_key, 0))
        for line in wanted
        if available.get(line.variant_key, 0) < line.quantity
    ]


def usable_ttl(seconds: object) -> int:
    """A hold's time to live, 60 to 3,600 seconds. Raises InvalidRequest for anything else."""
    if type(seconds) is not int or not MIN_TTL_SECONDS <= seconds <= MAX_TTL_SECONDS:
        raise InvalidRequest(
            "A hold's time to live is out of bounds.",
            {"ttlSeconds": [f"A whole number from {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS}."]},
        )
    return seconds


def refuse_transaction(verb: str) -> None:
    """Durable means what it says: what a verb has answered must not be undone by a caller's rollback."""
    if connection.in_atomic_block and not getattr(connection.atomic_blocks[-1], "_from_testcase", False):
        raise RuntimeError(f"{verb} owns its transaction and can't join another; see place_hold_within.")


def _audit(shop_id: str, acting: Actor, action: str, hold_id: UUID, reason: str, data: dict[str, str]) -> None:
    record_audit(
        shop_id=shop_id, acting=acting, action=action, object_type="hold", object_id=hold_id, reason=reason, data=data
    )

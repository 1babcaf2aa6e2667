"""Changing many stock rows at once: locked in the house's order, one movement for each that changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from inventory.bulk.judging import Stock
from inventory.holds import bound_request_id
from inventory.locks import lock_stock_rows
from inventory.models import StockMovement, StockRow
from inventory.periods import most_booked
from inventory.stock import holders_of
from tenants.audit import Actor

Reason = StockMovement.Reason

# In order of key: two imports that open the same rows wait for each other, and never in a circle.
_OPEN: Final = """
    INSERT INTO inventory_stockrow (owner_id, sku, variant_key, on_hand, held, low_stock_threshold, created_at)
    SELECT %s, n.sku, n.variant_key, 0, 0, 0, %s
    FROM unnest(%s::text[], %s::text[]) AS n (sku, variant_key) ORDER BY n.variant_key
    ON CONFLICT (owner_id, variant_key) DO NOTHING
    RETURNING variant_key
"""
_MOVE: Final = """
    WITH wanted AS (
        SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::integer[], %s::text[])
            AS w (id, delta, threshold, reason)),
    moved AS (
        UPDATE inventory_stockrow s SET on_hand = s.on_hand + w.delta, low_stock_threshold = w.threshold
        FROM wanted w WHERE s.id = w.id AND s.owner_id = %s
        RETURNING s.id, s.on_hand, w.delta, w.reason)
    INSERT INTO inventory_stockmovement
        (owner_id, stock_row_id, delta, on_hand_after, reason, reference, actor, note, request_id, at)
    SELECT %s, m.id, m.delta, m.on_hand, m.reason, %s, %s, %s, %s, %s FROM moved m WHERE m.delta <> 0 ORDER BY m.id
"""
NAMED_HOLDERS: Final = 3


@dataclass(frozen=True, slots=True)
class Move:
    """`delta` units of a locked row, 0 to move none, and the threshold that it gets."""

    stock_row_id: int
    delta: int
    threshold: int
    reason: StockMovement.Reason


def stock_by_key(*, shop_id: str, keys: Collection[str]) -> dict[str, Stock]:
    """The shop's rows of these variants as they are, without locks. One query."""
    rows = StockRow.objects.filter(owner_id=shop_id, variant_key__in=list(keys))
    found = rows.values_list("variant_key", "pk", "on_hand", "held", "low_stock_threshold")
    return {key: Stock(*numbers) for key, *numbers in found}


def locked_stock(*, shop_id: str, row_ids: Collection[int], now: datetime) -> dict[int, Stock]:
    """The shop's rows, locked until the transaction ends, by id. What is booked on a day counts as held: a file may not
    take it away either.
    """
    rows = lock_stock_rows(owner_id=shop_id, row_ids=row_ids)
    booked = most_booked(owner_id=shop_id, row_ids=row_ids, now=now)
    return {
        row.pk: Stock(row.pk, row.on_hand, max(row.held, booked.get(row.pk, 0)), row.low_stock_threshold)
        for row in rows
    }


def open_rows(*, shop_id: str, variants: Sequence[tuple[str, str]], now: datetime) -> set[str]:
    """Makes empty stock rows of `(sku, variant key)`; answers the keys of those that weren't there yet.

    In the caller's transaction, before it locks any stock row.
    """
    if not variants:
        return set()
    with connection.cursor() as cursor:
        skus, keys = zip(*variants, strict=True)
        cursor.execute(_OPEN, [shop_id, now, list(skus), list(keys)])
        return {key for (key,) in cursor.fetchall()}


def move_locked(
    *, shop_id: str, moves: Sequence[Move], reference: str, note: str, acting: Actor, now: datetime
) -> None:
    """Changes locked rows and explains each change of units by a movement with `reference`."""
    if not moves:
        return
    columns = (
        [move.stock_row_id for move in moves],
        [move.delta for move in moves],
        [move.threshold for move in moves],
        [str(move.reason) for move in moves],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVE, [*columns, shop_id, shop_id, reference, str(acting), note, bound_request_id(), now]
        )  # fmt: skip


def who_holds(*, shop_id: str, stock_row_id: int) -> str:
    """The holds in the way, the first to end first, in words that end a sentence; empty where nobody holds."""
    holders = holders_of(owner_id=shop_id, stock_row_id=stock_row_id, limit=NAMED_HOLDERS + 1)
    if not holders:
        return ""
    named = [f"{holder.quantity} by {holder.held_for} hold {holder.hold_id}" for holder in holders[:NAMED_HOLDERS]]
    return f" Held: {', '.join(named)}{' and others' if len(holders) > NAMED_HOLDERS else ''}."

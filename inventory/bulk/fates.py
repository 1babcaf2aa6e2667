"""Writing what became of many rows of an import: one statement for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

from inventory.bulk.judging import Effect, Plan, Stock
from inventory.bulk.rows import Code, RowRefused
from inventory.models import StockImportRow

State = StockImportRow.State

_WRITE: Final = """
    UPDATE inventory_stockimportrow r
    SET state = f.state, effect = f.effect, code = f.code, problem = f.problem, stock_row_id = f.stock_row,
        seen_on_hand = f.on_hand, seen_threshold = f.threshold, delta = f.delta
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::integer[],
                %s::integer[], %s::integer[])
        AS f (id, state, effect, code, problem, stock_row, on_hand, threshold, delta)
    WHERE r.id = f.id AND r.owner_id = %s
"""


@dataclass(frozen=True, slots=True)
class Fate:
    """What a row becomes. `on_hand` and `threshold` are those that were seen, before any change."""

    state: StockImportRow.State
    effect: str = Effect.NOTHING
    code: str = ""
    problem: str = ""
    stock_row_id: int | None = None
    on_hand: int | None = None
    threshold: int | None = None
    delta: int = 0


def planned(plan: Plan, stock: Stock | None) -> Fate:
    """What the preview says of a row that can be applied."""
    return fate_of(plan, stock, State.PENDING)


def fate_of(plan: Plan, stock: Stock | None, state: StockImportRow.State) -> Fate:
    """`state` for a plan that does something; a plan that does nothing leaves the row unchanged."""
    return Fate(
        state=State.UNCHANGED if plan.effect is Effect.NOTHING else state,
        effect=plan.effect,
        stock_row_id=stock.row_id if stock else None,
        on_hand=stock.on_hand if stock else 0,
        threshold=stock.threshold if stock else 0,
        delta=plan.delta,
    )


def refused(error: RowRefused, stock: Stock | None = None) -> Fate:
    return failed(error.code, error.problem, stock)


def failed(code: Code, problem: str, stock: Stock | None = None) -> Fate:
    return Fate(
        state=State.FAILED,
        code=code,
        problem=problem,
        stock_row_id=stock.row_id if stock else None,
        on_hand=stock.on_hand if stock else None,
        threshold=stock.threshold if stock else None,
    )


def write_fates(*, shop_id: str, fates: Sequence[tuple[int, Fate]]) -> None:
    """Writes `(row id, fate)` in the caller's transaction."""
    if not fates:
        return
    columns = [
        [row_id for row_id, _ in fates],
        *(
            [getattr(fate, name) for _, fate in fates]
            for name in ("state", "effect", "code", "problem", "stock_row_id", "on_hand", "threshold", "delta")
        ),
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [*(list(map(_plain, column)) for column in columns), shop_id])


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value

"""What a wanted row does to the stock that is there. Pure: asked for the preview, and again under the row's lock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inventory.bulk.rows import Code, Mode, RowRefused
from inventory.stock import MAX_ON_HAND


class Effect(StrEnum):
    NEW = "new"
    CHANGE = "change"
    THRESHOLD = "threshold"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock row as it is."""

    row_id: int
    on_hand: int
    held: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`delta` units are moved, and the threshold becomes `threshold`."""

    effect: Effect
    delta: int
    on_hand: int
    threshold: int


def judge(*, mode: Mode, number: int | None, threshold: int | None, stock: Stock | None, seen: int | None) -> Plan:
    """The plan for one row. `stock` is None while the variant has no row; `seen` is what was on hand when somebody
    looked at the preview, None when nobody did.

    Raises RowRefused: fewer units would be left than are held; a count was overtaken by sales; out of range.
    """
    if stock is None:
        if number is None:
            raise RowRefused(Code.NO_ROW, "There is no stock of this variant yet: a threshold alone opens none.")
        if number < 0:
            raise RowRefused(Code.NO_ROW, "There is no stock of this variant to take units from.")
        return Plan(Effect.NEW, number, number, threshold or 0)
    delta = 0 if number is None else number - stock.on_hand if mode is Mode.SET else number
    if mode is Mode.SET and delta and seen is not None and seen != stock.on_hand:
        # A count is of a moment. Setting it now would undo what was sold or received since.
        raise RowRefused(
            Code.STALE, f"On hand was {seen} in the preview and is {stock.on_hand} now; look at the row again."
        )
    after = stock.on_hand + delta
    if delta and after < stock.held:
        at_most = stock.on_hand - stock.held
        raise RowRefused(
            Code.HELD, f"{stock.held} of {stock.on_hand} units are held; at most {at_most} can be taken away."
        )
    if after > MAX_ON_HAND:
        raise RowRefused(Code.RANGE, f"That would be {after:,} units; a row has at most {MAX_ON_HAND:,}.")
    wanted = stock.threshold if threshold is None else threshold
    effect = Effect.CHANGE if delta else Effect.THRESHOLD if wanted != stock.threshold else Effect.NOTHING
    return Plan(effect, delta, after, wanted)

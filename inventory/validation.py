"""Whether there is enough of everything right now, without holding it (I2). Only a hold decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inventory.availability import available_for_lines
from inventory.errors import InsufficientStock, RentalUnavailable, Shortage
from inventory.lines import Line, combined
from inventory.periods import available_for_periods, has_periods, short_periods


@dataclass(frozen=True, slots=True)
class Checked:
    """A line and the units available for it."""

    line: Line
    available: int


def validate_lines(*, shop_id: str, lines: Iterable[Line]) -> tuple[Checked, ...]:
    """The lines in order of their variants, duplicates summed, each with what is available. One query, for periods two.

    A variant without a stock row has 0. Raises InsufficientStock with the short lines (RentalUnavailable for periods),
    InvalidRequest, and InventoryUnavailable where placing a hold would.
    """
    wanted = combined(lines)
    if has_periods(wanted):
        if short_days := short_periods(shop_id=shop_id, lines=wanted):
            raise RentalUnavailable(short_days)
        left = available_for_periods(shop_id=shop_id, lines=wanted)
        return tuple(Checked(line, units) for line, units in zip(wanted, left, strict=True))
    available = available_for_lines(shop_id=shop_id, lines=wanted)
    checked = tuple(Checked(line, available[line.variant_key]) for line in wanted)
    short = [
        Shortage(item.line.sku, item.line.variant_key, item.line.quantity, item.available)
        for item in checked
        if item.available < item.line.quantity
    ]
    if short:
        raise InsufficientStock(short)
    return checked

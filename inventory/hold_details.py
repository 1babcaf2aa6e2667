"""A hold with what it holds, as its holder may see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inventory.errors import HoldNotFound
from inventory.lines import Line
from inventory.models import Hold, HoldItem, HoldPeriod


@dataclass(frozen=True, slots=True)
class HoldDetails:
    """`lines` are in order of their variants."""

    hold_id: UUID
    status: str
    expires_at: datetime
    lines: tuple[Line, ...]


def hold_details(*, shop_id: str, hold_id: UUID) -> HoldDetails:
    """The shop's hold. One query, three for a hold on periods. Raises HoldNotFound, for another shop's too."""
    items = list(
        HoldItem.objects.for_shop(shop_id)
        .filter(hold_id=hold_id)
        .select_related("hold", "stock_row", "route")
        .only(
            "quantity",
            "hold__status",
            "hold__expires_at",
            "stock_row__sku",
            "stock_row__variant_key",
            "route__sku",
            "route__variant_key",
        )
    )
    if not items:
        return _periods_of(shop_id, hold_id)
    hold = items[0].hold
    lines = sorted(
        (Line(item.sku, item.variant_key, item.quantity) for item in items), key=lambda line: line.variant_key
    )
    return HoldDetails(hold_id, hold.status, hold.expires_at, tuple(lines))


def _periods_of(shop_id: str, hold_id: UUID) -> HoldDetails:
    """A booking that was called off has none left."""
    hold = Hold.objects.for_shop(shop_id).filter(pk=hold_id).first()
    if hold is None:
        raise HoldNotFound
    found = HoldPeriod.objects.for_shop(shop_id).filter(hold=hold).select_related("stock_row")
    periods = found.order_by("stock_row__variant_key", "starts", "ends")
    lines = tuple(Line(p.stock_row.sku, p.stock_row.variant_key, p.quantity, p.starts, p.ends) for p in periods)
    return HoldDetails(hold_id, hold.status, hold.expires_at, lines)

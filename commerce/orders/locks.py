"""Locked orders. In the lock order: attempt, order, hold, stock, cart, journal."""

from __future__ import annotations

from uuid import UUID

from commerce.orders.models import Order


def order_for_update(*, shop_id: str, order_id: UUID) -> Order:
    """The order's row, locked; other tables' foreign keys to it stay unblocked."""
    return Order.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=order_id)

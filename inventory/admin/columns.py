"""Columns that several lists of this app show: ids of whom a row belongs to, which are names, without reading them."""

from __future__ import annotations

from django.contrib import admin

from inventory.models import StockAlert, StockMovement, StockRow


@admin.display(description="Owner", ordering="owner_id")
def owner(row: StockRow | StockAlert) -> str:
    return row.owner_id


@admin.display(description="For shop", ordering="for_shop_id")
def for_shop(movement: StockMovement) -> str:
    return movement.for_shop_id or "–"

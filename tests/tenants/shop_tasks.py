"""Tasks for the tests of their base classes: the product's own each have something else to do."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task

from tenants.context import current_shop
from tenants.errors import ShopRequired
from tenants.models import Shop
from tenants.task_roles import ShopTask, SystemTask


@shared_task(base=ShopTask, name="tests.look_around")
def look_around(note: str = "", *, shop_id: str) -> dict[str, Any]:
    """What work for one shop finds around itself."""
    shop = current_shop()
    structlog.get_logger("tests").info("looked_around", note=note)
    return {
        "note": note,
        "shop_id": shop_id,
        "current": shop.shop_id,
        "open": shop.open_for_business,
        "request_id": shop.request_id,
        "logged": structlog.contextvars.get_contextvars(),
    }


@shared_task(base=SystemTask, name="tests.look_at_all")
def look_at_all() -> dict[str, Any]:
    try:
        current = current_shop().shop_id
    except ShopRequired:
        current = ""
    return {"current": current, "shops": Shop.objects.count(), "logged": structlog.contextvars.get_contextvars()}

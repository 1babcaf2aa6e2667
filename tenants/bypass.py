"""The emergency bypass: a shop sells without its stock being checked or held (I11). Loud wherever staff look.

For when the stock is wrong and the shop must sell: what is sold then is taken when it is paid, and an order that can't
be met goes to review. Per shop here, for all of them by SKIP_INVENTORY_VALIDATION.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from tenants.audit import Actor, record_audit
from tenants.errors import NotFound, WrongState
from tenants.hosts import host_map
from tenants.models import ShopSettings
from tenants.staff import StaffScope


def set_inventory_bypass(*, shop_id: str, on: bool, reason: str, acting: Actor) -> None:
    """Turns a shop's bypass on or off; in force within two seconds.

    Raises NotFound, and WrongState when it is so already.
    """
    with transaction.atomic(durable=True):
        row = ShopSettings.objects.for_shop(shop_id).select_for_update(no_key=True).first()
        if row is None:
            raise NotFound("There is no such shop.")
        if sells_unchecked(row) == on:
            raise WrongState(f"Its stock is {'not checked' if on else 'checked'} already.")
        # Off is "no", not "as the environment says": whoever ends an emergency means it.
        row.skip_inventory_validation = on
        row.save(update_fields=["skip_inventory_validation", "updated_at"])
        host_map.announce_on_commit(names=(), shop_ids={shop_id})
        record_audit(
            shop_id=shop_id,
            acting=acting,
            action=f"shop.inventory_bypass_{'on' if on else 'off'}",
            object_type="shop",
            object_id=shop_id,
            reason=reason,
        )


def sells_unchecked(row: ShopSettings) -> bool:
    """The shop's own word, else the environment's."""
    own = row.skip_inventory_validation
    return bool(settings.SKIP_INVENTORY_VALIDATION) if own is None else own


def unchecked_shops(scope: StaffScope) -> list[str]:
    """Names of the shops in `scope` that sell without checking, for the banner. One query."""
    rows = scope.rows(ShopSettings.objects.all(), "shop")
    unchecked = rows.exclude(skip_inventory_validation=False)
    if not settings.SKIP_INVENTORY_VALIDATION:
        unchecked = unchecked.filter(skip_inventory_validation=True)
    return list(unchecked.order_by("shop__name").values_list("shop__name", flat=True)[:20])

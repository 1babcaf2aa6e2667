"""Whether a variant is known to the stock's owner. Inventory knows no catalog: it declares what it asks, and the
setting INVENTORY_CATALOG names the function that answers. A pool has none: it knows the variants that it has rows of.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from inventory.models import StockRow
from inventory.models.stock import is_pool


class KnownKeys(Protocol):
    def __call__(self, *, shop_id: str, variant_keys: Collection[str]) -> set[str]:
        """Those of `variant_keys` that the shop's catalog has, active or not. One query."""


@cache
def known_keys() -> KnownKeys:
    """The function that the setting names. Raises ImportError, or TypeError when it is no function."""
    found: KnownKeys = import_string(settings.INVENTORY_CATALOG)
    if not callable(found):
        raise TypeError(f"{settings.INVENTORY_CATALOG} can't be called.")
    return found


def known_variants(*, owner_id: str, keys: Collection[str]) -> set[str]:
    """Those of `keys` that the shop's catalog or the pool has. One query."""
    if not is_pool(owner_id):
        return known_keys()(shop_id=owner_id, variant_keys=keys)
    rows = StockRow.objects.for_shop(owner_id).filter(variant_key__in=list(keys))
    return set(rows.values_list("variant_key", flat=True))


def unknown_variant(owner_id: str) -> str:
    """What is said of one that isn't among them."""
    return "The pool has no row of this variant." if is_pool(owner_id) else "The catalog has no such variant."

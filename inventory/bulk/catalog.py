"""Whether a shop sells a variant. Inventory knows no catalog: it declares what it asks, and the setting
INVENTORY_CATALOG names the function that answers.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string


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

"""What the catalog refuses. HTTP statuses are decided in config/problems.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenants.errors import HoldfastError


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """A line that can't be sold; `variant_key` is empty when none could be formed."""

    sku: str
    variant_key: str


class _RefusedItems(HoldfastError):
    def __init__(self, detail: str, items: Sequence[RefusedItem]) -> None:
        super().__init__(detail)
        self.items = tuple(items)

    def members(self) -> dict[str, Any]:
        return {"items": [{"sku": item.sku, "variantKey": item.variant_key} for item in self.items]}


class UnknownSku(_RefusedItems):
    """This shop sells nothing under these keys. Another shop's SKU looks exactly the same."""

    code = "unknown_sku"


class NotPurchasable(_RefusedItems):
    """Known here, but inactive or priced in another currency than the shop's."""

    code = "not_purchasable"

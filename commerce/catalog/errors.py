"""What the catalog refuses. HTTP statuses are decided in config/problems.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tenants.errors import HoldfastError


class _RefusedItems(HoldfastError):
    """`items` names every refused line as `{"sku": …, "variantKey": …}`."""

    summary: ClassVar[str]

    def __init__(self, items: Sequence[Mapping[str, str]]) -> None:
        super().__init__(self.summary)
        self.items = tuple(items)

    def members(self) -> dict[str, Any]:
        return {"items": [dict(item) for item in self.items]}


class UnknownSku(_RefusedItems):
    """This shop sells nothing under these keys. Another shop's SKU looks exactly the same."""

    code = "unknown_sku"
    summary = "This shop doesn't sell these items."


class NotPurchasable(_RefusedItems):
    """Known here, but inactive, or priced in another currency or way than the shop's."""

    code = "not_purchasable"
    summary = "These items are not for sale at the moment."

"""Errors of carts, by the contract's codes."""

from __future__ import annotations

from typing import Any, Final

from tenants.errors import HoldfastError

RETRY_AFTER_MS: Final = 2_000
BUSY_RETRY_AFTER_MS: Final = 200


class CartsUnavailable(HoldfastError):
    """Lines of carts are out of reach; nothing was changed. The contract's code for what the platform stands on being
    away, as for its database: a caller waits and repeats the same request.
    """

    code = "inventory_unavailable"

    def __init__(self) -> None:
        super().__init__("The cart can't be reached at the moment. Please try again.")

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": RETRY_AFTER_MS}


class CartBusy(HoldfastError):
    """The same cart was changed by others at every try; nothing was changed by this one."""

    code = "inventory_busy"

    def __init__(self) -> None:
        super().__init__("This cart is being changed in many places at once. Please try again.")

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": BUSY_RETRY_AFTER_MS, "retryAfter": BUSY_RETRY_AFTER_MS}

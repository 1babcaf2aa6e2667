"""Errors of plans, by the contract's codes."""

from __future__ import annotations

from typing import Any

from tenants.errors import HoldfastError


class UnknownPlan(HoldfastError):
    """No plan that this shop offers: another shop's, a retired one, or none at all."""

    code = "invalid_request"

    def __init__(self) -> None:
        super().__init__("The shop offers no such plan.")

    def members(self) -> dict[str, Any]:
        return {"fields": {"planId": ["Not a plan of this shop."]}}


class OtherPriceAtStripe(HoldfastError):
    """Stripe has a price under the plan's own key that isn't the plan's: nobody is charged by it."""

    code = "wrong_state"

    def __init__(self, price_id: str) -> None:
        super().__init__(f"Stripe has {price_id} under this plan's key, with other terms. Give the plan new terms.")

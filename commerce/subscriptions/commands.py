"""What may be asked of a subscription, and the request to Stripe that each wish becomes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from commerce.subscriptions.operation_models import SubscriptionOperation

Kind = SubscriptionOperation.Kind
Prorate: TypeAlias = Literal["create", "invoice_now", "none"]

# Our words for what becomes of the days that were paid already, and Stripe's.
PRORATION: Final[Mapping[str, str]] = {
    "create": "create_prorations",
    "invoice_now": "always_invoice",
    "none": "none",
}
LONGEST_COMMENT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One operation as it was asked for. `subscription_id` is Stripe's; plan, quantity and proration are a change's.

    `quantity` None: as many as now. `at`: the moment that a change is prorated for, where it was shown; else now.
    """

    subscription_id: str
    kind: Kind
    key: str
    reason: str = ""
    plan_code: str = ""
    quantity: int | None = None
    prorate: Prorate = "create"
    at: datetime | None = None

    def digest(self) -> str:
        """What a repeat under the same key must ask for. The reason is words, and may be put differently."""
        asked = [self.subscription_id, self.kind, self.plan_code, self.quantity, self.prorate]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class NewTerms:
    """Where a change leads: the item that is replaced, by id, the price, and how many of it."""

    item_id: str
    price_id: str
    plan_code: str
    quantity: int

    @property
    def items(self) -> list[dict[str, Any]]:
        """By id: without one Stripe would add a second item beside the old one, and charge for both."""
        return [{"id": self.item_id, "price": self.price_id, "quantity": self.quantity}]


def change_params(*, wish: Wish, terms: NewTerms, operation_id: UUID, now: datetime) -> dict[str, Any]:
    """Of `subscriptions.update`. `proration_date` is stored, so that what is charged is what was previewed.

    The metadata names the operation: whoever reads the subscription knows whether it was carried out.
    """
    params: dict[str, Any] = {
        "items": terms.items,
        "proration_behavior": PRORATION[wish.prorate],
        "metadata": {"operation_id": str(operation_id), "plan_code": terms.plan_code},
    }
    if wish.prorate != "none":
        params["proration_date"] = int(now.timestamp())
    return params


def preview_params(*, subscription_id: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Of `invoices.create_preview`, for the same change."""
    names = ("items", "proration_behavior", "proration_date")
    return {
        "subscription": subscription_id,
        "subscription_details": {name: params[name] for name in names if name in params},
    }


def ending_params(*, wish: Wish, operation_id: UUID) -> dict[str, Any]:
    """Of the other operations. What was paid stays paid: nobody gets days back by ending early."""
    if wish.kind == Kind.CANCEL_NOW:
        details = {"cancellation_details": {"comment": wish.reason[:LONGEST_COMMENT]}} if wish.reason else {}
        return {"invoice_now": False, "prorate": False, **details}
    return {
        "cancel_at_period_end": wish.kind == Kind.CANCEL_AT_END,
        "metadata": {"operation_id": str(operation_id)},
    }

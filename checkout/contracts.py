"""What crosses the checkout's border: the command that comes in and the answers that go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class WantedLine:
    """What the customer wants: identifiers and a quantity. `shown_amount`: price last shown."""

    sku: str
    variant_key: str
    quantity: int
    options: Mapping[str, str]
    rental_start: date | None
    rental_end: date | None
    shown_amount: int | None
    shown_currency: str


@dataclass(frozen=True, slots=True)
class SeenPrices:
    """What the browser says it showed, in minor units: per SKU, or a subtotal. Compared, never charged."""

    by_sku: Mapping[str, int]
    subtotal: int | None


@dataclass(frozen=True, slots=True)
class StartCheckout:
    """One request to check out, validated in form. `items` is set for storefronts without a server cart."""

    cart_id: UUID | None
    items: Sequence[WantedLine] | None
    client_key: str | None
    seen: SeenPrices
    email: str
    locale: str
    shipping_option_id: UUID | None
    shipping_address: Mapping[str, str] | None
    coupon_code: str
    success_url: str
    cancel_url: str
    # A rental at the counter is a checkout too; there the customer's name and number are known before.
    source: str = "checkout"
    name: str = ""
    phone: str = ""

    @property
    def uses_cart(self) -> bool:
        return self.items is None


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price per unit that differs from the one seen, in minor units; without a SKU it is the subtotal."""

    sku: str
    variant_key: str
    was: int
    now: int

    def as_json(self) -> dict[str, Any]:
        return {"sku": self.sku, "variantKey": self.variant_key, "was": self.was, "now": self.now}


@dataclass(frozen=True, slots=True)
class Amounts:
    """The parts of an order, in minor units. `deposit_authorised` is none of the total: it is held later."""

    subtotal: int
    discount: int
    shipping: int
    tax: int
    deposit: int
    total: int
    deposit_authorised: int = 0


@dataclass(frozen=True, slots=True)
class CheckoutAnswer:
    """What a checkout answers. `created` tells a new session from an idempotent repeat; `url` and `client_secret` are
    empty when the session can't be paid any more, which is when its order has been settled.
    """

    created: bool
    session_id: str
    url: str
    client_secret: str
    ui_mode: str
    mode: str
    order_id: UUID
    hold_id: UUID | None
    expires_at: datetime
    amounts: Amounts
    currency: str
    changes: Sequence[Mapping[str, Any]]

"""Pricing what the customer wants from the catalog alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from checkout.contracts import StartCheckout, WantedLine
from checkout.errors import AmountTooSmall
from commerce.catalog.errors import NotPurchasable, UnknownSku
from commerce.catalog.lookup import CatalogItem, items_by_key
from commerce.money import minimum_charge
from commerce.orders.orders import NewLine
from inventory.holds import Line
from tenants.context import ShopContext

# As many as an order's line keeps.
LONGEST_TITLE = 300


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line at the catalog's price, per unit, in minor units."""

    sku: str
    variant_key: str
    title: str
    quantity: int
    unit_amount: int
    options: dict[str, str]
    rental_start: date | None
    rental_end: date | None
    shown_amount: int | None
    shown_currency: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What the wanted lines cost now. `generation` is that of the cart they were read from, None without a cart."""

    lines: Sequence[QuoteLine]
    currency: str
    generation: int | None

    @property
    def subtotal(self) -> int:
        return sum(line.unit_amount * line.quantity for line in self.lines)

    def hold_lines(self) -> list[Line]:
        return [Line(sku=line.sku, variant_key=line.variant_key, quantity=line.quantity) for line in self.lines]

    def order_lines(self) -> list[NewLine]:
        return [
            NewLine(
                sku=line.sku,
                variant_key=line.variant_key,
                title=line.title,
                quantity=line.quantity,
                unit_amount=line.unit_amount,
                deposit_amount=0,
                options=line.options,
                rental_start=line.rental_start,
                rental_end=line.rental_end,
            )
            for line in self.lines
        ]


def reprice(*, shop: ShopContext, wanted: Sequence[WantedLine], generation: int | None, locale: str) -> Quote:
    """Prices `wanted` from the shop's catalog, in one query.

    Raises UnknownSku for what the shop doesn't have, another shop's SKUs included, NotPurchasable for what it doesn't
    sell now, AmountTooSmall below Stripe's minimum.
    """
    found = items_by_key(shop_id=shop.shop_id, variant_keys=[w.variant_key for w in wanted], locale=locale)
    unknown = [w for w in wanted if w.variant_key not in found]
    if unknown:
        raise UnknownSku([{"sku": w.sku, "variantKey": w.variant_key} for w in unknown])
    currency = shop.policy.currency
    closed = [
        w
        for w in wanted
        # Rentals are priced by period and carry deposits; until a period can be priced, refusing beats guessing.
        if not found[w.variant_key].purchasable or shop.policy.kind == "rental"
    ]
    if closed:
        raise NotPurchasable([{"sku": w.sku, "variantKey": w.variant_key} for w in closed])
    quote = Quote(
        lines=tuple(
            QuoteLine(
                sku=w.sku,
                variant_key=w.variant_key,
                title=described(found[w.variant_key]),
                quantity=w.quantity,
                unit_amount=found[w.variant_key].price_amount,
                options=dict(w.options),
                rental_start=w.rental_start,
                rental_end=w.rental_end,
                shown_amount=w.shown_amount,
                shown_currency=w.shown_currency,
            )
            for w in wanted
        ),
        currency=currency,
        generation=generation,
    )
    # A free order needs no payment; Stripe refuses what lies between.
    if 0 < quote.subtotal < minimum_charge(currency):
        raise AmountTooSmall(currency, minimum_charge(currency))
    return quote


def described(item: CatalogItem) -> str:
    """What the payment page and the order call the line: the title with what tells this variant from its sisters.

    At most LONGEST_TITLE characters; of the two the title is cut.
    """
    chosen = ", ".join(item.attributes.values())
    ending = f" ({chosen})"[:LONGEST_TITLE] if chosen else ""
    return item.title[: LONGEST_TITLE - len(ending)] + ending


def intent_digest(*, shop: ShopContext, quote: Quote, command: StartCheckout, account: str) -> str:
    """Digest of everything that would make it another purchase: lines, prices, mode, currency, customer, period, and
    the Stripe `account` that the shop sells on.
    """
    return _digest(
        {
            "kind": shop.policy.kind,
            "ui": shop.policy.checkout_ui,
            "account": account,
            "currency": quote.currency,
            "email": command.email,
            "locale": command.locale,
            "address": dict(command.shipping_address or {}),
            "lines": sorted(
                [
                    line.variant_key,
                    line.quantity,
                    line.unit_amount,
                    sorted(line.options.items()),
                    str(line.rental_start),
                    str(line.rental_end),
                ]
                for line in quote.lines
            ),
        }
    )


def client_digest(*, command: StartCheckout) -> str:
    """Digest of what a client sent under its own key: prices are not part of it, they are never the client's to say."""
    wanted = command.items
    return _digest(
        {
            "email": command.email,
            "locale": command.locale,
            "address": dict(command.shipping_address or {}),
            "cart": str(command.cart_id) if command.uses_cart else None,
            "items": wanted
            and sorted(
                [w.variant_key, w.quantity, sorted(w.options.items()), str(w.rental_start), str(w.rental_end)]
                for w in wanted
            ),
        }
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

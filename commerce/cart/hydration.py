"""A stored cart as the customer sees it: today's prices and texts, and what is left of each (C2, C5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from commerce.cart.lines import CartLineFacts, CartSnapshot, Lines
from commerce.catalog.images import image_url
from commerce.catalog.lookup import CatalogItem, items_by_key
from commerce.catalog.pricing import deposit_amount
from commerce.rentals.periods import PeriodProblem, period_problem, shop_today
from commerce.rentals.pricing import RentalPrice, rental_days, rental_price
from commerce.shipping.offers import ShippingOffer, offers
from inventory.availability import available_by_key
from inventory.lines import Line
from inventory.periods import available_for_periods
from tenants.context import ShopContext


@dataclass(frozen=True, slots=True)
class HydratedLine:
    """One line with today's catalog. Amounts in minor units of the cart's currency.

    `unit_amount` covers a rental's whole period; `deposit_amount` is per unit; both are None for a line that can't be
    bought, which counts for nothing in the sums. `previous_amount` is the unit price last shown when it was another.
    `rental_price` says what a period's price is made of, `period_problem` why the period can't be rented any more.
    """

    line_id: UUID
    sku: str
    slug: str
    variant_key: str
    attributes: Mapping[str, str]
    title: str
    image: str
    quantity: int
    options: Mapping[str, str]
    rental_start: date | None
    rental_end: date | None
    unit_amount: int | None
    deposit_amount: int | None
    previous_amount: int | None
    available: int
    purchasable: bool
    rental_price: RentalPrice | None
    period_problem: PeriodProblem | None

    @property
    def line_amount(self) -> int | None:
        return None if self.unit_amount is None else self.unit_amount * self.quantity

    @property
    def rental_days(self) -> int | None:
        if self.rental_start is None or self.rental_end is None:
            return None
        return rental_days(start=self.rental_start, end=self.rental_end)


@dataclass(frozen=True, slots=True)
class HydratedCart:
    """A cart in the shop's currency. `cart_id` is None for a customer who has none yet; `deposit_mode` is empty in a
    sale, which has no deposits.
    """

    cart_id: UUID | None
    currency: str
    lines: tuple[HydratedLine, ...]
    shipping: tuple[ShippingOffer, ...]
    deposit_mode: str = ""

    @property
    def subtotal_amount(self) -> int:
        return sum(line.line_amount or 0 for line in self.lines)

    @property
    def deposit_amount(self) -> int:
        return sum((line.deposit_amount or 0) * line.quantity for line in self.lines)


def empty(shop: ShopContext, locale: str) -> HydratedCart:
    """The cart of a customer who has none: no row is made for looking. One query, for the ways to ship."""
    shipping = offers(shop=shop, subtotal=0, locale=locale)
    return HydratedCart(None, shop.policy.currency, (), shipping, _deposit_mode(shop))


def _deposit_mode(shop: ShopContext) -> str:
    return shop.policy.deposit_mode if shop.policy.kind == "rental" else ""


def hydrate(*, shop: ShopContext, cart: CartSnapshot, locale: str) -> HydratedCart:
    """`cart` with fresh catalog data and availability, and what shipping costs it. Three queries at most, one for an
    empty cart.

    Lines of products that are gone, inactive, or sold in another way than the shop's stay, not purchasable; so do those
    whose period has passed.
    """
    keys = [line.variant_key for line in cart.lines]
    items = items_by_key(shop_id=shop.shop_id, variant_keys=keys, locale=locale)
    available = _available(shop, cart.lines)
    lines = tuple(_line(shop, line, items.get(line.variant_key), available.get(line.line_id, 0)) for line in cart.lines)
    return HydratedCart(
        cart_id=cart.cart_id if cart.generation else None,
        currency=shop.policy.currency,
        lines=lines,
        shipping=offers(shop=shop, subtotal=sum(line.line_amount or 0 for line in lines), locale=locale),
        deposit_mode=_deposit_mode(shop),
    )


def newly_shown(*, before: CartSnapshot, cart: HydratedCart) -> dict[UUID, tuple[int, str]]:
    """The prices of `cart` that aren't the ones remembered in `before`: line id → (minor units, currency)."""
    remembered = {line.line_id: (line.shown_amount, line.shown_currency) for line in before.lines}
    return {
        line.line_id: (line.unit_amount, cart.currency)
        for line in cart.lines
        if line.unit_amount is not None and remembered.get(line.line_id) != (line.unit_amount, cart.currency)
    }


def _available(shop: ShopContext, lines: Lines) -> dict[UUID, int]:
    """Units that each line could have on its own: of a rental, on all of its days. A query for either kind of line."""
    rented = [
        (line.line_id, Line(line.sku, line.variant_key, line.quantity, line.rental_start, line.rental_end))
        for line in lines
        if line.rental_start is not None
    ]
    left = available_for_periods(shop_id=shop.shop_id, lines=[line for _, line in rented])
    found = dict(zip([line_id for line_id, _ in rented], left, strict=True))
    sold = [line for line in lines if line.rental_start is None]
    keys = sorted({line.variant_key for line in sold})
    by_key = available_by_key(shop_id=shop.shop_id, variant_keys=keys) if keys else {}
    return found | {line.line_id: by_key.get(line.variant_key, 0) for line in sold}


def _line(shop: ShopContext, line: CartLineFacts, item: CatalogItem | None, available: int) -> HydratedLine:
    start, end = line.rental_start, line.rental_end
    purchasable = item is not None and item.purchasable and (start is not None) == (shop.policy.kind == "rental")
    now = deposit = previous = price = problem = None
    if item is not None and start is not None and end is not None:
        terms = item.terms.within(shop.policy.rental)
        problem = period_problem(start=start, end=end, terms=terms, today=shop_today(shop))
        purchasable = purchasable and problem is None
        price = rental_price(item.rates, start=start, end=end)
    if item is not None and purchasable:
        now = price.amount if price else item.price_amount
        deposit = deposit_amount(item, rental_start=start)
        if line.shown_currency == shop.policy.currency and line.shown_amount != now:
            previous = line.shown_amount
    return HydratedLine(
        line_id=line.line_id,
        sku=line.sku,
        slug=item.slug if item else "",
        variant_key=line.variant_key,
        attributes=item.attributes if item else {},
        title=item.title if item else line.sku,
        image=image_url(item.image) if item else "",
        quantity=line.quantity,
        options=line.options,
        rental_start=line.rental_start,
        rental_end=line.rental_end,
        unit_amount=now,
        deposit_amount=deposit,
        previous_amount=previous,
        available=available,
        purchasable=purchasable,
        rental_price=price,
        period_problem=problem,
    )

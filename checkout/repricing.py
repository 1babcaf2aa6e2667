"""Pricing what the customer wants from the catalog alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.utils import timezone

from checkout.contracts import StartCheckout, WantedLine
from checkout.errors import AmountTooLarge, AmountTooSmall
from checkout.taxes import QuotedTax, Taxable, quoted_tax
from commerce.api.inputs import BAD_PERIOD
from commerce.catalog.errors import NotPurchasable, UnknownSku
from commerce.catalog.lookup import CatalogItem, items_by_key
from commerce.catalog.pricing import deposit_amount
from commerce.coupons.redemptions import CouponOffer
from commerce.coupons.redemptions import find_offer as find_coupon
from commerce.coupons.terms import Priced
from commerce.money import maximum_charge, minimum_charge
from commerce.orders.orders import NewLine
from commerce.rentals.periods import PeriodProblem, period_problem, shop_today
from commerce.rentals.pricing import RentalPrice, rental_price
from commerce.shipping.offers import ShippingOffer, find_offer
from inventory.holds import Line
from tenants.context import ShopContext
from tenants.errors import InvalidRequest
from tenants.policy import RentalTerms

# As many as an order's line keeps.
LONGEST_TITLE = 300


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """One line at the catalog's price, per unit, in minor units. Of a rental, `rental` says how the price of its period
    came about, and `problem` why the period can't be rented.
    """

    sku: str
    variant_key: str
    title: str
    quantity: int
    unit_amount: int
    options: dict[str, str]
    rental_start: date | None
    rental_end: date | None
    rental: RentalPrice | None
    deposit_amount: int
    problem: PeriodProblem | None
    tax_code: str
    shown_amount: int | None
    shown_currency: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What the wanted lines cost now. `generation` is that of the cart they were read from, None without a cart."""

    lines: Sequence[QuoteLine]
    currency: str
    generation: int | None
    shipping: ShippingOffer | None = None
    coupon: CouponOffer | None = None
    tax: QuotedTax | None = None
    authorises_deposits: bool = False

    @property
    def subtotal(self) -> int:
        return sum(line.unit_amount * line.quantity for line in self.lines)

    @property
    def deposits(self) -> int:
        """What the customer leaves as security, in minor units, whichever way; no part of the subtotal (K8)."""
        return sum(line.deposit_amount * line.quantity for line in self.lines)

    @property
    def deposit(self) -> int:
        """What of it is charged with the rest, and given back."""
        return 0 if self.authorises_deposits else self.deposits

    @property
    def deposit_authorised(self) -> int:
        """What of it is held on the saved card later, and no part of the total."""
        return self.deposits if self.authorises_deposits else 0

    @property
    def rental_days(self) -> int:
        """Days of the longest rental in it; 0 in a sale."""
        return max((line.rental.days for line in self.lines if line.rental), default=0)

    @property
    def discount(self) -> int:
        return self.coupon.amount if self.coupon else 0

    @property
    def shipping_amount(self) -> int:
        return self.shipping.amount if self.shipping else 0

    @property
    def tax_amount(self) -> int:
        """What is known of it: nothing while Stripe is to compute it."""
        return self.tax.amount if self.tax else 0

    @property
    def net_subtotal(self) -> int:
        """The merchandise without the tax in it, as an order keeps it: its parts add up whatever the prices contain."""
        return self.subtotal - (self.tax.amount if self.tax and self.tax.inclusive else 0)

    @property
    def total(self) -> int:
        return self.net_subtotal - self.discount + self.shipping_amount + self.deposit + self.tax_amount

    def taxable(self) -> Taxable:
        return Taxable(
            goods=[line.unit_amount * line.quantity for line in self.lines],
            deposits=[
                line.deposit_amount * line.quantity
                for line in self.lines
                if line.deposit_amount and not self.authorises_deposits
            ],
            discount=self.discount,
            currency=self.currency,
        )

    def merchandise(self) -> list[Priced]:
        """What a coupon may take something off: neither deposits nor shipping."""
        return [Priced(line.sku, line.variant_key, line.unit_amount * line.quantity) for line in self.lines]

    def hold_lines(self) -> list[Line]:
        return [
            Line(line.sku, line.variant_key, line.quantity, line.rental_start, line.rental_end) for line in self.lines
        ]

    def order_lines(self) -> list[NewLine]:
        parts = self.coupon.parts if self.coupon else (0,) * len(self.lines)
        return [
            NewLine(
                sku=line.sku,
                variant_key=line.variant_key,
                title=line.title,
                quantity=line.quantity,
                unit_amount=line.unit_amount,
                deposit_amount=line.deposit_amount,
                options=line.options,
                rental_start=line.rental_start,
                rental_end=line.rental_end,
                rental=line.rental,
                discount_amount=off,
            )
            for line, off in zip(self.lines, parts, strict=True)
        ]


def reprice(
    *, shop: ShopContext, command: StartCheckout, wanted: Sequence[WantedLine], generation: int | None
) -> Quote:
    """Prices `wanted` from the shop's catalog, in one query; the shipping option and the coupon that `command` names
    take another each, and so do the shop's own tax rates. A coupon that can't be used is told by the quote, and refused
    when nothing is repeated.

    Raises UnknownSku for what the shop doesn't have, another shop's SKUs included, NotPurchasable for what it doesn't
    sell now, InvalidRequest for an option it doesn't offer, AmountTooSmall and AmountTooLarge for a total that Stripe
    doesn't charge.
    """
    found = items_by_key(shop_id=shop.shop_id, variant_keys=[w.variant_key for w in wanted], locale=command.locale)
    unknown = [w for w in wanted if w.variant_key not in found]
    if unknown:
        raise UnknownSku([{"sku": w.sku, "variantKey": w.variant_key} for w in unknown])
    currency = shop.policy.currency
    closed = [
        w
        for w in wanted
        # A cart may be older than the shop's kind: a day's price is no sale's, and a sale has no days.
        if not found[w.variant_key].purchasable or (w.rental_start is not None) != (shop.policy.kind == "rental")
    ]
    if closed:
        raise NotPurchasable([{"sku": w.sku, "variantKey": w.variant_key} for w in closed])
    today = shop_today(shop)
    quote = Quote(
        lines=tuple(
            _line(w, found[w.variant_key], terms=found[w.variant_key].terms.within(shop.policy.rental), today=today)
            for w in wanted
        ),
        currency=currency,
        generation=generation,
        authorises_deposits=shop.policy.authorises_deposits,
    )
    if command.shipping_option_id is not None:
        quote = replace(quote, shipping=chosen_shipping(shop=shop, command=command, subtotal=quote.subtotal))
    if command.coupon_code:
        quote = replace(quote, coupon=applied_coupon(shop=shop, command=command, quote=quote))
    tax = quoted_tax(shop=shop, command=command, offer=quote.shipping, taxable=quote.taxable(), today=today)
    quote = replace(quote, tax=tax)
    if quote.coupon is None or quote.coupon.refusal is None:
        refuse_uncollectable(quote.total, currency)
    return quote


def _line(wanted: WantedLine, item: CatalogItem, *, terms: RentalTerms, today: date) -> QuoteLine:
    rental = problem = None
    if wanted.rental_start is not None and wanted.rental_end is not None:
        rental = rental_price(item.rates, start=wanted.rental_start, end=wanted.rental_end)
        problem = period_problem(start=wanted.rental_start, end=wanted.rental_end, terms=terms, today=today)
    return QuoteLine(
        sku=wanted.sku,
        variant_key=wanted.variant_key,
        title=described(item),
        quantity=wanted.quantity,
        unit_amount=item.price_amount if rental is None else rental.amount,
        options=dict(wanted.options),
        rental_start=wanted.rental_start,
        rental_end=wanted.rental_end,
        rental=rental,
        deposit_amount=deposit_amount(item, rental_start=wanted.rental_start),
        problem=problem,
        tax_code=item.tax_code,
        shown_amount=wanted.shown_amount,
        shown_currency=wanted.shown_currency,
    )


def refuse_unrentable(*, quote: Quote, command: StartCheckout) -> None:
    """Raises for periods that the shop doesn't rent out, or not any more: NotPurchasable for a cart, which took them
    when they were right; InvalidRequest for a request that brings its own lines.

    Apart from `reprice`, because days pass: the repeat of a checkout is answered however late it comes.
    """
    refused = [(line, line.problem) for line in quote.lines if line.problem is not None]
    if not refused:
        return
    if command.uses_cart:
        raise NotPurchasable(
            [{"sku": line.sku, "variantKey": line.variant_key, "reason": why.code} for line, why in refused]
        )
    told = [f"{line.sku}, {line.rental_start} to {line.rental_end}: {why.text}" for line, why in refused]
    raise InvalidRequest(BAD_PERIOD, {"items": told})


def applied_coupon(*, shop: ShopContext, command: StartCheckout, quote: Quote) -> CouponOffer:
    return find_coupon(
        shop_id=shop.shop_id,
        code=command.coupon_code,
        lines=quote.merchandise(),
        currency=quote.currency,
        email=command.email,
        now=timezone.now(),
    )


def chosen_shipping(*, shop: ShopContext, command: StartCheckout, subtotal: int) -> ShippingOffer:
    """The option that `command` names, at the shop's price. Raises InvalidRequest with the field. One query."""
    assert command.shipping_option_id is not None  # noqa: S101  the caller's question
    offer = find_offer(shop=shop, option_id=command.shipping_option_id, subtotal=subtotal, locale=command.locale)
    if offer is None:
        raise InvalidRequest("This shop has no such shipping option.", {"shippingOptionId": ["Unknown."]})
    if command.shipping_address is not None and not offer.goes_to(command.shipping_address["country"]):
        raise InvalidRequest(
            "This shipping option doesn't go to that country.",
            {"shippingOptionId": [f"Goes to {', '.join(offer.countries)}."]},
        )
    return offer


def refuse_uncollectable(total: int, currency: str) -> None:
    """What Stripe would refuse is refused before it is asked. A free order needs no payment; it is what lies between
    zero and the minimum, and above the digits that Stripe takes, that can't be charged. `total` in minor units.
    """
    if 0 < total < minimum_charge(currency):
        raise AmountTooSmall(currency, minimum_charge(currency))
    if total > maximum_charge(currency):
        raise AmountTooLarge(currency, maximum_charge(currency))


def described(item: CatalogItem) -> str:
    """What the payment page and the order call the line: the title with what tells this variant from its sisters.

    At most LONGEST_TITLE characters; of the two the title is cut.
    """
    chosen = ", ".join(item.attributes.values())
    ending = f" ({chosen})"[:LONGEST_TITLE] if chosen else ""
    return item.title[: LONGEST_TITLE - len(ending)] + ending


def intent_digest(*, shop: ShopContext, quote: Quote, command: StartCheckout, account: str) -> str:
    """Digest of everything that would make it another purchase: lines, prices, shipping, coupon, mode, currency,
    customer, period, and the Stripe `account` that the shop sells on.
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
            # Absent without one, so that what was claimed before there were any is still the same purchase.
            **({"shipping": [str(quote.shipping.option_id), quote.shipping.amount]} if quote.shipping else {}),
            **({"coupon": [quote.coupon.code, quote.coupon.amount]} if quote.coupon else {}),
            **({"tax": quote.tax.identity} if quote.tax else {}),
            **({"deposits": "authorised"} if quote.deposit_authorised else {}),
            **({"card": "kept"} if shop.policy.keeps_card else {}),
            "lines": sorted(
                [
                    line.variant_key,
                    line.quantity,
                    line.unit_amount,
                    sorted(line.options.items()),
                    str(line.rental_start),
                    str(line.rental_end),
                    *([line.deposit_amount] if line.deposit_amount else []),
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
            **({"shipping": str(command.shipping_option_id)} if command.shipping_option_id else {}),
            **({"coupon": command.coupon_code} if command.coupon_code else {}),
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

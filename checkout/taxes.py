"""What tax is on a quote: computed here from the shop's own rates, or left to Stripe, which learns the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.conf import settings

from checkout.contracts import StartCheckout
from checkout.errors import PaymentRejected, PaymentUnknown
from commerce.gateway.client import StripeAccess
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.shipping.offers import ShippingOffer
from commerce.taxes.amounts import spread, tax_on
from commerce.taxes.rates import AppliedRate, RateTable, rate_at_stripe, rates_on
from tenants.context import ShopContext

AUTOMATIC, STATIC = "automatic", "static"


@dataclass(frozen=True, slots=True)
class QuotedTax:
    """`parts`: the tax on each line, in minor units; nothing while Stripe is to compute it. `countries`: where an
    address may be that is asked for while paying. `stripe_id`: the rate's name in the account that is sold on.
    """

    mode: str
    inclusive: bool
    rate: AppliedRate | None = None
    parts: tuple[int, ...] = ()
    countries: tuple[str, ...] = ()
    stripe_id: str = ""

    @property
    def identity(self) -> list[object]:
        """What would make it another purchase if it changed."""
        return [self.mode, self.inclusive, str(self.rate.rate_id) if self.rate else ""]

    @property
    def amount(self) -> int:
        return sum(self.parts)

    @property
    def added(self) -> int:
        """What the customer pays beyond the catalog's prices."""
        return 0 if self.inclusive else self.amount


@dataclass(frozen=True, slots=True)
class Taxable:
    """What is sent to Stripe as line items, in minor units of `currency`: only the goods are taxed, but the discount is
    taken off the deposits too.
    """

    goods: Sequence[int]
    deposits: Sequence[int]
    discount: int
    currency: str


def quoted_tax(
    *, shop: ShopContext, command: StartCheckout, offer: ShippingOffer | None, taxable: Taxable, today: date
) -> QuotedTax | None:
    """The tax on a quote, None where there is none. One query under the shop's own rates, else none."""
    policy = shop.policy.tax
    if policy.mode == AUTOMATIC:
        return QuotedTax(mode=AUTOMATIC, inclusive=policy.inclusive)
    if policy.mode != STATIC:
        return None
    table = rates_on(shop_id=shop.shop_id, day=today)
    country = taxed_country(command=command, offer=offer, home=policy.country)
    rate = table.of(country)
    countries = _taxed_alike(table, rate, offer)
    if rate is None:
        return QuotedTax(mode=STATIC, inclusive=True, countries=countries)
    off = spread(taxable.discount, [*taxable.goods, *taxable.deposits])
    parts = tuple(
        tax_on(amount - less, percentage=rate.percentage, inclusive=rate.inclusive, currency=taxable.currency)
        for amount, less in zip(taxable.goods, off, strict=False)
    )
    return QuotedTax(mode=STATIC, inclusive=rate.inclusive, rate=rate, parts=parts, countries=countries)


def taxed_country(*, command: StartCheckout, offer: ShippingOffer | None, home: str) -> str:
    """Where the goods go. Without an address: home where the option goes there or nothing is sent, else its first."""
    if command.shipping_address is not None:
        return command.shipping_address["country"]
    if offer is None or not offer.countries or home in offer.countries:
        return home
    return offer.countries[0]


def _taxed_alike(table: RateTable, rate: AppliedRate | None, offer: ShippingOffer | None) -> tuple[str, ...]:
    """An address that is typed while paying can't change the tax any more: it may only be where the tax is the same."""
    return tuple(country for country in (offer.countries if offer else ()) if table.of(country) == rate)


def known_to_stripe(tax: QuotedTax | None, *, shop: ShopContext, access: StripeAccess) -> QuotedTax | None:
    """`tax` with its rate's name in the account that is sold on. Asks Stripe when a rate is first used there; no tx.

    Raises PaymentRejected or PaymentUnknown, before anything is held. One query under the shop's own rates, else none.
    """
    if tax is None or tax.rate is None:
        return tax
    try:
        return replace(tax, stripe_id=rate_at_stripe(access=access, shop_id=shop.shop_id, rate=tax.rate))
    except StripeFailure as failure:
        if failure.verdict is Verdict.REFUSED and settings.ENABLE_STRIPE_ERROR_CLASSIFICATION:
            raise PaymentRejected(failure.code or failure.kind) from failure
        raise PaymentUnknown from failure

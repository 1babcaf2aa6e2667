"""What shipping costs a cart today. The shop's table is the only source: a browser names an option, never its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from commerce.shipping.models import ShippingOption
from tenants.context import ShopContext
from tenants.scoping import ShopQuerySet

MOST_OFFERED = 50
"""Options in one answer; a choice among more isn't one, and Stripe's page is told the chosen one alone."""


LONGEST_NAME = 100
"""What Stripe's page shows of one, and what an order keeps."""


@dataclass(frozen=True, slots=True)
class ShippingOffer:
    """An option as offered to one cart. Amounts in minor units of `currency`; `amount` is what it costs this cart.

    `days` are working days, at least and at most. Without `countries` nothing is sent and no address is
    needed.
    """

    option_id: UUID
    name: str
    currency: str
    amount: int
    free_from: int | None
    countries: tuple[str, ...]
    days: tuple[int, int] | None

    def goes_to(self, country: str) -> bool:
        return not self.countries or country in self.countries


def offered(shop: ShopContext) -> ShopQuerySet[ShippingOption]:
    """The shop's options that can be chosen. One in another currency than the shop's can't, as a variant can't."""
    return ShippingOption.objects.for_shop(shop.shop_id).filter(active=True, currency=shop.policy.currency)


def free_for(shop: ShopContext, subtotal: int) -> ShopQuerySet[ShippingOption]:
    """Those of them that cost a cart with `subtotal` of merchandise nothing."""
    return offered(shop).filter(Q(amount=0) | Q(free_from_amount__lte=subtotal))


def offers(*, shop: ShopContext, subtotal: int, locale: str) -> tuple[ShippingOffer, ...]:
    """What the shop offers a cart with `subtotal` of merchandise, in its order. One query."""
    return tuple(_offer(row, shop, subtotal, locale) for row in offered(shop)[:MOST_OFFERED])


def find_offer(*, shop: ShopContext, option_id: UUID, subtotal: int, locale: str) -> ShippingOffer | None:
    """The named option as it is offered now; None when it is switched off, unknown or another shop's. One query."""
    row = offered(shop).filter(pk=option_id).first()
    return None if row is None else _offer(row, shop, subtotal, locale)


def _offer(row: ShippingOption, shop: ShopContext, subtotal: int, locale: str) -> ShippingOffer:
    free = row.free_from_amount is not None and subtotal >= row.free_from_amount
    return ShippingOffer(
        option_id=row.pk,
        name=_name(row.names, locale, shop.policy.default_locale),
        currency=row.currency,
        amount=0 if free else row.amount,
        free_from=row.free_from_amount,
        countries=tuple(row.countries),
        days=None if row.days_min is None or row.days_max is None else (row.days_min, row.days_max),
    )


def _name(names: Mapping[str, str], locale: str, default: str) -> str:
    """In the reader's language, else the shop's, else any: an option without a translation is shown, not lost."""
    name = names.get(locale) or names.get(default) or next(iter(names.values()))
    return name[:LONGEST_NAME]

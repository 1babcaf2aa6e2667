"""A plan's version as a price of the Stripe account that is sold on: made once, found again by its own key."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from uuid_utils.compat import uuid7

from commerce.gateway.client import StripeAccess
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.plans import PriceFacts, create_price, create_product, find_price
from commerce.money import stripe_amount
from commerce.plans.errors import OtherPriceAtStripe
from commerce.plans.models import StripePlanPrice
from commerce.plans.offers import Terms

LONGEST_NAME = 250


def price_at_stripe(*, access: StripeAccess, shop_id: str, terms: Terms, locale: str, inclusive: bool) -> str:
    """The id (price_…) of these terms in the account that `access` acts for. No transaction around.

    Made there when it is first needed, under a stored key. What became of an earlier try is asked by the lookup key,
    which Stripe gives to one price of an account alone: so a try that is known to have failed may go under a new key,
    and two prices of one version can't come to be. `inclusive`: whether the amount contains taxes. One query where the
    price is known already. Raises StripeFailure, OtherPriceAtStripe.
    """
    named, fresh = _named(access=access, shop_id=shop_id, terms=terms)
    if named.price_id is not None:
        return named.price_id
    lookup_key = f"holdfast_{terms.version_id.hex}"
    found = None if fresh else find_price(access, lookup_key)  # no tx
    if found is None:
        if not fresh:
            named.stripe_key = _new_key(shop_id)
            _rows(shop_id, named).update(stripe_key=named.stripe_key)
        create_product(access, params=product_params(shop_id, terms, locale))  # no tx
        params = price_params(shop_id, terms, lookup_key=lookup_key, inclusive=inclusive)
        try:
            found = create_price(access, params=params, key=named.stripe_key)  # no tx
        except StripeFailure as failure:
            # Refused where a twin of the same moment has just been given the lookup key: its price is as good.
            twins = find_price(access, lookup_key) if failure.verdict is Verdict.REFUSED else None  # no tx
            if twins is None:
                raise
            found = twins
    if not _agrees(found, terms):
        raise OtherPriceAtStripe(found.id)
    _rows(shop_id, named).update(price_id=found.id)
    return found.id


def product_params(shop_id: str, terms: Terms, locale: str) -> dict[str, Any]:
    """Its id follows from the plan's: all versions of a plan are prices of one product, which is made once."""
    return {
        "id": f"holdfast_{terms.plan_id.hex}",
        "name": terms.name(locale)[:LONGEST_NAME],
        "metadata": {"shop_id": shop_id, "plan_code": terms.code},
    }


def price_params(shop_id: str, terms: Terms, *, lookup_key: str, inclusive: bool) -> dict[str, Any]:
    """Source: Stripe's API 2026-10-28.endive, Create a price."""
    return {
        "product": f"holdfast_{terms.plan_id.hex}",
        "currency": terms.currency.lower(),
        "unit_amount": stripe_amount(terms.amount, terms.currency),
        "recurring": {"interval": terms.interval, "interval_count": terms.interval_count},
        "lookup_key": lookup_key,
        "tax_behavior": "inclusive" if inclusive else "exclusive",
        "metadata": {"shop_id": shop_id, "plan_version_id": str(terms.version_id)},
    }


def _agrees(found: PriceFacts, terms: Terms) -> bool:
    return (found.amount, found.currency, found.interval, found.interval_count) == (
        stripe_amount(terms.amount, terms.currency),
        terms.currency,
        terms.interval,
        terms.interval_count,
    )


def _named(*, access: StripeAccess, shop_id: str, terms: Terms) -> tuple[StripePlanPrice, bool]:
    """The row of these terms in this account, and whether this call made it: then nothing was ever sent."""
    where: dict[str, Any] = {
        "shop_id": shop_id,
        "version_id": terms.version_id,
        "stripe_account": access.scope.account,
        "livemode": access.scope.livemode,
    }
    found = StripePlanPrice.objects.for_shop(shop_id).filter(**where).first()
    if found is not None:
        return found, False
    with transaction.atomic(durable=True):
        mine = StripePlanPrice(**where, stripe_key=_new_key(shop_id))
        StripePlanPrice.objects.bulk_create([mine], ignore_conflicts=True)  # a twin's row is as good
        kept = StripePlanPrice.objects.for_shop(shop_id).get(**where)
    return kept, kept.pk == mine.pk


def _rows(shop_id: str, named: StripePlanPrice) -> Any:
    return StripePlanPrice.objects.for_shop(shop_id).filter(pk=named.pk, price_id__isnull=True)


def _new_key(shop_id: str) -> str:
    return f"plan-price:{shop_id}:{uuid7()}"

"""Which of a shop's own rates applies, and that Stripe knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.gateway.client import StripeAccess
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.taxes import create_tax_rate
from commerce.taxes.models import StripeTaxRate, TaxRate

# An idempotency key is remembered for at least 24 hours; after that the same key would execute anew.
KEY_LIFE = timedelta(hours=23)
EVERYWHERE_ELSE = ""


@dataclass(frozen=True, slots=True)
class AppliedRate:
    """A rate as it applies today. `percentage` out of 100, exactly."""

    rate_id: UUID
    country: str
    name: str
    percentage: Decimal
    inclusive: bool


@dataclass(frozen=True, slots=True)
class RateTable:
    """A shop's rates of one day, by country."""

    by_country: Mapping[str, AppliedRate]

    def of(self, country: str) -> AppliedRate | None:
        """The country's own, else the one for everywhere else, else none: nothing is taxed there."""
        return self.by_country.get(country) or self.by_country.get(EVERYWHERE_ELSE)


def rates_on(*, shop_id: str, day: date) -> RateTable:
    """Every country's latest rate that is valid on `day`. One query."""
    rows = TaxRate.objects.for_shop(shop_id).filter(active=True, valid_from__lte=day).order_by("country", "-valid_from")
    return RateTable(
        {
            row.country: AppliedRate(row.pk, row.country, row.name, row.percentage, row.inclusive)
            for row in rows.distinct("country")
        }
    )


def rate_at_stripe(*, access: StripeAccess, shop_id: str, rate: AppliedRate) -> str:
    """The id (txr_…) of `rate` in the account that `access` acts for, made there when it is first needed. No tx around.

    Raises StripeFailure. The key is stored before it is sent, and renewed once Stripe may have forgotten it or has
    refused: at worst the account has a second object of the same rate, which takes no money from anybody.
    """
    named = _named(access=access, shop_id=shop_id, rate=rate, now=timezone.now())
    if named.stripe_id is not None:
        return named.stripe_id
    params = {
        "display_name": rate.name,
        "percentage": f"{rate.percentage.normalize():f}",
        "inclusive": rate.inclusive,
        "metadata": {"shop_id": shop_id, "tax_rate_id": str(rate.rate_id)},
        **({"country": rate.country} if rate.country else {}),
    }
    rows = StripeTaxRate.objects.for_shop(shop_id).filter(pk=named.pk)
    try:
        made = create_tax_rate(access, params=params, key=named.stripe_key)  # no tx
    except StripeFailure as failure:
        if failure.verdict is Verdict.REFUSED:
            rows.update(stripe_key=_new_key(shop_id), keyed_at=timezone.now())
        raise
    rows.update(stripe_id=made)
    return made


def _named(*, access: StripeAccess, shop_id: str, rate: AppliedRate, now: datetime) -> StripeTaxRate:
    """The row of this rate in this account, with a key that may be sent. One query where the rate is known already."""
    where = {
        "shop_id": shop_id,
        "rate_id": rate.rate_id,
        "stripe_account": access.scope.account,
        "livemode": access.scope.livemode,
    }
    found = StripeTaxRate.objects.for_shop(shop_id).filter(**where).first()
    if found is not None and (found.stripe_id is not None or found.keyed_at > now - KEY_LIFE):
        return found
    with transaction.atomic(durable=True):
        if found is None:
            fresh = StripeTaxRate(**where, stripe_key=_new_key(shop_id), keyed_at=now)
            StripeTaxRate.objects.bulk_create([fresh], ignore_conflicts=True)  # a twin's row is as good
        else:
            stale = StripeTaxRate.objects.for_shop(shop_id).filter(pk=found.pk, stripe_key=found.stripe_key)
            stale.update(stripe_key=_new_key(shop_id), keyed_at=now)
        return StripeTaxRate.objects.for_shop(shop_id).get(**where)


def _new_key(shop_id: str) -> str:
    return f"tax-rate:{shop_id}:{uuid7()}"

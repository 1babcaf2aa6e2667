"""Reading plans: what a shop offers, at which terms, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from commerce.plans.errors import UnknownPlan
from commerce.plans.models import Plan, PlanVersion, StripePlanPrice

CODE: Final = re.compile(r"\A[a-z0-9][a-z0-9-]{1,39}\Z")


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of a plan. `amount` per unit and interval, in minor units of `currency`."""

    version_id: UUID
    plan_id: UUID
    code: str
    number: int
    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    currency: str
    amount: int
    interval: str
    interval_count: int
    trial_days: int

    def name(self, locale: str) -> str:
        """In the locale, else in whichever language there is one."""
        return self.names.get(locale) or next(iter(self.names.values()), self.code)

    def description(self, locale: str) -> str:
        return self.descriptions.get(locale) or next(iter(self.descriptions.values()), "")


def offered_plans(*, shop_id: str, currency: str) -> list[Terms]:
    """What a customer of the shop may choose, on today's terms, in the order of the page. One query.

    A plan priced in another currency than the shop's isn't offered until it gets terms in that.
    """
    newest = PlanVersion.objects.for_shop(shop_id).filter(plan__active=True).order_by("plan_id", "-number")
    rows = newest.distinct("plan_id").select_related("plan")
    found = [row for row in rows if row.currency == currency]
    return [terms_of(row) for row in sorted(found, key=lambda row: (row.plan.position, row.plan.code))]


def has_plans(*, shop_id: str, currency: str) -> bool:
    """Whether the shop offers any plan, in its own currency. One query."""
    versions = PlanVersion.objects.for_shop(shop_id)
    return versions.filter(plan__active=True, currency=currency).exists()


def offered_plan(*, shop_id: str, code: str, currency: str) -> Terms:
    """The plan that storefronts call `code`, on today's terms. Raises UnknownPlan where it isn't offered. One query."""
    plans = PlanVersion.objects.for_shop(shop_id).filter(plan__code=code, plan__active=True)
    row = plans.order_by("-number").select_related("plan").first() if CODE.match(code) else None
    if row is None or row.currency != currency:
        raise UnknownPlan
    return terms_of(row)


def terms_by_price(*, shop_id: str, account: str, prices: Iterable[str]) -> dict[str, Terms]:
    """Stripe's price → the version that it is the price of; prices of others' making are left out. One query."""
    known = StripePlanPrice.objects.for_shop(shop_id).filter(stripe_account=account, price_id__in=list(prices))
    return {str(row.price_id): terms_of(row.version) for row in known.select_related("version__plan")}


def terms_of(row: PlanVersion) -> Terms:
    plan: Plan = row.plan
    return Terms(
        version_id=row.pk,
        plan_id=plan.pk,
        code=plan.code,
        number=row.number,
        names=plan.names,
        descriptions=plan.descriptions,
        currency=row.currency,
        amount=row.amount,
        interval=row.interval,
        interval_count=row.interval_count,
        trial_days=row.trial_days,
    )

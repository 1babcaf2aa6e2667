"""Which days may be rented, by the shop's terms, the product's own and the shop's today. Pure, but for `shop_today`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from commerce.rentals.pricing import rental_days
from tenants.context import ShopContext
from tenants.policy import RentalTerms


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """What a product decides for itself, in whole days; None leaves it to the shop."""

    min_days: int | None = None
    max_days: int | None = None
    lead_days: int | None = None
    horizon_days: int | None = None

    def within(self, shop: RentalTerms) -> RentalTerms:
        """The terms that hold: the product's where it has its own, else the shop's."""
        return RentalTerms(
            min_days=shop.min_days if self.min_days is None else self.min_days,
            max_days=shop.max_days if self.max_days is None else self.max_days,
            lead_days=shop.lead_days if self.lead_days is None else self.lead_days,
            horizon_days=shop.horizon_days if self.horizon_days is None else self.horizon_days,
        )


@dataclass(frozen=True, slots=True)
class PeriodProblem:
    """Why a period can't be rented: a stable code, and a sentence for whoever sent it."""

    code: str
    text: str


def shop_today(shop: ShopContext) -> date:
    """The date that the shop's clocks show now."""
    return zone_today(shop.policy.time_zone)


def zone_today(time_zone: str) -> date:
    return timezone.localdate(timezone=ZoneInfo(time_zone))


def period_problem(*, start: date, end: date, terms: RentalTerms, today: date) -> PeriodProblem | None:
    """What stands against renting from `start` to `end`, both included, on the shop's `today`; None: nothing."""
    if end < start:
        return PeriodProblem("reversed", "The return is before the pick-up.")
    days = rental_days(start=start, end=end)
    earliest = today + timedelta(days=terms.lead_days)
    latest = today + timedelta(days=terms.horizon_days)
    if start < today:
        return PeriodProblem("past", "The pick-up day is over.")
    if start < earliest:
        return PeriodProblem("too_soon", f"The earliest pick-up is {earliest.isoformat()}.")
    if start > latest:
        return PeriodProblem("too_far", f"The latest pick-up is {latest.isoformat()}.")
    if days < terms.min_days:
        return PeriodProblem("too_short", f"A rental lasts at least {terms.min_days} days.")
    if days > terms.max_days:
        return PeriodProblem("too_long", f"A rental lasts at most {terms.max_days} days.")
    return None

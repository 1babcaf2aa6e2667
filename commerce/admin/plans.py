"""Plans in the back office: what a shop sells by the month, its terms through time, and who is asked for which."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from commerce.admin.asking import asked_for
from commerce.admin.display import mono, panel, shop_amount, shop_moment, table
from commerce.admin.lists import NOTHING, KeySearch
from commerce.admin.plan_forms import PlanForm
from commerce.gateway.client import access_of
from commerce.models import Plan, PlanVersion, StripePlanPrice
from commerce.plans.at_stripe import price_at_stripe
from commerce.plans.offers import CODE, terms_of
from commerce.plans.plans import newest_version, set_terms_within, switch_plan
from tenants.backoffice import (
    Mandate,
    ReasonAction,
    ReasonedEditsAdmin,
    Refused,
    RelatedDropdownFilter,
    badge,
)
from tenants.context import ShopContext
from tenants.display import EMPTY

SHOWN = 20
"""Versions on a plan's page, the newest first."""

EVERY: dict[str, tuple[str, str]] = {
    PlanVersion.Interval.DAY: ("day", "days"),
    PlanVersion.Interval.WEEK: ("week", "weeks"),
    PlanVersion.Interval.MONTH: ("month", "months"),
    PlanVersion.Interval.YEAR: ("year", "years"),
}


def every(interval: str, count: int) -> str:
    """How often it is paid, as staff read it."""
    one, several = EVERY[interval]
    return f"every {one}" if count == 1 else f"every {count} {several}"


def plan_offer(plan: Plan) -> str | Refused:
    if plan.active:
        return Refused("It is offered.")
    if newest_version(plan) is None:
        return Refused("It has no terms yet: save its page.")
    return "It is made known to Stripe, and customers may subscribe from then on."


def offer(plan: Plan, mandate: Mandate) -> str:
    """Stripe first: a plan that it refuses is never shown to a customer."""

    def at_stripe(shop: ShopContext) -> str:
        version = PlanVersion.objects.for_shop(plan.shop_id).filter(plan=plan).select_related("plan").first()
        assert version is not None  # noqa: S101  the plan above refuses one without
        return price_at_stripe(
            access=access_of(shop),
            shop_id=shop.shop_id,
            terms=terms_of(version),
            locale=shop.policy.default_locale,
            inclusive=shop.policy.tax.inclusive,
        )

    price_id = asked_for(plan.shop_id, at_stripe)
    switch_plan(shop_id=plan.shop_id, plan_id=plan.pk, active=True, reason=mandate.reason, acting=mandate.acting)
    return f"Offered; Stripe calls it {price_id}."


def plan_retire(plan: Plan) -> str | Refused:
    if not plan.active:
        return Refused("It isn't offered.")
    return "Nobody subscribes to it from now on. Subscribers keep it, and go on paying."


def retire(plan: Plan, mandate: Mandate) -> str:
    done = switch_plan(
        shop_id=plan.shop_id, plan_id=plan.pk, active=False, reason=mandate.reason, acting=mandate.acting
    )
    return "Retired." if done else "It was so already."


@admin.register(Plan)
class PlanAdmin(KeySearch[Plan], ReasonedEditsAdmin[Plan]):
    shop_path = "shop"
    audit_name = "plan"
    form = PlanForm
    list_display = ("code", "shop_name", "called", "costs", "trial", "state")
    list_filter = (("shop", RelatedDropdownFilter), "active")
    search_fields = ("code",)
    search_help_text = "A whole code"
    # By an index, over all shops; newest first.
    ordering = ("-id",)
    ordering_of_one_shop = ("shop_id", "-id")
    sortable_by = ()
    empty_text = "No plan yet. One that is offered can be subscribed to."
    reason_actions = (
        ReasonAction(name="offer", label="Offer", plan=plan_offer, verb=offer),
        ReasonAction(name="retire", label="Retire", plan=plan_retire, verb=retire, danger=True),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return super().get_queryset(request).select_related("shop__settings").prefetch_related("versions")

    def key(self, term: str) -> Q:
        return Q(code=term.lower()) if CODE.match(term.lower()) else NOTHING

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("shop", "code", "state", "called", "costs", "trial") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Plan | None = None) -> Any:
        plan = obj
        if plan is not None and not self.has_change_permission(request, plan):
            # What only a form has, Django shows a reader as empty.
            head: tuple[str, ...] = ("shop", "code", "state", "called", "costs", "trial", "position")
            return [(None, {"fields": head}), panel("Terms through time", lambda: versions_of(plan))]
        shown = ("shop", "code") if plan is None else ("shop", "code", "state")
        fieldsets = [
            (None, {"fields": (*shown, "names_typed", "descriptions_typed", "position")}),
            ("What it costs", {"fields": ("price", "interval", "interval_count", "trial_days")}),
        ]
        if plan is not None:
            fieldsets.append(panel("Terms through time", lambda: versions_of(plan)))
        return [*fieldsets, ("Why", {"fields": ("reason_for_change",)})]

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        set_terms_within(plan=obj, terms=form.terms)

    # ---------------------------------------------------------------- columns
    @admin.display(description="Name")
    def called(self, plan: Plan) -> str:
        return str(plan.names.get(plan.shop.settings.default_locale) or next(iter(plan.names.values()), EMPTY))

    @admin.display(description="Costs")
    def costs(self, plan: Plan) -> str:
        version = latest(plan)
        if version is None:
            return EMPTY
        often = every(version.interval, version.interval_count)
        return f"{shop_amount(plan.shop, version.amount, version.currency)} {often}"

    @admin.display(description="Trial")
    def trial(self, plan: Plan) -> str:
        version = latest(plan)
        return EMPTY if version is None or not version.trial_days else f"{version.trial_days} days"

    @admin.display(description="State")
    def state(self, plan: Plan) -> str:
        version = latest(plan)
        if plan.active and version is not None and version.currency != plan.shop.settings.currency:
            return badge("not in the shop's currency", "bad")
        return badge("offered", "good") if plan.active else badge("not offered", "plain")


def latest(plan: Plan) -> PlanVersion | None:
    """Of the versions that the list has read already."""
    return max(plan.versions.all(), key=lambda version: version.number, default=None)


def versions_of(plan: Plan) -> str:
    rows = PlanVersion.objects.for_shop(plan.shop_id).filter(plan=plan).order_by("-number")[:SHOWN]
    prices: dict[Any, list[str]] = {}
    for price in StripePlanPrice.objects.for_shop(plan.shop_id).filter(version__in=[row.pk for row in rows]):
        prices.setdefault(price.version_id, []).append(f"{price.price_id or 'not made yet'} ({price.stripe_account})")
    return table(
        ("Version", "Costs", "Paid", "Trial", "At Stripe", "From"),
        [
            (
                row.number,
                shop_amount(plan.shop, row.amount, row.currency),
                every(row.interval, row.interval_count),
                f"{row.trial_days} days" if row.trial_days else EMPTY,
                mono(", ".join(prices.get(row.pk, [])) or "not asked for yet"),
                shop_moment(plan.shop, row.created_at),
            )
            for row in rows
        ],
        right={1},
        empty="None yet.",
    )

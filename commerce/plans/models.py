"""What a shop sells by the month: plans, their terms in versions, and what each version is called at Stripe."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Plan(models.Model):
    """A plan as customers choose it. What it costs is its newest version's; `active` says whether it is offered."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(max_length=40, db_collation="C", help_text="What storefronts call it by. It never changes.")
    names = models.JSONField(help_text="By locale.")
    descriptions = models.JSONField(default=dict, blank=True, help_text="By locale.")
    active = models.BooleanField(default=False)
    position = models.PositiveIntegerField(default=0, help_text="Order on the page.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["Plan"].as_manager()

    class Meta:
        ordering = ("shop_id", "position", "id")
        constraints = (
            models.UniqueConstraint(name="plan_shop_and_id", fields=["shop", "id"]),  # what versions refer to
            models.UniqueConstraint(
                name="plan_one_per_code",
                fields=["shop", "code"],
                violation_error_message="The shop has a plan of this code.",
            ),
            models.CheckConstraint(name="plan_code_plain", condition=Q(code__regex=r"^[a-z0-9][a-z0-9-]{1,39}$")),
            models.CheckConstraint(name="plan_has_name", condition=~Q(names={})),
        )
        indexes = (
            models.Index(name="plan_offered", fields=["-id"], condition=Q(active=True)),  # reader: the admin's filter
            models.Index(name="plan_by_code", fields=["code"]),  # reader: the admin's search, over all shops
        )

    def __str__(self) -> str:
        return self.code


class PlanVersion(models.Model):
    """Terms of a plan, for ever: a trigger refuses changes. Who has subscribed stays on theirs, others get the newest.

    `amount` per unit and interval, in minor units of `currency`.
    """

    class Interval(models.TextChoices):
        DAY = "day", "Day"
        WEEK = "week", "Week"
        MONTH = "month", "Month"
        YEAR = "year", "Year"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    plan = models.ForeignKey(
        Plan, on_delete=models.PROTECT, related_name="versions", db_constraint=False, db_index=False
    )
    number = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    amount = models.PositiveBigIntegerField()
    interval = models.CharField(max_length=5, choices=Interval)
    interval_count = models.PositiveIntegerField(default=1)
    trial_days = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["PlanVersion"].as_manager()

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(name="plan_version_shop_and_id", fields=["shop", "id"]),
            models.UniqueConstraint(name="plan_version_once", fields=["shop", "plan", "number"]),
            models.CheckConstraint(name="plan_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
            models.CheckConstraint(
                name="plan_terms_possible",
                condition=Q(amount__gt=0, interval_count__gt=0, trial_days__lte=730)
                & (
                    Q(interval="day", interval_count__lte=1095)
                    | Q(interval="week", interval_count__lte=156)
                    | Q(interval="month", interval_count__lte=36)
                    | Q(interval="year", interval_count__lte=3)
                ),
                violation_error_message="At most three years between two payments, and two years of trial.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.plan.code} {self.number}"


class StripePlanPrice(models.Model):
    """A version as a price of one Stripe account: made there when it is first needed, found again by its lookup key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(
        PlanVersion, on_delete=models.PROTECT, related_name="at_stripe", db_constraint=False, db_index=False
    )
    stripe_account = models.CharField(max_length=64, db_collation="C")
    livemode = models.BooleanField()
    stripe_key = models.CharField(max_length=255, db_collation="C", help_text="Of the last send.")
    price_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")

    objects = ShopQuerySet["StripePlanPrice"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                name="stripe_plan_price_once", fields=["shop", "version", "stripe_account", "livemode"]
            ),
            # reader: whose plan a subscription's price is
            models.UniqueConstraint(
                name="stripe_plan_price_one_version", fields=["shop", "stripe_account", "price_id"]
            ),
        )

    def __str__(self) -> str:
        return self.price_id or "not made yet"

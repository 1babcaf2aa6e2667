"""What was done to subscriptions from here: who asked for what, and what Stripe made of it. Rows stay."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from commerce.subscriptions.models import Subscription
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class SubscriptionOperation(models.Model):
    """One operation. `sends` is committed before every request; `refusals` counts Stripe's definitive noes: only when
    the two are equal is it known that nothing was done.
    """

    class Kind(models.TextChoices):
        CHANGE = "change", "Change of plan or quantity"
        CANCEL_AT_END = "cancel_at_end", "Cancel with the paid period"
        CANCEL_NOW = "cancel_now", "Cancel at once"
        RESUME = "resume", "Take a cancellation back"

    class State(models.TextChoices):
        SENDING = "sending", "Being sent"
        UNKNOWN = "unknown", "Outcome unknown"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"

    UNDER_WAY: Final = (State.SENDING, State.UNKNOWN)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, related_name="operations", db_constraint=False, db_index=False
    )
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.SENDING)
    idempotency_key = models.CharField(max_length=255, db_collation="C")
    digest = models.CharField(max_length=64, help_text="What a repeat under the same key must ask for.")
    stripe_key = models.CharField(max_length=255, db_collation="C")
    stripe_params = models.JSONField()
    told = models.JSONField(default=dict, help_text="Plan, quantity and what the change costs, as it was answered.")
    sends = models.PositiveIntegerField(default=1)
    refusals = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")
    acting = models.CharField(max_length=160)
    reason = models.CharField(max_length=500, blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last asked Stripe.")
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ShopQuerySet["SubscriptionOperation"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="subscription_operation_once", fields=["shop", "idempotency_key"]),
            models.UniqueConstraint(
                name="subscription_operation_one_at_a_time",
                fields=["shop", "subscription"],
                condition=Q(state__in=["sending", "unknown"]),
            ),
            models.CheckConstraint(
                name="subscription_operation_refusals_within_sends", condition=Q(refusals__lte=F("sends"))
            ),
            models.CheckConstraint(
                name="subscription_operation_ends_once",
                condition=Q(state__in=["sending", "unknown"], finished_at__isnull=True)
                | Q(state__in=["done", "refused"], finished_at__isnull=False),
            ),
        )
        indexes = (
            # reader: the subscription's page
            models.Index(name="subscription_operation_of_one", fields=["shop", "subscription", "-id"]),
            # reader: the resolver
            models.Index(
                name="subscription_operation_open", fields=["created_at"], condition=Q(state__in=["sending", "unknown"])
            ),
            models.Index(name="subscription_operation_by_kind", fields=["kind", "-id"]),  # reader: its filter
            models.Index(name="subscription_operation_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.get_state_display().lower()}"

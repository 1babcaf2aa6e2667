"""One customer's way into a subscription: one Stripe session, sent and recorded as a checkout's is."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from checkout.session_attempt import AttemptQuerySet, SessionAttempt
from commerce.models import PlanVersion
from tenants.models import Shop


class SubscribeAttempt(SessionAttempt):
    """Nothing is held and no order waits: what is bought is at Stripe, and its events tell what becomes of it."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(
        PlanVersion, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    plan_code = models.CharField(max_length=40, db_collation="C", help_text="The slot, together with the customer.")
    email = models.CharField(max_length=254, help_text="In lower case.")
    quantity = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="What was asked for: a repeat asks for the same.")
    subscription_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")

    objects = AttemptQuerySet["SubscribeAttempt"].as_manager()

    class Meta(SessionAttempt.Meta):
        constraints = (
            models.UniqueConstraint(
                name="subscribe_one_open_per_customer",
                fields=["shop", "plan_code", "email"],
                condition=~Q(state="closed") & Q(client_key__isnull=True),
            ),
            models.UniqueConstraint(
                name="subscribe_one_open_per_key", fields=["shop", "client_key"], condition=~Q(state="closed")
            ),
            models.UniqueConstraint(name="subscribe_one_per_session", fields=["stripe_account", "session_id"]),
            models.CheckConstraint(
                name="subscribe_open_has_session", condition=~Q(state="open") | Q(session_id__isnull=False)
            ),
            models.CheckConstraint(
                name="subscribe_closed_has_outcome",
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="closed") & Q(outcome="", closed_at__isnull=True),
            ),
            models.CheckConstraint(name="subscribe_refusals_within_sends", condition=Q(refusals__lte=F("sends"))),
            models.CheckConstraint(name="subscribe_quantity_positive", condition=Q(quantity__gt=0)),
        )
        indexes = (
            # reader: the resolver
            models.Index(
                name="subscribe_unresolved",
                fields=["lease_until"],
                condition=Q(state__in=["sending", "unknown", "closing"]),
            ),
            # reader: the resolver, for open sessions whose end nobody announced
            models.Index(name="subscribe_open_by_expiry", fields=["session_expires_at"], condition=Q(state="open")),
            models.Index(name="subscribe_by_customer", fields=["shop", "plan_code", "email"]),  # reader: claim
            models.Index(name="subscribe_by_key", fields=["shop", "client_key"]),  # reader: claim
            models.Index(name="subscribe_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            models.Index(name="subscribe_by_email", fields=["email"]),  # reader: the admin's search
            models.Index(name="subscribe_by_session", fields=["session_id"]),  # reader: the admin's search
            models.Index(name="subscribe_by_version", fields=["shop", "version"]),  # reader: the check of its plan
        )

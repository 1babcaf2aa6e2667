"""The inbox: every event once, every delivery of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class StripeEvent(models.Model):
    """One event of one Stripe account. Stored before anything is done about it; never deleted by the flow."""

    class Status(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSING = "processing", "Processing"
        PROCESSED = "processed", "Processed"
        IGNORED = "ignored", "Ignored"
        FAILED = "failed", "Failed, will be retried"
        DEAD = "dead", "Dead letter"

    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C", help_text="The account of the secret that verified it.")
    event_id = models.CharField(max_length=255, db_collation="C")
    type = models.CharField(max_length=80, db_collation="C")
    api_version = models.CharField(max_length=40, blank=True, default="")
    object_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=Status, default=Status.RECEIVED)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    resolved_by = models.CharField(max_length=24, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(help_text="When Stripe says it happened.")
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    # When the sweep may take it: after a failure's backoff, after the lease of whoever is at it now, or to see whether
    # a dead letter's shop is known by now.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True, default="")
    other_version = models.BooleanField(
        default=False, db_default=False, help_text="Rendered in another API version than this product reads."
    )

    objects = ShopQuerySet["StripeEvent"].as_manager()

    class Meta:
        ordering = ("-received_at",)
        constraints = (
            models.UniqueConstraint(name="event_once", fields=["livemode", "account", "event_id"]),
            models.CheckConstraint(
                name="event_status_known",
                condition=Q(status__in=["received", "processing", "processed", "ignored", "failed", "dead"]),
            ),
        )
        indexes = (
            # reader: the sweep
            models.Index(
                name="event_next_attempt", fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False)
            ),
            # reader: the admin's "other API version"
            models.Index(name="event_other_version", fields=["-received_at"], condition=Q(other_version=True)),
            models.Index(name="event_by_object", fields=["object_id"]),  # reader: an order's timeline, twin events
            models.Index(name="event_by_time", fields=["-received_at"]),  # reader: the admin's list
            models.Index(name="event_by_status", fields=["status", "-received_at"]),  # reader: dead letters
        )

    def __str__(self) -> str:
        return self.event_id


class EventDelivery(models.Model):
    """One request of Stripe's with an event, whatever became of it."""

    event = models.ForeignKey(StripeEvent, on_delete=models.CASCADE, related_name="deliveries")
    host = models.CharField(max_length=253)
    host_shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    outcome = models.CharField(max_length=24)
    request_id = models.CharField(max_length=64, blank=True, default="")
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "event deliveries"

    def __str__(self) -> str:
        return f"{self.event_id} at {self.received_at:%Y-%m-%d %H:%M:%S}"


class EventCursor(models.Model):
    """How far an account's events have been listed. The platform's, as the inbox is."""

    of_the_platform: ClassVar[bool] = True

    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C")
    read_until = models.DateTimeField(help_text="What Stripe made before this has been seen.")
    # Set while a window is read over several pages, so that a run that is cut short is gone on with.
    reading_until = models.DateTimeField(null=True, blank=True)
    page_after = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    missed = models.PositiveBigIntegerField(default=0, help_text="Events that were listed and had never arrived.")
    checked_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="", help_text="Why the last look failed.")

    class Meta:
        ordering = ("account",)
        verbose_name = "event catch-up"
        verbose_name_plural = "event catch-up"
        constraints = (models.UniqueConstraint(name="cursor_once", fields=["livemode", "account"]),)

    def __str__(self) -> str:
        return self.account


class Finding(models.Model):
    """A difference between Stripe's books and ours, until somebody or something has put it right."""

    class Kind(models.TextChoices):
        MONEY_WITHOUT_ORDER = "money_without_order", "Money without order"
        ORDER_WITHOUT_MONEY = "order_without_money", "Order without money"
        REFUND_UNKNOWN = "refund_unknown", "Refund that isn't booked"
        JOURNAL_DIFFERS = "journal_differs", "Journal differs from Stripe's balance"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        FIXED = "fixed", "Fixed"
        DISMISSED = "dismissed", "Dismissed"
        GONE = "gone", "Gone by itself"

    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C")
    kind = models.CharField(max_length=24, choices=Kind)
    object_id = models.CharField(
        max_length=255, db_collation="C", help_text="Stripe's session, charge, refund or dispute."
    )
    # Null where nobody can say whose money it is: then it is the platform's to find out.
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    order_number = models.CharField(max_length=24, blank=True, default="", db_collation="C")
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Minor units.")
    detail = models.CharField(max_length=300)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When a look found it last.")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True, default="")

    objects = ShopQuerySet["Finding"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="finding_once", fields=["livemode", "account", "kind", "object_id"]),
            models.CheckConstraint(
                name="finding_state_known", condition=Q(state__in=["open", "fixed", "dismissed", "gone"])
            ),
        )
        indexes = (
            models.Index(name="finding_by_shop", fields=["shop", "-id"]),  # reader: one shop's list
            models.Index(name="finding_open", fields=["found_at"], condition=Q(state="open")),  # readers: list, job
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.object_id}"

"""Subscriptions and their invoices, as Stripe had them at the newest read. Mirrors: nothing here is decided by us."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Subscription(models.Model):
    """One subscription. `status` is Stripe's own word."""

    class Status(models.TextChoices):
        INCOMPLETE = "incomplete", "First payment missing"
        INCOMPLETE_EXPIRED = "incomplete_expired", "Never paid"
        TRIALING = "trialing", "Trial"
        ACTIVE = "active", "Active"
        PAST_DUE = "past_due", "Past due"
        UNPAID = "unpaid", "Unpaid"
        PAUSED = "paused", "Paused"
        CANCELED = "canceled", "Canceled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    subscription_id = models.CharField(max_length=255, db_collation="C")
    customer_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    status = models.CharField(max_length=32, choices=Status)
    currency = models.CharField(max_length=3, blank=True, default="")
    items = models.JSONField(default=list, help_text="Price and quantity of each item.")
    current_period_start = models.DateTimeField(null=True, blank=True)
    current_period_end = models.DateTimeField(null=True, blank=True, help_text="The earliest of its items'.")
    cancel_at_period_end = models.BooleanField(default=False)
    cancel_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    trial_end = models.DateTimeField(null=True, blank=True)
    collection_paused = models.BooleanField(default=False)
    latest_invoice_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    metadata = models.JSONField(default=dict)
    read_stamp = models.BigIntegerField(help_text="Stamp of the read that this row is from.")
    read_at = models.DateTimeField()
    created_at = models.DateTimeField(help_text="When it was made, by Stripe.")

    objects = ShopQuerySet["Subscription"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="subscription_once", fields=["shop", "stripe_account", "subscription_id"]),
        )
        indexes = (
            models.Index(name="subscription_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            models.Index(name="subscription_by_id", fields=["subscription_id"]),  # reader: admin search
            models.Index(name="subscription_by_customer", fields=["customer_id"]),  # reader: admin search
        )

    def __str__(self) -> str:
        return self.subscription_id


class Invoice(models.Model):
    """One invoice of a subscription. Amounts are minor units of `currency`."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        UNCOLLECTIBLE = "uncollectible", "Uncollectible"
        VOID = "void", "Void"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    invoice_id = models.CharField(max_length=255, db_collation="C")
    # By Stripe's id, not by a key: an invoice is often read before its subscription.
    subscription_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    customer_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    status = models.CharField(max_length=32, choices=Status)
    number = models.CharField(max_length=64, blank=True, default="")
    billing_reason = models.CharField(max_length=64, blank=True, default="")
    currency = models.CharField(max_length=3)
    amount_due = models.BigIntegerField()
    amount_paid = models.BigIntegerField()
    amount_remaining = models.BigIntegerField()
    attempt_count = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    read_stamp = models.BigIntegerField(help_text="Stamp of the read that this row is from.")
    read_at = models.DateTimeField()
    created_at = models.DateTimeField(help_text="When it was made, by Stripe.")

    objects = ShopQuerySet["Invoice"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="invoice_once", fields=["shop", "stripe_account", "invoice_id"]),
            models.CheckConstraint(name="invoice_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        )
        indexes = (
            models.Index(name="invoice_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            models.Index(name="invoice_by_id", fields=["invoice_id"]),  # reader: admin search
            models.Index(name="invoice_by_subscription", fields=["shop", "subscription_id"]),  # reader: its page
        )

    def __str__(self) -> str:
        return self.number or self.invoice_id

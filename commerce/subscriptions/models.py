"""Subscriptions and their invoices, as Stripe had them at the newest read. Mirrors: nothing here is decided by us."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from commerce.plans.models import PlanVersion
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
    # The terms it is paid by, where they are a plan's of this shop.
    version = models.ForeignKey(
        PlanVersion,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    email = models.CharField(max_length=254, blank=True, default="", help_text="Who subscribed here, in lower case.")
    items = models.JSONField(default=list, help_text="Id, price and quantity of each item.")
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
        permissions = (("operate_subscription", "Can change, cancel and resume subscriptions"),)
        constraints = (
            models.UniqueConstraint(name="subscription_shop_and_id", fields=["shop", "id"]),  # what operations refer to
            models.UniqueConstraint(name="subscription_once", fields=["shop", "stripe_account", "subscription_id"]),
        )
        indexes = (
            models.Index(name="subscription_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            # reader: the list by state, where most are active
            models.Index(name="subscription_by_status", fields=["status", "-id"], condition=~Q(status="active")),
            models.Index(name="subscription_by_id", fields=["subscription_id"]),  # reader: admin search
            models.Index(name="subscription_by_customer", fields=["customer_id"]),  # reader: admin search
            models.Index(name="subscription_by_email", fields=["email"]),  # reader: admin search
            models.Index(name="subscription_by_version", fields=["shop", "version"]),  # reader: the check of its plan
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
    total_amount = models.BigIntegerField(default=0, help_text="Before what was left on the customer's balance.")
    tax_amount = models.BigIntegerField(default=0)
    refunded_amount = models.BigIntegerField(default=0, help_text="What has been booked as given back.")
    attempt_count = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    customer_email = models.CharField(max_length=254, blank=True, default="")
    page_url = models.TextField(blank=True, default="", help_text="Where the customer pays it.")
    needs_action = models.BooleanField(default=False, help_text="The customer has to confirm the payment.")
    payment_intent_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    charge_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    balance_transaction_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    charge_read_at = models.DateTimeField(null=True, blank=True, help_text="When its charge was last asked about.")
    read_stamp = models.BigIntegerField(help_text="Stamp of the read that this row is from.")
    read_at = models.DateTimeField()
    created_at = models.DateTimeField(help_text="When it was made, by Stripe.")

    objects = ShopQuerySet["Invoice"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="invoice_shop_and_id", fields=["shop", "id"]),  # what the journal refers to
            models.UniqueConstraint(name="invoice_once", fields=["shop", "stripe_account", "invoice_id"]),
            models.CheckConstraint(
                name="invoice_refund_within_paid",
                condition=Q(refunded_amount__gte=0, refunded_amount__lte=F("amount_paid")),
            ),
            models.CheckConstraint(name="invoice_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        )
        indexes = (
            models.Index(name="invoice_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            # reader: the list by state, where most are paid
            models.Index(name="invoice_by_status", fields=["status", "-id"], condition=~Q(status="paid")),
            models.Index(name="invoice_by_id", fields=["invoice_id"]),  # reader: admin search
            models.Index(name="invoice_by_subscription", fields=["shop", "subscription_id"]),  # reader: its page
            # reader: the desk's filters, over all shops
            models.Index(name="invoice_failing", fields=["-id"], condition=Q(status="open", attempt_count__gt=0)),
            # reader: refunds, disputes and fees of its payment
            models.Index(
                name="invoice_by_payment", fields=["shop", "payment_intent_id"], condition=~Q(payment_intent_id="")
            ),
            # reader: the sweep for fees
            models.Index(
                name="invoice_without_fee",
                fields=["charge_read_at"],
                condition=Q(status="paid", balance_transaction_id="", amount_paid__gt=0) & ~Q(payment_intent_id=""),
            ),
        )

    def __str__(self) -> str:
        return self.number or self.invoice_id

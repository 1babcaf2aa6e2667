"""What customers give back, and the money that goes back to them: a row per refund, written before Stripe is asked."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from commerce.orders.models import Order, OrderLine
from tenants.models import Shop
from tenants.scoping import ShopQuerySet

# Refunds whose money came back, and that nobody has dealt with. Reader: the desk's badges.
CAME_BACK: Final = Q(status="failed", handled_at__isnull=True, refund_id__isnull=False)


class Return(models.Model):
    """One request to give money back, by line, by amount or of a deposit. Its key makes it happen once."""

    class Status(models.TextChoices):
        OPEN = "open", "Being refunded"
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused by Stripe"

    class Restock(models.TextChoices):
        NONE = "", "Nothing to restock"
        DUE = "due", "To be restocked"
        DONE = "done", "Restocked"
        FAILED = "failed", "Could not be restocked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="returns", db_constraint=False)
    idempotency_key = models.CharField(max_length=255, db_collation="C")
    digest = models.CharField(max_length=64, help_text="What was asked for with the key.")
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    restock = models.CharField(max_length=6, choices=Restock, blank=True, default=Restock.NONE)
    reason = models.CharField(max_length=500)
    acting = models.CharField(max_length=160)
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()

    objects = ShopQuerySet["Return"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="return_shop_and_id", fields=["shop", "id"]
            ),  # what lines and refunds refer to
            models.UniqueConstraint(name="return_one_per_key", fields=["shop", "idempotency_key"]),
        )
        indexes = (
            models.Index(name="return_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            # reader: the worker that puts units back
            models.Index(name="return_to_restock", fields=["created_at"], condition=Q(restock="due")),
            # readers: the admin's list by state, where most are accepted and restocked or not meant to be
            models.Index(name="return_by_status", fields=["status", "-id"], condition=~Q(status="accepted")),
            models.Index(
                name="return_by_restock", fields=["restock", "-id"], condition=Q(restock__in=["due", "failed"])
            ),
        )

    def __str__(self) -> str:
        return f"Return of order {self.order.number}"


class ReturnLine(models.Model):
    """Units of one order line. `amount` is what was paid for them, in minor units of the order's currency."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    returned = models.ForeignKey(Return, on_delete=models.PROTECT, related_name="lines", db_constraint=False)
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="returns", db_constraint=False)
    quantity = models.PositiveIntegerField()
    restock = models.BooleanField(default=False)
    amount = models.PositiveBigIntegerField()

    objects = ShopQuerySet["ReturnLine"].as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(name="return_line_once", fields=["shop", "returned", "order_line"]),
            models.CheckConstraint(name="return_line_positive", condition=Q(quantity__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_line.variant_key}"


class Refund(models.Model):
    """Money on its way back to a customer, in minor units of the order's currency.

    `sending` commits together with the exact parameters and key; `unknown` means that Stripe has not said. Of refunds
    made in Stripe's dashboard the row is made when they are seen. While a row is live (neither failed nor canceled)
    its amount is part of the order's `refunded_amount`; the database compares the two at every commit.
    """

    class Status(models.TextChoices):
        SENDING = "sending", "Sending to Stripe"
        UNKNOWN = "unknown", "Outcome unknown"
        PENDING = "pending", "Pending"
        REQUIRES_ACTION = "requires_action", "Waits for the customer"
        SUCCEEDED = "succeeded", "Refunded"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"

    DEAD = ("failed", "canceled")
    ASKED = ("sending", "unknown")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="refunds", db_constraint=False, db_index=False
    )
    # None: made at Stripe, not here.
    returned = models.ForeignKey(
        Return, on_delete=models.PROTECT, related_name="refunds", null=True, blank=True, db_constraint=False
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.SENDING)
    currency = models.CharField(max_length=3)
    amount = models.PositiveBigIntegerField()
    # Of the amount: what is the customer's own deposit, and what of the rest had been tax.
    deposit_amount = models.PositiveBigIntegerField(default=0)
    tax_amount = models.PositiveBigIntegerField(default=0)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    stripe_key = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    stripe_params = models.JSONField(default=dict)
    refund_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    sends = models.PositiveIntegerField(default=0)
    refusals = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    read_stamp = models.BigIntegerField(default=0, help_text="The newest reading of Stripe that was applied.")
    failure_reason = models.CharField(max_length=200, blank=True, default="")
    pending_reason = models.CharField(max_length=64, blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last asked Stripe.")
    told_status = models.CharField(
        max_length=16, blank=True, default="", help_text="The trouble that staff were told of."
    )
    handled_at = models.DateTimeField(null=True, blank=True, help_text="When staff dealt with what went wrong.")
    created_at = models.DateTimeField()

    objects = ShopQuerySet["Refund"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="refund_one_per_object", fields=["stripe_account", "refund_id"]),
            models.CheckConstraint(name="refund_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="refund_parts_within", condition=Q(amount__gte=F("deposit_amount") + F("tax_amount"))
            ),
            models.CheckConstraint(name="refund_refusals_within_sends", condition=Q(refusals__lte=F("sends"))),
            models.CheckConstraint(
                name="refund_known_has_object",
                condition=Q(status__in=["sending", "unknown", "failed"]) | Q(refund_id__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="refund_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            models.Index(name="refund_by_order", fields=["order"]),  # reader: the balance of an order
            models.Index(name="refund_by_object", fields=["refund_id"]),  # reader: events, admin search
            # reader: the admin's list by state, where most have arrived
            models.Index(name="refund_by_status", fields=["status", "-id"], condition=~Q(status="succeeded")),
            # reader: the worker that asks Stripe what became of them
            models.Index(
                name="refund_unresolved",
                fields=["checked_at"],
                condition=Q(status__in=["sending", "unknown", "pending", "requires_action"]),
            ),
            # reader: the desk
            models.Index(
                name="refund_on_desk",
                fields=["-id"],
                condition=Q(handled_at__isnull=True) & ~Q(status__in=["succeeded", "sending"]),
            ),
        )

    def __str__(self) -> str:
        return f"Refund of order {self.order.number}"

    @property
    def is_live(self) -> bool:
        return self.status not in self.DEAD

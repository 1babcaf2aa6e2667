"""Disputes of payments, as Stripe had them at the newest read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from commerce.orders.models import Order
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class DisputeQuerySet(ShopQuerySet["Dispute"]):
    def open(self) -> DisputeQuerySet:
        return self.exclude(status__in=Dispute.CLOSED)

    def to_answer(self) -> DisputeQuerySet:
        """The bank waits for the shop. Said as a part of the open ones, which have an index."""
        return self.open().filter(status__in=Dispute.TO_ANSWER)


class Dispute(models.Model):
    """One dispute of one charge. Amounts are minor units of `currency`.

    `status` is Stripe's own word, whatever it is: a status that we don't know counts as open.
    """

    class Status(models.TextChoices):
        WARNING_NEEDS_RESPONSE = "warning_needs_response", "Inquiry, needs a response"
        WARNING_UNDER_REVIEW = "warning_under_review", "Inquiry, under review"
        WARNING_CLOSED = "warning_closed", "Inquiry closed"
        NEEDS_RESPONSE = "needs_response", "Needs a response"
        UNDER_REVIEW = "under_review", "Under review"
        APPEAL_NEEDS_RESPONSE = "appeal_needs_response", "Appeal, needs a response"
        APPEAL_UNDER_REVIEW = "appeal_under_review", "Appeal, under review"
        PREVENTED = "prevented", "Prevented"
        WON = "won", "Won"
        LOST = "lost", "Lost"

    TO_ANSWER = (Status.NEEDS_RESPONSE, Status.WARNING_NEEDS_RESPONSE, Status.APPEAL_NEEDS_RESPONSE)
    CLOSED = (Status.WARNING_CLOSED, Status.PREVENTED, Status.WON, Status.LOST)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    dispute_id = models.CharField(max_length=255, db_collation="C")
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="disputes", db_constraint=False
    )
    charge_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    payment_intent_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    status = models.CharField(max_length=32, choices=Status)
    reason = models.CharField(max_length=64, blank=True, default="")
    currency = models.CharField(max_length=3)
    amount = models.PositiveBigIntegerField()
    # What moves the account's balance is in the currency that Stripe settles in, which need not be the payment's.
    balance_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    withdrawn_amount = models.BigIntegerField(
        default=0, help_text="What the account's balance is down by at the moment, without fees, in its own currency."
    )
    fee_amount = models.BigIntegerField(default=0, help_text="Stripe's fees for it, in the balance's currency.")
    refundable = models.BooleanField(default=False, help_text="Whether Stripe would still take a refund.")
    evidence_due_by = models.DateTimeField(null=True, blank=True)
    read_stamp = models.BigIntegerField(help_text="Stamp of the read that this row is from.")
    read_at = models.DateTimeField()
    created_at = models.DateTimeField(help_text="When it was opened, by Stripe.")

    objects = DisputeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="dispute_once", fields=["shop", "stripe_account", "dispute_id"]),
            models.CheckConstraint(name="dispute_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        )
        indexes = (
            models.Index(name="dispute_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            models.Index(name="dispute_by_id", fields=["dispute_id"]),  # reader: admin search
            models.Index(name="dispute_by_intent", fields=["payment_intent_id"]),  # reader: admin search
            # reader: the admin's "open"
            models.Index(
                name="dispute_open",
                fields=["evidence_due_by"],
                condition=~Q(status__in=["warning_closed", "prevented", "won", "lost"]),
            ),
        )

    def __str__(self) -> str:
        return self.dispute_id

    @property
    def is_open(self) -> bool:
        return self.status not in self.CLOSED

"""What subscribers are told by mail: of payments that failed or wait for them, and of trials that end."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from commerce.subscriptions.models import Invoice, Subscription
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class SubscriptionNote(models.Model):
    """One mail. `occasion` makes it one: an invoice's try, or the day that a trial ends, whatever events repeat."""

    class Kind(models.TextChoices):
        PAYMENT_FAILED = "payment_failed", "A payment failed"
        ACTION_REQUIRED = "action_required", "A payment waits for the customer"
        TRIAL_ENDING = "trial_ending", "A trial ends"

    class State(models.TextChoices):
        DUE = "due", "To be sent"
        SENT = "sent", "Sent"
        NEEDLESS = "needless", "Not sent: it had settled itself"
        GIVEN_UP = "given_up", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="notes",
        db_constraint=False,
        db_index=False,
    )
    invoice = models.ForeignKey(
        Invoice,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="notes",
        db_constraint=False,
        db_index=False,
    )
    kind = models.CharField(max_length=16, choices=Kind)
    occasion = models.CharField(max_length=300, db_collation="C")
    state = models.CharField(max_length=8, choices=State, default=State.DUE)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    sent_to = models.CharField(max_length=254, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    objects = ShopQuerySet["SubscriptionNote"].as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "mail to a subscriber"
        verbose_name_plural = "mails to subscribers"
        constraints = (
            models.UniqueConstraint(name="subscription_note_once", fields=["shop", "occasion"]),
            models.CheckConstraint(
                name="subscription_note_about_one",
                condition=Q(subscription__isnull=True, invoice__isnull=False)
                | Q(subscription__isnull=False, invoice__isnull=True),
            ),
        )
        indexes = (
            models.Index(
                name="subscription_note_due", fields=["due_at"], condition=Q(state="due")
            ),  # reader: the sender
            models.Index(name="subscription_note_of_invoice", fields=["shop", "invoice"]),  # reader: the invoice's page
            models.Index(name="subscription_note_of_one", fields=["shop", "subscription"]),  # reader: its page
            models.Index(name="subscription_note_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.get_state_display().lower()}"

"""The checkout attempt: one order, one hold, one Stripe session."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from checkout.session_attempt import AttemptQuerySet, SessionAttempt
from checkout.subscribing.models import SubscribeAttempt
from commerce.models import Cart, Order
from inventory.models import Hold
from tenants.models import Shop
from tenants.scoping import ShopQuerySet

__all__ = ["CheckoutAttempt", "Shortage", "SubscribeAttempt"]


class CheckoutAttempt(SessionAttempt):
    """One way through the checkout, with its order and its hold."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    cart = models.ForeignKey(
        Cart, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False
    )
    cart_generation = models.PositiveIntegerField(null=True, blank=True)
    client_digest = models.CharField(
        max_length=64, blank=True, default="", help_text="What the client sent with its key."
    )
    intent_digest = models.CharField(max_length=64)
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="attempt", db_constraint=False)
    hold = models.OneToOneField(
        Hold, on_delete=models.PROTECT, null=True, blank=True, related_name="attempt", db_constraint=False
    )
    # The coupon that the session names: made before it, under a key of its own. Empty without a discount.
    coupon_key = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    coupon_params = models.JSONField(null=True, blank=True)
    changes = models.JSONField(default=list, help_text="What drifted, as answered to the customer.")

    objects = AttemptQuerySet["CheckoutAttempt"].as_manager()

    class Meta(SessionAttempt.Meta):
        constraints = (
            models.UniqueConstraint(
                name="attempt_one_open_per_cart", fields=["shop", "cart"], condition=~Q(state="closed")
            ),
            models.UniqueConstraint(
                name="attempt_one_open_per_key", fields=["shop", "client_key"], condition=~Q(state="closed")
            ),
            models.UniqueConstraint(name="attempt_one_per_session", fields=["stripe_account", "session_id"]),
            models.CheckConstraint(
                name="attempt_open_has_session", condition=~Q(state="open") | Q(session_id__isnull=False)
            ),
            models.CheckConstraint(
                name="attempt_closed_has_outcome",
                condition=Q(state="closed", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="closed") & Q(outcome="", closed_at__isnull=True),
            ),
            models.CheckConstraint(name="attempt_refusals_within_sends", condition=Q(refusals__lte=F("sends"))),
            models.CheckConstraint(
                name="attempt_state_known",
                condition=Q(state__in=["sending", "open", "unknown", "closing", "closed"]),
            ),
        )
        indexes = (
            # reader: the resolver
            models.Index(
                name="attempt_unresolved",
                fields=["lease_until"],
                condition=Q(state__in=["sending", "unknown", "closing"]),
            ),
            # reader: the resolver, for open sessions whose end nobody announced
            models.Index(name="attempt_open_by_expiry", fields=["session_expires_at"], condition=Q(state="open")),
            models.Index(name="attempt_by_cart", fields=["shop", "cart", "cart_generation"]),  # reader: claim
            models.Index(name="attempt_by_key", fields=["shop", "client_key"]),  # reader: claim
            models.Index(name="attempt_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
        )


class Shortage(models.Model):
    """An order whose money came when its stock was gone, and what became of it (W6). One per order."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RETAKEN = "retaken", "Stock taken after all"
        SUBSTITUTED = "substituted", "Something else is sent"
        REFUNDED = "refunded", "Refunded"

    class Note(models.TextChoices):
        """What the customer is still to be told."""

        NONE = "", "Nothing"
        DELAYED = "delayed", "That it takes longer"
        CONFIRMED = "confirmed", "That it is on its way"
        SUBSTITUTED = "substituted", "What is sent instead"
        REFUNDED = "refunded", "That the money comes back"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="shortage", db_constraint=False)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    reason = models.CharField(max_length=200)
    policy = models.CharField(max_length=8, help_text="The shop's, when it happened: review or refund.")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True, default="")
    refund_tried_at = models.DateTimeField(null=True, blank=True)
    staff_told_at = models.DateTimeField(null=True, blank=True)
    # One at a time: a newer one replaces what wasn't sent yet.
    note = models.CharField(max_length=12, choices=Note, blank=True, default=Note.NONE)
    note_due_at = models.DateTimeField()
    note_attempts = models.PositiveIntegerField(default=0)
    note_sent_at = models.DateTimeField(null=True, blank=True)
    note_error = models.CharField(max_length=200, blank=True, default="")

    objects = ShopQuerySet["Shortage"].as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "paid without stock"
        verbose_name_plural = "paid without stock"
        constraints = (
            models.CheckConstraint(
                name="shortage_state_known", condition=Q(state__in=["open", "retaken", "substituted", "refunded"])
            ),
            models.CheckConstraint(
                name="shortage_closed_has_time",
                condition=Q(state="open", closed_at__isnull=True) | ~Q(state="open") & Q(closed_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="shortage_by_shop", fields=["shop", "-opened_at"]),  # reader: the desk of one shop
            # readers: the desk, the sweep
            models.Index(name="shortage_open", fields=["opened_at"], condition=Q(state="open")),
            models.Index(name="shortage_note_due", fields=["note_due_at"], condition=~Q(note="")),  # reader: the sweep
        )

    def __str__(self) -> str:
        return f"Order {self.order.number}"

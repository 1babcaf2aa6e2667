"""Low-stock alerts (I8) and what became of telling each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from inventory.models.stock import StockOwner, StockRow
from tenants.scoping import OwnerQuerySet


class StockAlert(models.Model):
    """A variant fell to its threshold, or stayed there for another day. Its figures are those of that moment.

    At most one per stock row is open: that is what makes a fall one alert, whoever looks and however often. The
    references to row and owner are (owner, id), made in migrations/0003_references_within_an_owner.py.
    """

    class Ending(models.TextChoices):
        RECOVERED = "recovered", "Recovered"
        REPEATED = "repeated", "Still low, told again"

    owner = models.ForeignKey(StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False)
    stock_row = models.ForeignKey(
        StockRow, on_delete=models.PROTECT, related_name="alerts", db_index=False, db_constraint=False
    )
    on_hand = models.IntegerField()
    held = models.IntegerField()
    threshold = models.PositiveIntegerField()
    raised_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_as = models.CharField(max_length=10, choices=Ending, blank=True, default="")

    objects = OwnerQuerySet["StockAlert"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="stock_alert_one_open", fields=["owner", "stock_row"], condition=Q(closed_at__isnull=True)
            ),
            models.UniqueConstraint(name="stock_alert_owner_and_id", fields=["owner", "id"]),
            models.CheckConstraint(
                name="stock_alert_closed_as_something",
                condition=Q(closed_at__isnull=True, closed_as="")
                | Q(closed_at__isnull=False, closed_as__in=["recovered", "repeated"]),
            ),
        )
        indexes = (
            models.Index(name="stock_alert_by_row", fields=["stock_row", "-id"]),  # reader: a row's alerts
        )

    def __str__(self) -> str:
        return f"Alert {self.pk}"

    @property
    def available(self) -> int:
        return self.on_hand - self.held


class AlertDelivery(models.Model):
    """Telling one alert by one channel. `attempts` also names a claim: what a claim reports counts only while the row
    still carries its number.
    """

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        DUE = "due", "To be sent"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Nobody to tell"

    owner = models.ForeignKey(StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False)
    alert = models.ForeignKey(
        StockAlert, on_delete=models.PROTECT, related_name="deliveries", db_index=False, db_constraint=False
    )
    channel = models.CharField(max_length=8, choices=Channel)
    state = models.CharField(max_length=8, choices=State, default=State.DUE)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(help_text="Of one being sent: when its sender is given up.")
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, default="")

    objects = OwnerQuerySet["AlertDelivery"].as_manager()

    class Meta:
        ordering = ("alert", "channel")
        verbose_name_plural = "alert deliveries"
        constraints = (
            models.UniqueConstraint(name="alert_delivery_one_per_channel", fields=["owner", "alert", "channel"]),
            models.CheckConstraint(name="alert_delivery_channel_known", condition=Q(channel__in=["email", "webhook"])),
            models.CheckConstraint(
                name="alert_delivery_state_known",
                condition=Q(state__in=["due", "sending", "sent", "failed", "skipped"]),
            ),
            models.CheckConstraint(
                name="alert_delivery_sent_with_a_time",
                condition=Q(state="sent", sent_at__isnull=False) | ~Q(state="sent") & Q(sent_at__isnull=True),
            ),
        )
        indexes = (
            # reader: the sweep
            models.Index(
                name="alert_delivery_due", fields=["next_attempt_at"], condition=Q(state__in=["due", "sending"])
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_channel_display()} about alert {self.alert_id}"

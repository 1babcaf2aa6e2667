"""What every attempt to sell through a Stripe session has, whatever is sold: one request, one session, one end."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7

from tenants.scoping import ShopQuerySet

A = TypeVar("A", bound="SessionAttempt")


class AttemptQuerySet(ShopQuerySet[A]):
    def unfinished(self) -> Self:
        return self.exclude(state=SessionAttempt.State.CLOSED)


class SessionAttempt(models.Model):
    """`sending → open | unknown → closing → closed`. Explored exhaustively in tests/checkout/attempt_model/.

    `sends` is committed before every request that may create the session; `refusals` counts those that Stripe refused
    definitively. Only when the two are equal is it known that no session exists.
    """

    class State(models.TextChoices):
        SENDING = "sending", "Sending to Stripe"
        OPEN = "open", "Open at Stripe"
        UNKNOWN = "unknown", "Outcome unknown"
        CLOSING = "closing", "Closing"
        CLOSED = "closed", "Closed"

    class Outcome(models.TextChoices):
        NONE = "", "Not closed"
        COMPLETED = "completed", "Session completed"
        EXPIRED = "expired", "Session expired"
        REFUSED = "refused", "Stripe refused to open a session"
        NEVER_MADE = "never_made", "No session was ever made"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_key = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    state = models.CharField(max_length=8, choices=State, default=State.SENDING)
    outcome = models.CharField(max_length=12, choices=Outcome, blank=True, default=Outcome.NONE)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    stripe_key = models.CharField(max_length=255, db_collation="C")
    stripe_params = models.JSONField()
    session_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    session_expires_at = models.DateTimeField()
    sends = models.PositiveIntegerField(default=0)
    refusals = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    url_answered = models.BooleanField(default=False)
    closing_reason = models.CharField(max_length=200, blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last asked Stripe.")
    # Of its own: a customer who polls must not keep the workers away.
    polled_at = models.DateTimeField(null=True, blank=True, help_text="When a poll last asked Stripe.")
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_leased(self) -> bool:
        """Whether somebody is at it, and will leave it otherwise than it is."""
        return self.lease_until is not None and self.lease_until > timezone.now()

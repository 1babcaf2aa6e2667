"""Records of sales that were made elsewhere, as they arrived, and what became of each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from commerce.orders.models import Order
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class ReconciliationRecord(models.Model):
    """One record of one sender, kept as it came (`payload`). Whoever sends the same again finds this row.

    A refused one can be corrected by staff: `corrected` is what counts then.
    """

    class State(models.TextChoices):
        APPLIED = "applied", "Taken over"
        UNCHANGED = "unchanged", "Was here already"
        REJECTED = "rejected", "Refused"
        DISMISSED = "dismissed", "Put aside"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    source = models.CharField(max_length=32, db_collation="C")
    external_id = models.CharField(max_length=255, blank=True, db_collation="C", help_text="Empty: it named none.")
    payload = models.JSONField()
    payload_digest = models.CharField(max_length=64, db_collation="C")
    corrected = models.JSONField(null=True, blank=True)
    state = models.CharField(max_length=9, choices=State)
    normalised = models.BooleanField(default=False, help_text="It came in an older form, which was translated.")
    reasons = models.JSONField(default=dict, blank=True, help_text="Why it was refused, by member.")
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_constraint=False
    )
    received_by = models.CharField(max_length=160)
    request_id = models.CharField(max_length=64, blank=True, default="")
    received_at = models.DateTimeField()
    decided_at = models.DateTimeField()

    objects = ShopQuerySet["ReconciliationRecord"].as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = (("reconcile", "Can correct and put aside refused records"),)
        constraints = (
            models.UniqueConstraint(
                name="reconciliation_once_per_payload", fields=["shop", "source", "external_id", "payload_digest"]
            ),
            # Two payloads that name one sale make one order, whoever comes first.
            models.UniqueConstraint(
                name="reconciliation_applied_once",
                fields=["shop", "source", "external_id"],
                condition=Q(state="applied"),
            ),
            models.CheckConstraint(
                name="reconciliation_says_why",
                condition=Q(state="rejected", order__isnull=True) & ~Q(reasons={})
                | Q(state="dismissed", order__isnull=True)
                | Q(state__in=["applied", "unchanged"], order__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="reconciliation_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            # reader: the desk, which has to do with what was refused
            models.Index(name="reconciliation_refused", fields=["-id"], condition=Q(state="rejected")),
            models.Index(
                name="reconciliation_normalised", fields=["-id"], condition=Q(normalised=True)
            ),  # reader: the list
            # reader: an order's page
            models.Index(name="reconciliation_by_order", fields=["order"], condition=Q(order__isnull=False)),
        )

    def __str__(self) -> str:
        return self.external_id or str(self.id)

"""Who did what, when and why, for everything that moves money, stock or tenancy (O5)."""

from __future__ import annotations

from django.db import models

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class AuditEntry(models.Model):
    """Append-only: the database refuses update, delete and truncate."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(db_index=True)  # reader: the audit list, newest first
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=255)
    reason = models.TextField(blank=True, default="")
    data = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, default="")

    objects = ShopQuerySet["AuditEntry"].as_manager()

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(name="audit_by_object", fields=["object_id", "object_type"]),  # reader: an object's history
            models.Index(name="audit_by_request", fields=["request_id"]),  # reader: what one request changed
            models.Index(name="audit_by_shop", fields=["shop", "-at"]),  # reader: one shop's trail
            # readers: the list's filters and its search for whole words
            models.Index(name="audit_by_actor", fields=["actor_kind", "actor_name", "-at"]),
            models.Index(name="audit_by_action", fields=["action", "-at"]),
            models.Index(name="audit_by_type", fields=["object_type", "-at"]),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"

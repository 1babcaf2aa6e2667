"""What a worker or a server calls with: one shop's, or the platform's."""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class ServiceToken(models.Model):
    """One token: a public id, which every request names, and the digests of one secret or, while it is being replaced,
    of two. Without a shop it is the platform's, and its requests say for which shop they are.

    A global table: a token is looked up before anybody knows whose request it is.
    """

    class Scope(models.TextChoices):
        INVENTORY_READ = "inventory:read", "Validate stock"
        INVENTORY_HOLD = "inventory:hold", "Hold, commit and release stock"
        ORDERS_READ = "orders:read", "Read orders"
        PAYMENTS_WRITE = "payments:write", "Refund, rent, change subscriptions"
        RECONCILIATION_WRITE = "reconciliation:write", "Reconcile orders"

    id = models.CharField(primary_key=True, max_length=16, editable=False, db_collation="C")
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="service_tokens", db_index=False
    )
    label = models.CharField(max_length=60)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope))
    # Empty once it is revoked: what has ended leaves nothing to compare with.
    digest = models.CharField(max_length=64, blank=True, default="", editable=False, db_collation="C")
    older_digest = models.CharField(max_length=64, blank=True, default="", editable=False, db_collation="C")
    older_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=160, editable=False)
    # When and by whom the secret that works now was made: at the beginning, or by the last rotation.
    secret_at = models.DateTimeField(editable=False)
    secret_by = models.CharField(max_length=160, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    older_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=160, blank=True, default="", editable=False)

    objects = ShopQuerySet["ServiceToken"].as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "service token"
        constraints = (
            models.CheckConstraint(name="service_token_id_form", condition=Q(id__regex=r"^[0-9a-f]{16}$")),
            models.CheckConstraint(
                name="service_token_scopes_known",
                condition=Q(
                    scopes__contained_by=[
                        "inventory:read", "inventory:hold", "orders:read", "payments:write", "reconciliation:write",
                    ],
                    scopes__len__gt=0,
                ),
            ),
            models.CheckConstraint(
                name="service_token_digest_until_revoked",
                condition=Q(digest__regex=r"^[0-9a-f]{64}$", revoked_at__isnull=True)
                | Q(digest="", older_digest="", revoked_at__isnull=False),
            ),
            models.CheckConstraint(
                name="service_token_older_has_an_end",
                condition=Q(older_digest="", older_until__isnull=True, older_used_at__isnull=True)
                | Q(older_digest__regex=r"^[0-9a-f]{64}$", older_until__isnull=False),
            ),
        )  # fmt: skip
        indexes = (
            models.Index(name="service_token_newest", fields=["-created_at", "-id"]),  # reader: the admin's list
            # reader: the same for a shop's own staff; and the reference's own check, should a shop ever go
            models.Index(name="service_token_by_shop", fields=["shop", "-created_at", "-id"]),
        )

    def __str__(self) -> str:
        return f"{self.label} ({self.shown})"

    @property
    def shown(self) -> str:
        """The token as it may be shown: its secret is known to its holder alone."""
        return f"hfs_{self.id}_…"

    def is_valid(self, now: datetime | None = None) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > (now or timezone.now()))

    def has_older(self, now: datetime | None = None) -> bool:
        """Whether the secret that was replaced still works beside the new one."""
        return self.older_until is not None and self.older_until > (now or timezone.now())

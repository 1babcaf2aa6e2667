"""What a trusted edge proves itself with."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class FrontDoorToken(models.Model):
    """One token, known by its digest alone. It is valid while it has a slot; there are two, so that one can replace
    the other without a moment in which the edge is not trusted.
    """

    SLOTS = (1, 2)

    label = models.CharField(max_length=60, help_text="Which edge carries it, since when: “worker, spring”.")
    digest = models.CharField(max_length=64, unique=True, editable=False, db_collation="C")
    slot = models.PositiveSmallIntegerField(null=True, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=160, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=160, blank=True, default="", editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "front-door token"
        constraints = (
            models.CheckConstraint(
                name="front_door_token_slot_known", condition=Q(slot__isnull=True) | Q(slot__in=[1, 2])
            ),
            models.CheckConstraint(
                name="front_door_token_slot_until_revoked",
                condition=Q(slot__isnull=False, revoked_at__isnull=True)
                | Q(slot__isnull=True, revoked_at__isnull=False),
            ),
            models.CheckConstraint(name="front_door_token_digest_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$")),
        )

    def __str__(self) -> str:
        return self.label

    @property
    def is_valid(self) -> bool:
        return self.slot is not None

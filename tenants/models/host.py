"""Host names and what each of them is for."""

from __future__ import annotations

import secrets

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet

HOSTNAME = RegexValidator(
    r"\A(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z",
    "A lower-case host name without scheme, port or path; international names in their xn-- form.",
)


HASH = "(('x' || left(md5(%(expressions)s), 16))::bit(64)::bigint)"
"""The first 64 bits of MD5 as a signed number: spreads the names, and Python computes the same (tenants/hosts.py)."""


class Host(models.Model):
    """One host name. Editing a row moves the domain; every process sees it within two seconds."""

    class Role(models.TextChoices):
        CANONICAL = "canonical", "Canonical shop host"
        ALIAS = "alias", "Alias"
        REDIRECT_ONLY = "redirect_only", "Redirect-only (campaign or vanity)"
        HOOKS = "hooks", "Hooks host"
        PLATFORM = "platform", "Platform host"

    class Mode(models.TextChoices):
        ACTIVE = "active", "Active"
        LANDING_ONLY = "landing_only", "Landing page only"
        EXPIRED = "expired", "Expired"

    class Proof(models.TextChoices):
        NONE = "", "None"
        DNS = "dns", "TXT record"
        FILE = "file", "File on the domain"
        EARLIER = "earlier", "Served before proofs were asked for"

    SHOP_ROLES = (Role.CANONICAL, Role.ALIAS, Role.REDIRECT_ONLY)

    hostname = models.CharField(max_length=253, unique=True, validators=[HOSTNAME], db_collation="C")
    role = models.CharField(max_length=16, choices=Role)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.ACTIVE)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="hosts")
    expires_at = models.DateTimeField(null=True, blank=True)
    locale = models.CharField(
        max_length=12,
        blank=True,
        default="",
        help_text="Pages without a locale get this one. Empty: the browser's choice, else the shop's default.",
    )
    # Not a secret: whoever can publish it under the name controls the domain.
    verification_token = models.CharField(max_length=64, default=secrets.token_urlsafe, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    verified_by = models.CharField(max_length=8, choices=Proof, blank=True, default=Proof.NONE, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    checks = models.JSONField(default=list, editable=False, help_text="What the last look at the domain found.")
    # Written by triggers alone: a new, higher number whenever the row, its shop, the shop's settings or the shop's
    # canonical host changes, by whatever way. Caches compare it.
    version = models.PositiveBigIntegerField(default=0, editable=False)
    name_hash = models.GeneratedField(
        expression=models.Func("hostname", template=HASH), output_field=models.BigIntegerField(), db_persist=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Host"].as_manager()

    class Meta:
        ordering = ("hostname",)
        # Read by the host map's slices (tenants/host_rows.py), without visiting the rows.
        indexes = (models.Index(name="host_by_hash", fields=["name_hash"], include=["version"]),)
        constraints = (
            models.CheckConstraint(
                name="host_shop_matches_role",
                condition=Q(role__in=["canonical", "alias", "redirect_only"], shop__isnull=False)
                | Q(role__in=["hooks", "platform"], shop__isnull=True),
            ),
            models.CheckConstraint(name="host_mode_known", condition=Q(mode__in=["active", "landing_only", "expired"])),
            models.UniqueConstraint(name="host_one_canonical_per_shop", fields=["shop"], condition=Q(role="canonical")),
        )

    def __str__(self) -> str:
        return self.hostname

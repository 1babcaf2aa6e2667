"""Whose Stripe account a shop's money goes through, and the secrets that Stripe signs events with."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class ShopCredential(models.Model):
    """A Stripe account of one shop, in use or used before. A shop without an active row sells on the platform's.

    A former account keeps its key: what was paid there is settled there. An account is one shop's until forgotten.
    """

    class Kind(models.TextChoices):
        OWN_KEYS = "own_keys", "Own keys"
        CONNECTED = "connected", "Connected account"

    class Status(models.TextChoices):
        ACTIVE = "active", "In use"
        RETIRED = "retired", "Former, settles what is in flight"
        FORGOTTEN = "forgotten", "Forgotten"

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="credentials")
    kind = models.CharField(max_length=12, choices=Kind)
    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C")
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    sealed = models.TextField(blank=True, default="", editable=False)
    sealed_by = models.CharField(max_length=12, blank=True, default="", editable=False)
    last_four = models.CharField(max_length=4, blank=True, default="")
    # Public by design: every page that takes a payment shows it. Empty where the platform's key acts.
    publishable_key = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = ShopQuerySet["ShopCredential"].as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "Stripe account"
        constraints = (
            models.UniqueConstraint(
                name="credential_account_one_shop", fields=["livemode", "account"], condition=~Q(status="forgotten")
            ),
            models.UniqueConstraint(
                name="credential_one_active_per_shop", fields=["shop"], condition=Q(status="active")
            ),
            models.CheckConstraint(
                name="credential_sealed_if_own_keys",
                condition=Q(kind="own_keys") & ~Q(status="forgotten") & ~Q(sealed="") & ~Q(sealed_by="")
                | (Q(kind="connected") | Q(status="forgotten")) & Q(sealed="", sealed_by=""),
            ),
            models.CheckConstraint(name="credential_kind_known", condition=Q(kind__in=["own_keys", "connected"])),
            models.CheckConstraint(
                name="credential_status_known", condition=Q(status__in=["active", "retired", "forgotten"])
            ),
            models.CheckConstraint(name="credential_account_well_formed", condition=Q(account__startswith="acct_")),
        )

    def __str__(self) -> str:
        return self.account

    @property
    def about(self) -> str:
        """What its key is sealed about."""
        return f"key:{self.shop_id}:{self.livemode}:{self.account}"


class WebhookSecret(models.Model):
    """A signing secret of one webhook endpoint. It names the account of the events that it verifies, or for connect
    endpoints the platform on whose word an event's own `account` is believed.
    """

    class Scope(models.TextChoices):
        SHOP = "shop", "A shop's own account"
        PLATFORM = "platform", "The platform's account"
        CONNECT = "connect", "Connected accounts"

    scope = models.CharField(max_length=8, choices=Scope)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="webhook_secrets")
    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C")
    sealed = models.TextField(blank=True, default="", editable=False)
    sealed_by = models.CharField(max_length=12, blank=True, default="", editable=False)
    last_four = models.CharField(max_length=4)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    added_by = models.CharField(max_length=150)

    objects = ShopQuerySet["WebhookSecret"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="webhook_secret_shop_matches_scope",
                condition=Q(scope="shop", shop__isnull=False) | Q(scope__in=["platform", "connect"], shop__isnull=True),
            ),
            # Removed means removed: a secret that has ended at once leaves nothing to open.
            models.CheckConstraint(
                name="webhook_secret_sealed_or_ended",
                condition=~Q(sealed="") & ~Q(sealed_by="") | Q(sealed="", sealed_by="", active_until__isnull=False),
            ),
        )
        indexes = (
            # reader: the check of a delivery's signature
            models.Index(name="webhook_secret_open", fields=["shop", "scope"], condition=~Q(sealed="")),
        )

    def __str__(self) -> str:
        return f"whsec_…{self.last_four}"

    @property
    def is_active(self) -> bool:
        """Whether it verifies anything now."""
        return bool(self.sealed) and (self.active_until is None or self.active_until > timezone.now())

    @property
    def about(self) -> str:
        """What it is sealed about."""
        return f"webhook:{self.scope}:{self.shop_id or ''}:{self.livemode}:{self.account}"


class ShopPayments(Shop):
    """A shop as its page of Stripe accounts shows it: every shop has one, also on the platform's account."""

    class Meta:
        proxy = True
        verbose_name = "shop's Stripe account"
        verbose_name_plural = "shops' Stripe accounts"

"""How a shop ships: what each way costs, to where, and how long it takes."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class ShippingOption(models.Model):
    """One way to ship, at one price in minor units of `currency`. One that isn't offered any more is switched off."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    names = models.JSONField(help_text="What customers read, by locale.")
    currency = models.CharField(max_length=3)
    amount = models.PositiveBigIntegerField(help_text="Minor units.")
    free_from_amount = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Merchandise in minor units from which this way is free."
    )
    countries = ArrayField(
        models.CharField(max_length=2),
        default=list,
        blank=True,
        help_text="Countries it goes to. Without any, no address is asked for: a pick-up, or nothing to send.",
    )
    days_min = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Working days, at least.")
    days_max = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Working days, at most.")
    active = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["ShippingOption"].as_manager()

    class Meta:
        ordering = ("position", "id")
        constraints = (
            models.UniqueConstraint(name="shipping_option_shop_and_id", fields=["shop", "id"]),
            models.CheckConstraint(name="shipping_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
            models.CheckConstraint(name="shipping_has_name", condition=~Q(names={})),
            models.CheckConstraint(
                name="shipping_days_in_order",
                condition=Q(days_min__isnull=True, days_max__isnull=True)
                | Q(days_min__isnull=False, days_max__isnull=False, days_min__lte=F("days_max")),
            ),
        )
        indexes = (
            # reader: carts and checkouts
            models.Index(name="shipping_offered", fields=["shop", "position", "id"], condition=Q(active=True)),
        )

    def __str__(self) -> str:
        return str(next(iter(self.names.values()), self.pk))

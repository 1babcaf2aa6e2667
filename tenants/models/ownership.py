"""Which shop a Stripe object belongs to."""

from __future__ import annotations

from django.db import models

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class StripeObject(models.Model):
    """One Stripe object seen or made, and its shop: the second step of resolving an event's tenant (W3)."""

    livemode = models.BooleanField()
    account = models.CharField(max_length=64, db_collation="C")
    object_id = models.CharField(max_length=255, db_collation="C")
    kind = models.CharField(max_length=64)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=32, help_text="What taught us: checkout, settle, event, staff.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["StripeObject"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="stripe_object_one_shop", fields=["livemode", "account", "object_id"]),
        )
        indexes = (
            models.Index(name="stripe_object_by_id", fields=["object_id"]),  # reader: staff who have only the id
        )

    def __str__(self) -> str:
        return self.object_id

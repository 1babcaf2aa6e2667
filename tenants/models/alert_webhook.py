"""Where a shop's alerts are posted to, and the secret that they are signed with."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class AlertWebhook(models.Model):
    """One address per shop. A row of its own rather than shop settings: those are read with every request."""

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, primary_key=True, related_name="alert_webhook")
    url = models.URLField(max_length=500)
    sealed = models.TextField(editable=False)
    sealed_by = models.CharField(max_length=12, editable=False)
    last_four = models.CharField(max_length=4)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["AlertWebhook"].as_manager()

    class Meta:
        constraints = (models.CheckConstraint(name="alert_webhook_sealed", condition=~Q(sealed="") & ~Q(sealed_by="")),)

    def __str__(self) -> str:
        return f"Alert webhook of {self.shop_id}"

    @property
    def account(self) -> str:
        """Whose it is, for the report of a rotation."""
        return self.shop_id

    @property
    def about(self) -> str:
        """What its secret is sealed about. The address is part of it: a row that was bent elsewhere opens nothing."""
        return f"alerts:{self.shop_id}:{self.url}"

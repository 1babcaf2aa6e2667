"""Which shops a member of staff works for (A5)."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from tenants.models.shop import Shop
from tenants.scoping import ShopQuerySet


class Membership(models.Model):
    """One member of staff in one shop. Ended by switching it off: the audit trail names who had which shop when.

    What a member may do there is decided by groups and permissions; where, by these rows alone.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="memberships")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Membership"].as_manager()

    class Meta:
        ordering = ("shop", "user")
        constraints = (models.UniqueConstraint(name="membership_once", fields=["user", "shop"]),)
        permissions = (("see_every_shop", "Is platform staff: sees every shop"),)

    def __str__(self) -> str:
        return f"{self.user} in {self.shop_id}"

"""Holds: stock set aside while somebody pays."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from inventory.models.pool import PoolRoute
from inventory.models.stock import StockRow
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class HoldQuerySet(ShopQuerySet["Hold"]):
    def active(self) -> Self:
        return self.filter(status=Hold.Status.ACTIVE)

    def overdue(self, now: datetime) -> Self:
        return self.active().filter(expires_at__lte=now)


class Hold(models.Model):
    """`active → committed | released | expired`, one direction. Written by inventory/holds.py alone."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        COMMITTED = "committed", "Committed"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"

    class HeldFor(models.TextChoices):
        """Who answers for its end: `direct` holds end by their clock, `checkout` holds by Stripe's word."""

        DIRECT = "direct", "Direct"
        CHECKOUT = "checkout", "Checkout"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    held_for = models.CharField(max_length=8, choices=HeldFor, default=HeldFor.DIRECT)
    idempotency_key = models.CharField(max_length=255, db_collation="C")
    # Set while active or committed, so that a retry after a lost answer finds its hold and sells nothing twice.
    active_idempotency_key = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    lines_digest = models.CharField(max_length=64)
    ttl_seconds = models.PositiveIntegerField()
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    finish_reason = models.CharField(max_length=200, blank=True, default="")
    finished_by = models.CharField(max_length=160, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(name="hold_one_per_key", fields=["shop", "active_idempotency_key"]),
            models.UniqueConstraint(name="hold_shop_and_id", fields=["shop", "id"]),  # what its items refer to
            models.CheckConstraint(
                name="hold_key_while_it_counts",
                condition=Q(status__in=["active", "committed"], active_idempotency_key__isnull=False)
                | Q(status__in=["released", "expired"], active_idempotency_key__isnull=True),
            ),
            models.CheckConstraint(
                name="hold_finished_when_not_active",
                condition=Q(status="active", finished_at__isnull=True)
                | (~Q(status="active") & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(name="hold_ttl_bounds", condition=Q(ttl_seconds__range=(60, 3600))),
            models.CheckConstraint(name="hold_held_for_known", condition=Q(held_for__in=["direct", "checkout"])),
        )
        indexes = (
            # readers: the reaper (per kind and shop, the oldest first) and who holds a row now
            models.Index(name="hold_overdue", fields=["held_for", "shop", "expires_at"], condition=Q(status="active")),
            models.Index(name="hold_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
        )

    def __str__(self) -> str:
        return str(self.id)


class HoldItem(models.Model):
    """Units of one stock row in one hold. The row's `held` is the sum of its active items (verify_stock proves it).

    One index, on (hold, stock row): every item is written while a customer waits, and whoever asks for a row's items
    asks for those of active holds, which `hold_overdue` finds. The reference to the hold is (shop, hold), made in 0002.

    The row is the shop's own or, with a route, a pool's. Two references say so in the database: (shop, route, row) to
    the route, and (own_shop, row) to the row, where `own_shop` is the shop of items without a route (generated).
    """

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    hold = models.ForeignKey(Hold, on_delete=models.CASCADE, related_name="items", db_index=False, db_constraint=False)
    stock_row = models.ForeignKey(
        StockRow, on_delete=models.PROTECT, related_name="hold_items", db_index=False, db_constraint=False
    )
    route = models.ForeignKey(
        PoolRoute,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="hold_items",
        db_index=False,
        db_constraint=False,
    )
    quantity = models.PositiveIntegerField()

    objects = ShopQuerySet["HoldItem"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="hold_item_one_per_row", fields=["hold", "stock_row"]),
            models.CheckConstraint(name="hold_item_positive", condition=Q(quantity__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.stock_row_id}"

    @property
    def variant_key(self) -> str:
        """In the words of the shop that holds: a pool may call the same thing otherwise. Reads the route or the row."""
        return self.stock_row.variant_key if self.route is None else self.route.variant_key

    @property
    def sku(self) -> str:
        """As `variant_key`."""
        return self.stock_row.sku if self.route is None else self.route.sku

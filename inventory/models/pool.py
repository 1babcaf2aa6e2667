"""Pools: stock that several shops sell from, and the routes that lead them there (I9)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from inventory.models.stock import StockOwner, StockRow
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class PoolManager(models.Manager["Pool"]):
    def get_queryset(self) -> models.QuerySet[Pool]:
        return super().get_queryset().filter(shop__isnull=True)


class Pool(StockOwner):
    """A stock owner that is no shop. Its rows, holds and movements are those of every owner."""

    of_the_platform: ClassVar[bool] = True  # though its table has a column for the shop

    objects = PoolManager()  # type: ignore[assignment, misc]

    class Meta:
        proxy = True
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name or self.id


class PoolRoute(models.Model):
    """One variant of one shop is sold from one row of a pool. Written by inventory/routes.py and the hold functions.

    `held` and `sold` are what this shop has of the row: in active holds, and taken since the allocation was last
    renewed. They change only under the row's queue (inventory/locks.py). Routes end, they are never deleted: items of
    holds refer to them. The reference to the row is (pool, stock row), made in
    migrations/0003_references_within_an_owner.py.
    """

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    sku = models.CharField(max_length=64, db_collation="C", help_text="The shop's own.")
    variant_key = models.CharField(max_length=255, db_collation="C")
    pool = models.ForeignKey(StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False)
    stock_row = models.ForeignKey(
        StockRow,
        on_delete=models.PROTECT,
        related_name="routes",
        db_index=False,
        db_constraint=False,
        limit_choices_to={"owner__shop__isnull": True},
    )
    enabled = models.BooleanField(default=True)
    allocation_cap = models.PositiveIntegerField(
        null=True, blank=True, help_text="Units that the shop may hold and have sold at most; empty: all there are."
    )
    held = models.IntegerField(default=0)
    sold = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["PoolRoute"].as_manager()

    class Meta:
        ordering = ("shop", "variant_key")
        constraints = (
            models.CheckConstraint(
                name="allocation_within_cap",
                condition=Q(allocation_cap__isnull=True) | Q(allocation_cap__gte=F("held") + F("sold")),
            ),
            models.CheckConstraint(name="allocation_not_negative", condition=Q(held__gte=0, sold__gte=0)),
            models.CheckConstraint(name="route_leads_to_a_pool", condition=Exact(Left("pool", 5), Value("pool:"))),
            models.UniqueConstraint(
                name="route_one_per_variant", fields=["shop", "variant_key"], condition=Q(enabled=True)
            ),
            # Two variants on one row would be two items of one hold on it, and two caps for the same units.
            models.UniqueConstraint(name="route_one_per_row", fields=["shop", "stock_row"], condition=Q(enabled=True)),
            # What items of holds refer to.
            models.UniqueConstraint(name="route_shop_id_and_row", fields=["shop", "id", "stock_row"]),
        )
        indexes = (
            # readers: availability of a product, and the admin's search by shop and SKU
            models.Index(name="route_by_sku", fields=["shop", "sku"]),
            models.Index(name="route_by_row", fields=["stock_row"]),  # reader: which shops sell a pool's row
            models.Index(name="route_by_pool", fields=["pool", "id"]),  # reader: the admin's list of a pool's routes
        )

    def __str__(self) -> str:
        return f"{self.variant_key} of {self.shop_id}"

    @property
    def left(self) -> int | None:
        """Units of the allocation that are neither held nor sold; None without a cap."""
        return None if self.allocation_cap is None else self.allocation_cap - self.held - self.sold

    def allows(self, units: int) -> bool:
        """Whether so many more may be taken."""
        return self.enabled and (self.left is None or self.left >= units)

"""Carts: identifiers and quantities. No price is stored to be charged.

The row with its generation is always here, so that a checkout can re-check it in its transaction. Lines are rows too,
or lie in Redis under the row's `lines_version` (commerce/cart/storage.py).
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Cart(models.Model):
    """`generation` grows with every change, so that a checkout can tell whether it still buys what it priced."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    generation = models.PositiveIntegerField(default=0)
    lines_version = models.UUIDField(null=True, blank=True, editable=False, help_text="Which lines in Redis are it.")
    # What settlement did to lines in Redis, which its transaction can't reach; applied at every reading.
    amendments = models.JSONField(default=list, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Cart"].as_manager()

    class Meta:
        # What its lines and attempts refer to; answers for the shop's index too.
        constraints = (
            models.UniqueConstraint(name="cart_shop_and_id", fields=["shop", "id"]),
            models.CheckConstraint(
                name="cart_amends_lines_elsewhere", condition=Q(amendments=[]) | Q(lines_version__isnull=False)
            ),
        )
        indexes = (
            models.Index(name="cart_by_age", fields=["updated_at"]),  # reader: whose carts are abandoned; the admin
            models.Index(name="cart_by_shop_and_age", fields=["shop", "updated_at"]),  # reader: their removal
        )

    def __str__(self) -> str:
        return str(self.id)


class CartLine(models.Model):
    """One variant in a cart. `shown_amount` is the unit price last shown, kept only to tell that it changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="lines", db_constraint=False)
    sku = models.CharField(max_length=64, db_collation="C")
    variant_key = models.CharField(max_length=255, db_collation="C")
    quantity = models.PositiveIntegerField()
    options = models.JSONField(default=dict, blank=True)
    rental_start = models.DateField(null=True, blank=True)
    rental_end = models.DateField(null=True, blank=True)
    shown_amount = models.PositiveBigIntegerField(null=True, blank=True)
    shown_currency = models.CharField(max_length=3, blank=True, default="")
    position = models.PositiveIntegerField(default=0)

    objects = ShopQuerySet["CartLine"].as_manager()

    class Meta:
        ordering = ("position", "id")
        constraints = (
            models.CheckConstraint(name="cart_line_quantity_bounds", condition=Q(quantity__range=(1, 999))),
            models.CheckConstraint(
                name="cart_line_period_whole",
                condition=Q(rental_start__isnull=True, rental_end__isnull=True)
                | Q(rental_start__isnull=False, rental_end__gte=models.F("rental_start")),
            ),
            models.UniqueConstraint(
                name="cart_line_one_per_variant_and_period",
                fields=["cart", "variant_key", "options", "rental_start", "rental_end"],
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.variant_key}"

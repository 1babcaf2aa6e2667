"""Products, their variants and their texts. The catalog is the only source of prices."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Product(models.Model):
    """What a product page shows. One SKU; its variants differ in attributes."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    sku = models.CharField(max_length=64, db_collation="C")
    slug = models.SlugField(max_length=80)
    image = models.CharField(max_length=500, blank=True, default="", help_text="Address or static path.")
    active = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Product"].as_manager()

    class Meta:
        ordering = ("position", "sku")
        constraints = (
            models.UniqueConstraint(name="product_shop_and_id", fields=["shop", "id"]),  # what texts, variants refer to
            models.UniqueConstraint(name="product_one_per_sku", fields=["shop", "sku"]),
            models.UniqueConstraint(name="product_one_per_slug", fields=["shop", "slug"]),
            models.CheckConstraint(name="product_sku_plain", condition=Q(sku__regex=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")),
        )

    def __str__(self) -> str:
        return self.sku


class ProductText(models.Model):
    """Title and description in one locale."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="texts", db_constraint=False)
    locale = models.CharField(max_length=12)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")

    objects = ShopQuerySet["ProductText"].as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(name="product_text_one_per_locale", fields=["product", "locale"]),)

    def __str__(self) -> str:
        return self.title


class Variant(models.Model):
    """What is sold: a SKU with attributes, its price and deposit in minor units of `currency`."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="variants", db_constraint=False)
    sku = models.CharField(max_length=64, db_collation="C")
    variant_key = models.CharField(max_length=255, db_collation="C")
    attributes = models.JSONField(default=dict)
    currency = models.CharField(max_length=3)
    price_amount = models.PositiveBigIntegerField(help_text="Minor units: the sale price, or a rental's price per day.")
    deposit_amount = models.PositiveBigIntegerField(default=0, help_text="Minor units, refundable, rentals only.")
    image = models.CharField(max_length=500, blank=True, default="")
    active = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Variant"].as_manager()

    class Meta:
        ordering = ("position", "variant_key")
        constraints = (
            models.UniqueConstraint(name="variant_one_per_key", fields=["shop", "variant_key"]),
            models.CheckConstraint(name="variant_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        )
        indexes = (
            models.Index(name="variant_by_sku", fields=["shop", "sku"]),  # reader: the product's page
        )

    def __str__(self) -> str:
        return self.variant_key

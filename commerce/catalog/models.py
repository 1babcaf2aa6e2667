"""Products, their variants and their texts. The catalog is the only source of prices."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from tenants.models import Shop
from tenants.models.shop import LONGEST_RENTAL_DAYS, LONGEST_RENTAL_HORIZON_DAYS
from tenants.scoping import ShopQuerySet

TERM = (MinValueValidator(1), MaxValueValidator(LONGEST_RENTAL_DAYS))
AHEAD = (MaxValueValidator(LONGEST_RENTAL_HORIZON_DAYS),)


class Product(models.Model):
    """What a product page shows. One SKU; its variants differ in attributes."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    sku = models.CharField(max_length=64, db_collation="C")
    slug = models.SlugField(max_length=80)
    image = models.CharField(max_length=500, blank=True, default="", help_text="Address or static path.")
    tax_code = models.CharField(
        max_length=13, blank=True, default="", help_text="Stripe's tax code, txcd_…. Empty: the shop's."
    )
    active = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0)
    # Rentals only; null leaves it to the shop (commerce/rentals/periods.py).
    rental_min_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=TERM, verbose_name="shortest rental", help_text="Days; empty: the shop's."
    )
    rental_max_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=TERM, verbose_name="longest rental", help_text="Days; empty: the shop's."
    )
    rental_lead_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=AHEAD,
        verbose_name="notice before pick-up",
        help_text="Days from the order; empty: the shop's.",
    )
    rental_horizon_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=AHEAD,
        verbose_name="latest pick-up",
        help_text="Days from the order; empty: the shop's.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["Product"].as_manager()

    class Meta:
        ordering = ("position", "sku")
        constraints = (
            models.UniqueConstraint(name="product_shop_and_id", fields=["shop", "id"]),  # what texts, variants refer to
            models.UniqueConstraint(name="product_one_per_sku", fields=["shop", "sku"]),
            models.UniqueConstraint(name="product_one_per_slug", fields=["shop", "slug"]),
            models.CheckConstraint(
                name="product_rental_days_in_order",
                condition=Q(rental_min_days__lte=models.F("rental_max_days"))
                | Q(rental_min_days__isnull=True)
                | Q(rental_max_days__isnull=True),
                violation_error_message="The shortest rental is longer than the longest.",
            ),
            models.CheckConstraint(
                name="product_tax_code_plain",
                condition=Q(tax_code__regex=r"^(txcd_[0-9]{8})?$"),
                violation_error_message="A tax code is txcd_ and eight digits.",
            ),
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
    # Rates of a rental beside its price per day, in minor units (commerce/rentals/pricing.py); null: no such rate.
    weekend_amount = models.PositiveBigIntegerField(null=True, blank=True)
    week_amount = models.PositiveBigIntegerField(null=True, blank=True)
    month_amount = models.PositiveBigIntegerField(null=True, blank=True)
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

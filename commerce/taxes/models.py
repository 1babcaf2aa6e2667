"""A shop's own tax rates, for shops that don't leave taxes to Stripe, and what they are called at Stripe."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from tenants.models import Shop
from tenants.scoping import ShopQuerySet

COUNTRY = RegexValidator(r"^[A-Z]{2}\Z", "A two-letter code, such as DE.")


class TaxRate(models.Model):
    """What one country takes from a day on. Rates aren't changed: a new one takes over on its day, orders keep theirs.

    Without a country it is for everywhere that has no rate of its own. A tax that ends is a rate of zero.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    country = models.CharField(max_length=2, blank=True, default="", validators=[COUNTRY], db_collation="C")
    name = models.CharField(max_length=50, help_text="What customers read on receipt and invoice, such as VAT.")
    percentage = models.DecimalField(
        max_digits=7, decimal_places=4, validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))]
    )
    inclusive = models.BooleanField(default=True, help_text="Whether the catalog's prices contain it.")
    valid_from = models.DateField(help_text="The first day, in the shop's time zone.")
    active = models.BooleanField(default=True, help_text="Off: a mistake. It counts for no checkout any more.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["TaxRate"].as_manager()

    class Meta:
        ordering = ("shop_id", "country", "-valid_from", "-id")
        constraints = (
            models.UniqueConstraint(name="tax_rate_shop_and_id", fields=["shop", "id"]),  # what Stripe's names refer to
            # reader: checkouts
            models.UniqueConstraint(
                name="tax_rate_one_per_day",
                fields=["shop", "country", "valid_from"],
                condition=Q(active=True),
                violation_error_message="There is a rate for this country from this day on. Switch that one off first.",
            ),
            models.CheckConstraint(
                name="tax_rate_within_bounds", condition=Q(percentage__gte=0) & Q(percentage__lte=100)
            ),
            models.CheckConstraint(name="tax_rate_country_plain", condition=Q(country__regex=r"^([A-Z]{2})?$")),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.percentage.normalize():f} % {self.country or 'elsewhere'}"


class StripeTaxRate(models.Model):
    """A rate in one Stripe account: tax rates are objects there, made once per account under a key that is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    rate = models.ForeignKey(TaxRate, on_delete=models.PROTECT, related_name="at_stripe", db_constraint=False)
    stripe_account = models.CharField(max_length=64, db_collation="C")
    livemode = models.BooleanField()
    stripe_key = models.CharField(max_length=255, db_collation="C")
    keyed_at = models.DateTimeField(help_text="Since when this key is used: Stripe forgets keys after a day.")
    stripe_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")

    objects = ShopQuerySet["StripeTaxRate"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="stripe_tax_rate_once", fields=["shop", "rate", "stripe_account", "livemode"]),
        )

    def __str__(self) -> str:
        return self.stripe_id or "not made yet"

"""Shops and their settings."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from tenants.scoping import ShopQuerySet
from tenants.shop_id import SHOP_ID_FORM

MOST_CHECKOUTS_PER_MINUTE = 10_000
"""The highest limit that can be set. More from one address is no customer; then the limit is better off."""

LONGEST_RENTAL_DAYS = 366
LONGEST_RENTAL_HORIZON_DAYS = 730
MOST_GRACE_DAYS = 90
"""Two years ahead. A booking writes one row per day and article, and nobody knows next decade's prices."""

LONGEST_NOTE = 1200
"""As many characters as Stripe takes for `custom_text`. Source: Stripe's API, Create a Checkout Session."""

SHOP_ID = RegexValidator(SHOP_ID_FORM, "Lower-case letters, digits and hyphens.")


def validate_time_zone(value: str) -> None:
    """Raises ValidationError unless `value` is an IANA time zone name."""
    if value not in available_timezones():
        raise ValidationError("Not an IANA time zone name, such as Europe/Berlin.")


class Shop(models.Model):
    """One tenant. Its id is the name that every contract uses: host names, Stripe metadata, metrics, log lines."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        CLOSED = "closed", "Closed"

    id = models.CharField(primary_key=True, max_length=63, validators=[SHOP_ID], db_collation="C")
    name = models.CharField(max_length=120)
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(name="shop_status_known", condition=Q(status__in=["active", "closed"])),
            models.CheckConstraint(
                name="shop_id_well_formed", condition=Q(id__regex=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE


class ShopSettings(models.Model):
    """What a shop decides for itself. A null falls back to the environment, then to the default (tenants/policy.py)."""

    class Kind(models.TextChoices):
        SALE = "sale", "Sale"
        RENTAL = "rental", "Rental"

    class CheckoutUI(models.TextChoices):
        HOSTED_PAGE = "hosted_page", "Stripe's hosted page"
        EMBEDDED_PAGE = "embedded_page", "Embedded page"
        ELEMENTS = "elements", "Custom elements"

    class BillingAddress(models.TextChoices):
        AUTO = "auto", "Where the payment needs it"
        REQUIRED = "required", "Always"

    class TaxMode(models.TextChoices):
        NONE = "none", "None: prices are charged as they stand"
        AUTOMATIC = "automatic", "Stripe computes them by address"
        STATIC = "static", "The shop's own rates"

    class TaxBehavior(models.TextChoices):
        INCLUSIVE = "inclusive", "Prices contain the tax"
        EXCLUSIVE = "exclusive", "The tax comes on top"

    class RepricePolicy(models.TextChoices):
        ENFORCE_AND_PROCEED = "enforce_and_proceed", "Proceed with the catalog's price"
        ENFORCE_AND_REJECT = "enforce_and_reject", "Refuse and show the change"
        LOG_ONLY = "log_only", "Proceed and count only"

    class DepositMode(models.TextChoices):
        CHARGED = "charged", "Charged with the rent, and refunded"
        AUTHORISED = "authorised", "Authorised on the saved card shortly before the pick-up"

    class InventoryMode(models.TextChoices):
        RESERVE_TTL = "reserve_ttl", "Hold stock while the customer pays"
        VALIDATE_ONLY = "validate_only", "Check only, take stock at payment"

    class ShortagePolicy(models.TextChoices):
        REVIEW = "review", "Put the order on the desk"
        REFUND = "refund", "Refund at once"

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, primary_key=True, related_name="settings")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.SALE)
    currency = models.CharField(max_length=3, help_text="ISO 4217, upper case.")
    default_locale = models.CharField(max_length=12, default="en")
    locales = ArrayField(models.CharField(max_length=12), default=list, help_text="Every locale the storefront offers.")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    checkout_ui = models.CharField(max_length=16, choices=CheckoutUI, default=CheckoutUI.HOSTED_PAGE)
    billing_address = models.CharField(
        max_length=8,
        choices=BillingAddress,
        default=BillingAddress.AUTO,
        help_text="When a payment form asks for it.",
    )
    asks_phone = models.BooleanField(default=False, verbose_name="ask for a phone number")
    payment_note = models.CharField(
        max_length=LONGEST_NOTE,
        blank=True,
        default="",
        help_text="Shown beside the payment button. Custom elements have a page of their own and don't show it.",
    )
    tax_mode = models.CharField("taxes", max_length=10, choices=TaxMode, default=TaxMode.NONE)
    tax_behavior = models.CharField(
        "prices and taxes",
        max_length=9,
        choices=TaxBehavior,
        default=TaxBehavior.INCLUSIVE,
        help_text="Where Stripe computes taxes. The shop's own rates say it each.",
    )
    tax_code = models.CharField(
        max_length=13,
        blank=True,
        default="",
        help_text="Stripe's code (txcd_…) for products without one. Empty: as the Stripe account says.",
    )
    tax_country = models.CharField(
        max_length=2,
        blank=True,
        default="",
        help_text="Under the shop's own rates: where it sells from. Its rate applies where no address says otherwise.",
    )
    inventory_mode = models.CharField(max_length=16, choices=InventoryMode, null=True, blank=True)
    hold_ttl_seconds = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(60), MaxValueValidator(3600)]
    )
    requires_central_inventory = models.BooleanField(default=False)
    skip_inventory_validation = models.BooleanField(
        null=True,
        blank=True,
        verbose_name="sell without checking stock",
        help_text="The emergency bypass: stock is neither checked nor held, and is taken when the customer has paid.",
    )
    shortage_policy = models.CharField(max_length=8, choices=ShortagePolicy, default=ShortagePolicy.REVIEW)
    reprice_policy = models.CharField(max_length=24, choices=RepricePolicy, null=True, blank=True)
    reprice_drift_abs = models.DecimalField(
        max_digits=10,
        decimal_places=3,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Tolerated difference in the currency's major unit.",
    )
    reprice_drift_pct = models.DecimalField(
        max_digits=6,
        decimal_places=5,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Tolerated share: 0.01 is one per cent.",
    )
    checkout_rate_limit_enabled = models.BooleanField(
        null=True,
        blank=True,
        choices=[(None, "As the platform says"), (True, "Yes"), (False, "No")],
        verbose_name="limit checkouts",
        help_text="Whether one customer's address may begin only so many checkouts in a minute.",
    )
    checkout_rate_limit_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CHECKOUTS_PER_MINUTE)],
        verbose_name="checkouts per minute",
        help_text="New checkouts per address and minute; repeating one doesn't count. Empty: as the platform says.",
    )
    rental_min_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_RENTAL_DAYS)],
        verbose_name="shortest rental",
        help_text="Days, those of pick-up and return included. Empty, here and below: as the platform says.",
    )
    rental_max_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_RENTAL_DAYS)],
        verbose_name="longest rental",
        help_text="Days, those of pick-up and return included.",
    )
    rental_lead_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_RENTAL_HORIZON_DAYS)],
        verbose_name="notice before pick-up",
        help_text="Days from the order to the earliest pick-up; 0: the same day.",
    )
    rental_horizon_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_RENTAL_HORIZON_DAYS)],
        verbose_name="latest pick-up",
        help_text="Days from the order to the latest pick-up.",
    )
    deposit_mode = models.CharField(
        "deposits",
        max_length=10,
        choices=DepositMode,
        default=DepositMode.CHARGED,
        help_text="An authorisation holds money on the card without taking it, for less than five days. Of longer "
        "rentals the card is kept, and what is owed is charged later.",
    )
    saves_card = models.BooleanField(
        "keep the card",
        default=False,
        help_text="For late fees and damage beyond the deposit. The payment page asks the customer's consent. "
        "Authorised deposits need it anyway.",
    )
    subscription_grace_days = models.PositiveSmallIntegerField(
        default=7,
        validators=[MaxValueValidator(MOST_GRACE_DAYS)],
        verbose_name="days of grace",
        help_text="How long a subscriber whose renewal isn't paid keeps what they have.",
    )
    alert_recipients = ArrayField(models.EmailField(), default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet["ShopSettings"].as_manager()

    class Meta:
        verbose_name = "shop settings"
        verbose_name_plural = "shop settings"
        constraints = (
            models.CheckConstraint(name="shop_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
            models.CheckConstraint(
                name="shop_tax_code_plain",
                condition=Q(tax_code__regex=r"^(txcd_[0-9]{8})?$"),
                violation_error_message="A tax code is txcd_ and eight digits.",
            ),
            models.CheckConstraint(
                name="shop_tax_country_known",
                condition=Q(tax_country__regex=r"^[A-Z]{2}$") | Q(tax_country="") & ~Q(tax_mode="static"),
                violation_error_message="The shop's own rates need the country that it sells from, such as DE.",
            ),
            models.CheckConstraint(
                name="shop_hold_ttl_bounds",
                condition=Q(hold_ttl_seconds__isnull=True) | Q(hold_ttl_seconds__range=(60, 3600)),
            ),
            models.CheckConstraint(
                name="shop_checkout_limit_bounds",
                condition=Q(checkout_rate_limit_per_minute__isnull=True)
                | Q(checkout_rate_limit_per_minute__range=(1, MOST_CHECKOUTS_PER_MINUTE)),
            ),
            models.CheckConstraint(
                name="shop_rental_days_in_order",
                # A comparison with null is not false.
                condition=Q(rental_min_days__lte=models.F("rental_max_days"))
                | Q(rental_min_days__isnull=True)
                | Q(rental_max_days__isnull=True),
                violation_error_message="The shortest rental is longer than the longest.",
            ),
        )

    def __str__(self) -> str:
        return f"Settings of {self.shop_id}"

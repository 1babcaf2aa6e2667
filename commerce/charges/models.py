"""Money taken from, or held on, a card that the customer left: a row per charge, written before Stripe hears."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.orders.models import Order
from commerce.rentals.models import Rental
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class ChargeQuerySet(ShopQuerySet["Charge"]):
    def held(self) -> Self:
        """Authorisations that can still be captured, and aren't to be let go."""
        return self.filter(status=Charge.Status.HELD, capture_amount__isnull=True, release=False)


class Charge(models.Model):
    """One amount, in minor units of `currency`, that is collected or held without the customer being there.

    A row has one payment intent at most; trying again confirms that one. `sends` is committed before every request
    that may create the intent, `refusals` after each definitive no. The status follows the newest reading of Stripe.
    `capture_amount` and `release` are decisions about a held amount, written before Stripe is told; whoever comes next
    carries them out.
    """

    class Purpose(models.TextChoices):
        DEPOSIT = "deposit_hold", "Deposit"
        LATE_FEE = "late_fee", "Late fee"
        DAMAGE = "damage", "Damage"

    class Status(models.TextChoices):
        SENDING = "sending", "Sending to Stripe"
        UNKNOWN = "unknown", "Outcome unknown"
        PROCESSING = "processing", "Payment in progress"
        HELD = "requires_capture", "Held on the card"
        SUCCEEDED = "succeeded", "Collected"
        DECLINED = "declined", "Declined"
        CUSTOMER = "authentication_required", "Waits for the customer"
        CANCELED = "canceled", "Let go"
        EXPIRED = "expired", "Lapsed"

    ASKED = ("sending", "unknown")
    # Owed, and not collected without somebody's doing.
    OWED = ("declined", "authentication_required")
    ENDED = ("succeeded", "canceled", "expired")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="charges", db_constraint=False)
    purpose = models.CharField(max_length=12, choices=Purpose)
    operation_key = models.CharField(max_length=255, db_collation="C", help_text="What makes it happen once.")
    status = models.CharField(max_length=24, choices=Status, default=Status.SENDING)
    amount = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    manual = models.BooleanField(default=False, help_text="Held first, captured later.")
    stripe_account = models.CharField(max_length=64, db_collation="C")
    stripe_key = models.CharField(max_length=255, db_collation="C")
    stripe_params = models.JSONField(default=dict)
    keyed_at = models.DateTimeField(help_text="Since when this key is used: Stripe forgets keys after a day.")
    tries = models.PositiveIntegerField(default=1)
    sends = models.PositiveIntegerField(default=0)
    refusals = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    payment_intent_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    charge_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    balance_transaction_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    captured_amount = models.PositiveBigIntegerField(default=0)
    refunded_amount = models.PositiveBigIntegerField(default=0, help_text="Of what was collected, by Stripe's books.")
    capture_before = models.DateTimeField(null=True, blank=True)
    capture_amount = models.PositiveBigIntegerField(null=True, blank=True, help_text="To be taken of what is held.")
    release = models.BooleanField(default=False, help_text="To be let go.")
    error_code = models.CharField(max_length=64, blank=True, default="")
    read_stamp = models.BigIntegerField(default=0, help_text="The newest reading of Stripe that was applied.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last asked Stripe.")
    acting = models.CharField(max_length=160)
    reason = models.CharField(max_length=500)
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()

    objects = ChargeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = (("collect_charge", "Can charge saved cards"),)
        constraints = (
            models.UniqueConstraint(name="charge_shop_and_id", fields=["shop", "id"]),  # what links refer to
            models.UniqueConstraint(name="charge_one_per_operation", fields=["shop", "operation_key"]),
            models.UniqueConstraint(name="charge_one_per_intent", fields=["stripe_account", "payment_intent_id"]),
            models.UniqueConstraint(
                name="charge_one_living_hold",
                fields=["shop", "order"],
                condition=Q(purpose="deposit_hold") & ~Q(status__in=["declined", "canceled", "expired"]),
            ),
            models.CheckConstraint(name="charge_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(name="charge_captured_within", condition=Q(captured_amount__lte=F("amount"))),
            models.CheckConstraint(
                name="charge_refunded_within", condition=Q(refunded_amount__lte=F("captured_amount"))
            ),
            models.CheckConstraint(
                name="charge_capture_within",
                condition=Q(capture_amount__isnull=True) | Q(capture_amount__gt=0, capture_amount__lte=F("amount")),
            ),
            models.CheckConstraint(
                name="charge_captured_or_released", condition=Q(capture_amount__isnull=True) | Q(release=False)
            ),
            models.CheckConstraint(name="charge_refusals_within_sends", condition=Q(refusals__lte=F("sends"))),
            models.CheckConstraint(
                name="charge_held_has_intent",
                condition=~Q(status__in=["requires_capture", "succeeded", "processing", "expired"])
                | Q(payment_intent_id__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="charge_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            models.Index(name="charge_by_purpose", fields=["purpose", "-id"]),  # reader: its filter
            models.Index(name="charge_by_order", fields=["order"]),  # reader: an order's page, what it still owes
            models.Index(name="charge_by_intent", fields=["payment_intent_id"]),  # reader: events, admin search
            # reader: the worker
            models.Index(
                name="charge_to_work_on",
                fields=["checked_at"],
                condition=~Q(status__in=["succeeded", "canceled", "expired"])
                | Q(status="succeeded", balance_transaction_id=""),
            ),
            # reader: the desk's "owed", "lapsed"
            models.Index(
                name="charge_on_desk",
                fields=["-id"],
                condition=Q(status__in=["declined", "authentication_required", "unknown", "expired"]),
            ),
            # reader: the desk's "about to lapse"
            models.Index(
                name="charge_lapsing", fields=["capture_before"], condition=Q(status="requires_capture", release=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} of order {self.order.number}"


class ChargeLink(models.Model):
    """A page on which the customer pays a charge that their card didn't let through. One is open at a time; when it has
    had its day, another one may follow.
    """

    class Status(models.TextChoices):
        SENDING = "sending", "Sending to Stripe"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        EXPIRED = "expired", "Expired"
        REFUSED = "refused", "Refused by Stripe"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    charge = models.ForeignKey(Charge, on_delete=models.PROTECT, related_name="links", db_constraint=False)
    status = models.CharField(max_length=8, choices=Status, default=Status.SENDING)
    stripe_key = models.CharField(max_length=255, db_collation="C")
    stripe_params = models.JSONField(default=dict)
    session_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    url = models.TextField(blank=True, default="")
    expires_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True, blank=True, help_text="When the customer was told.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last looked at it.")
    created_at = models.DateTimeField()

    objects = ShopQuerySet["ChargeLink"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="charge_link_one_open", fields=["shop", "charge"], condition=Q(status__in=["sending", "open"])
            ),
            models.UniqueConstraint(name="charge_link_one_per_session", fields=["shop", "session_id"]),
        )
        indexes = (
            # reader: the worker
            models.Index(
                name="charge_link_to_work_on", fields=["checked_at"], condition=Q(status__in=["sending", "open"])
            ),
        )

    def __str__(self) -> str:
        return f"Payment link for {self.charge}"


class Collection(models.Model):
    """What a customer owed beyond the price, once per operation, and where it was taken from: the deposit that was
    charged, what is held on the card, and the saved card for the rest. In minor units of `currency`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="collections", db_constraint=False)
    purpose = models.CharField(max_length=12, choices=Charge.Purpose)
    operation_key = models.CharField(max_length=255, db_collation="C", help_text="What makes it happen once.")
    currency = models.CharField(max_length=3)
    amount = models.PositiveBigIntegerField()
    from_deposit = models.PositiveBigIntegerField(default=0)
    from_hold = models.PositiveBigIntegerField(default=0)
    from_card = models.PositiveBigIntegerField(default=0)
    charge = models.ForeignKey(
        Charge, on_delete=models.PROTECT, related_name="collections", null=True, blank=True, db_constraint=False
    )
    basis = models.JSONField(default=dict, help_text="How the amount came about.")
    acting = models.CharField(max_length=160)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()

    objects = ShopQuerySet["Collection"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="collection_once", fields=["shop", "operation_key"]),
            models.CheckConstraint(
                name="collection_adds_up",
                condition=Q(amount=F("from_deposit") + F("from_hold") + F("from_card")),
            ),
            models.CheckConstraint(
                name="collection_card_has_charge", condition=Q(from_card=0) | Q(charge__isnull=False)
            ),
        )
        indexes = (
            models.Index(name="collection_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            models.Index(name="collection_by_purpose", fields=["purpose", "-id"]),  # reader: its filter
            models.Index(name="collection_by_order", fields=["order"]),  # reader: an order's page
        )

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} of order {self.order.number}"


class ChargePolicy(models.Model):
    """What a shop that rents out charges for being late, and when it lets deposits go. Without a row its staff do both
    by hand. Amounts in minor units of the shop's currency.
    """

    class LateFee(models.TextChoices):
        NONE = "none", "None"
        AMOUNT = "amount", "An amount per unit and day"
        SHARE = "share", "A share of the day's price"

    class Cap(models.TextChoices):
        NONE = "none", "None"
        AMOUNT = "amount", "An amount per unit"
        DEPOSIT = "deposit", "The unit's deposit"

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, primary_key=True, related_name="charge_policy")
    late_fee = models.CharField(max_length=6, choices=LateFee, default=LateFee.NONE)
    late_fee_amount = models.PositiveBigIntegerField(default=0)
    late_fee_per_mille = models.PositiveIntegerField(default=0)
    grace_days = models.PositiveSmallIntegerField(default=0)
    cap = models.CharField(max_length=7, choices=Cap, default=Cap.DEPOSIT)
    cap_amount = models.PositiveBigIntegerField(default=0)
    holidays = ArrayField(models.DateField(), default=list, blank=True)
    inspection_days = models.PositiveSmallIntegerField(default=1)
    release_days = models.PositiveSmallIntegerField(default=0)
    charges_damage = models.BooleanField(default=True)
    # What came back before is settled already, or staff's.
    since = models.DateTimeField(default=timezone.now)

    objects = ShopQuerySet["ChargePolicy"].as_manager()

    class Meta:
        verbose_name_plural = "deposits and late fees"
        constraints = (
            models.CheckConstraint(
                name="charge_policy_fee_has_size",
                condition=Q(late_fee="none")
                | Q(late_fee="amount", late_fee_amount__gt=0)
                | Q(late_fee="share", late_fee_per_mille__gt=0),
            ),
            models.CheckConstraint(name="charge_policy_cap_has_size", condition=~Q(cap="amount") | Q(cap_amount__gt=0)),
        )

    def __str__(self) -> str:
        return f"Deposits and late fees of {self.shop_id}"


class RentalClearing(models.Model):
    """That a rental's late fee and damage were decided, and its deposit let go: once, by the shop's jobs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rental = models.OneToOneField(Rental, on_delete=models.PROTECT, related_name="clearing", db_constraint=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    late_fee_amount = models.PositiveBigIntegerField(default=0)
    # How much of the rental's `owed_amount` was collected; more may come to it.
    damage_amount = models.PositiveBigIntegerField(default=0)
    cleared_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True, blank=True)

    objects = ShopQuerySet["RentalClearing"].as_manager()

    class Meta:
        ordering = ("-cleared_at",)
        indexes = (
            # reader: the job that lets deposits go
            models.Index(
                name="clearing_to_release", fields=["shop", "cleared_at"], condition=Q(released_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"Clearing of {self.rental_id}"

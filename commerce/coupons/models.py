"""Coupons of a shop, and who has one reserved or redeemed."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from commerce.orders.models import Order
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Coupon(models.Model):
    """A share or an amount off the merchandise, for whoever knows its code.

    `used` counts redemptions that are reserved or redeemed within the limit. Triggers keep it, and what a coupon
    promised once it was used (commerce/migrations/0008_coupons.py), whoever writes. Amounts are positive minor units
    by currency: a shop may change its currency, and an amount is none without one.
    """

    class Kind(models.TextChoices):
        PERCENT = "percent", "Share"
        AMOUNT = "amount", "Amount"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(
        max_length=40, db_collation="C", help_text="Upper case: customers may type it as they like."
    )
    kind = models.CharField(max_length=8, choices=Kind)
    basis_points = models.PositiveIntegerField(null=True, blank=True, help_text="Hundredths of a per cent.")
    amounts = models.JSONField(default=dict, blank=True, help_text="Minor units off, by currency.")
    minimums = models.JSONField(default=dict, blank=True, help_text="Merchandise in minor units, by currency.")
    only_for = ArrayField(
        models.CharField(max_length=255), default=list, blank=True, help_text="SKUs or variant keys; empty: everything."
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    limit_total = models.PositiveIntegerField(null=True, blank=True)
    limit_per_email = models.PositiveIntegerField(null=True, blank=True)
    used = models.PositiveIntegerField(default=0, editable=False)
    active = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True, default="", help_text="For staff: what it is for.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShopQuerySet["Coupon"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="coupon_shop_and_id", fields=["shop", "id"]),  # what redemptions refer to
            models.UniqueConstraint(name="coupon_one_per_code", fields=["shop", "code"]),
            models.CheckConstraint(name="coupon_code_plain", condition=Q(code__regex=r"^[A-Z0-9][A-Z0-9_-]{1,39}$")),
            models.CheckConstraint(
                name="coupon_share_or_amount",
                condition=Q(kind="percent", basis_points__isnull=False, basis_points__range=(1, 10_000), amounts={})
                | Q(kind="amount", basis_points__isnull=True) & ~Q(amounts={}),
            ),
            models.CheckConstraint(
                name="coupon_window_in_order",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(starts_at__lt=F("ends_at")),
            ),
            models.CheckConstraint(
                name="coupon_used_within_limit", condition=Q(limit_total__isnull=True) | Q(used__lte=F("limit_total"))
            ),
            models.CheckConstraint(
                name="coupon_limits_positive",
                condition=(Q(limit_total__isnull=True) | Q(limit_total__gt=0))
                & (Q(limit_per_email__isnull=True) | Q(limit_per_email__gt=0)),
            ),
        )
        indexes = (
            models.Index(name="coupon_by_code", fields=["code"]),  # reader: the admin's search, over all shops
        )

    def __str__(self) -> str:
        return self.code


class CouponRedemption(models.Model):
    """One order's use of a coupon: reserved with its hold, then redeemed, or freed. Amounts in minor units."""

    class State(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        REDEEMED = "redeemed", "Redeemed"
        FREED = "freed", "Given back"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    coupon = models.ForeignKey(
        Coupon, on_delete=models.PROTECT, related_name="redemptions", db_constraint=False, db_index=False
    )
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="redemptions", db_constraint=False, db_index=False
    )
    state = models.CharField(max_length=8, choices=State, default=State.RESERVED)
    # A payment that came after the reservation was given back: what was promised is kept, and counts for no limit.
    beyond_limit = models.BooleanField(default=False)
    email = models.CharField(max_length=254, blank=True, default="", help_text="In lower case; empty: not known.")
    currency = models.CharField(max_length=3)
    subtotal_amount = models.PositiveBigIntegerField()
    discount_amount = models.PositiveBigIntegerField()
    reserved_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When it was redeemed or given back.")

    objects = ShopQuerySet["CouponRedemption"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="coupon_redemption_one_per_order", fields=["shop", "order"]),
            models.CheckConstraint(
                name="coupon_discount_within_merchandise",
                condition=Q(discount_amount__gt=0, discount_amount__lte=F("subtotal_amount")),
            ),
            models.CheckConstraint(
                name="coupon_redemption_state_known", condition=Q(state__in=["reserved", "redeemed", "freed"])
            ),
            models.CheckConstraint(
                name="coupon_beyond_limit_is_redeemed", condition=Q(beyond_limit=False) | Q(state="redeemed")
            ),
        )
        indexes = (
            models.Index(name="coupon_redemption_by_coupon", fields=["shop", "coupon", "-id"]),  # reader: its page
            models.Index(name="coupon_redemption_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            models.Index(name="coupon_redemption_by_customer", fields=["email", "-id"]),  # reader: the admin's search
            # reader: the limit per customer
            models.Index(
                name="coupon_redemption_by_email",
                fields=["shop", "coupon", "email"],
                condition=Q(state__in=["reserved", "redeemed"], beyond_limit=False),
            ),
        )

    def __str__(self) -> str:
        return str(self.id)

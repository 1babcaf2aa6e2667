"""Orders and their lines, as charged."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Func, Q, Value
from uuid_utils.compat import uuid7

from inventory.models import Hold
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Order(models.Model):
    """One purchase. All amounts are minor units of `currency`; the status moves forwards only (orders/states.py)."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting for payment"
        PROCESSING = "processing", "Payment in progress"
        AUTHORISED = "authorised", "Authorised, not captured"
        CONFIRMED = "confirmed", "Confirmed"
        REVIEW = "review", "Needs review"
        FAILED = "failed", "Payment failed"
        CANCELED = "canceled", "Canceled"
        REFUNDED = "refunded", "Refunded"

    class TaxMode(models.TextChoices):
        NONE = "none", "None"
        AUTOMATIC = "automatic", "Computed by Stripe"
        STATIC = "static", "The shop's own rate"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    # One sequence for the platform: gaps are harmless, a counter row per shop would queue every sale behind the last.
    number = models.CharField(
        max_length=24,
        db_collation="C",
        editable=False,
        db_default=Func(Value("commerce_order_number"), function="nextval", output_field=models.BigIntegerField()),
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    source = models.CharField(max_length=32, default="checkout")
    currency = models.CharField(max_length=3)
    subtotal_amount = models.PositiveBigIntegerField()
    discount_amount = models.PositiveBigIntegerField(default=0)
    shipping_amount = models.PositiveBigIntegerField(default=0)
    tax_amount = models.PositiveBigIntegerField(default=0)
    tax_mode = models.CharField(max_length=10, choices=TaxMode, default=TaxMode.NONE)
    # Inside, the lines' prices contain it and the subtotal doesn't.
    tax_inclusive = models.BooleanField(default=False)
    deposit_amount = models.PositiveBigIntegerField(default=0)
    # Not in the total: money that may be held on the saved card, never both ways at once.
    deposit_authorised_amount = models.PositiveBigIntegerField(default=0, db_default=0)
    total_amount = models.PositiveBigIntegerField()
    # Everything that is on its way back or has arrived; what failed is out again. The database holds it against the
    # refunds' own rows. Of it, and of the deposit, what belongs to deposits:
    refunded_amount = models.PositiveBigIntegerField(default=0)
    deposit_refunded_amount = models.PositiveBigIntegerField(default=0)
    deposit_kept_amount = models.PositiveBigIntegerField(default=0)
    # Stripe's amounts win; what we had computed stays visible when the two differ.
    expected_total_amount = models.PositiveBigIntegerField()
    amount_differs = models.BooleanField(default=False)
    disputed = models.BooleanField(default=False, db_default=False, help_text="A dispute of its payment is open.")
    hold = models.OneToOneField(
        Hold, on_delete=models.PROTECT, null=True, blank=True, related_name="order", db_constraint=False
    )
    stripe_account = models.CharField(max_length=64, db_collation="C")
    session_id = models.CharField(max_length=255, null=True, blank=True, db_collation="C")
    payment_intent_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    charge_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    # Whose card was kept, and which, for what may be owed later; empty where none was.
    customer_id = models.CharField(max_length=255, blank=True, default="", db_default="", db_collation="C")
    payment_method_id = models.CharField(max_length=255, blank=True, default="", db_default="", db_collation="C")
    # The charge's line in Stripe's own books: once it is here, Stripe's fee is in the journal.
    balance_transaction_id = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    charge_read_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last looked for the fee.")
    email = models.EmailField(blank=True, default="")
    customer_name = models.CharField(max_length=200, blank=True, default="")
    phone = models.CharField(max_length=40, blank=True, default="")
    billing_address = models.JSONField(null=True, blank=True)
    shipping_address = models.JSONField(null=True, blank=True)
    # As the customer chose it: the option itself may be renamed or dearer by now.
    shipping_name = models.CharField(max_length=100, blank=True, default="")
    # As reserved with the order; empty without one. Its redemption says how that went.
    coupon_code = models.CharField(max_length=40, blank=True, default="", db_collation="C")
    locale = models.CharField(max_length=12, blank=True, default="")
    review_reason = models.CharField(max_length=200, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = ShopQuerySet["Order"].as_manager()

    class Meta:
        ordering = ("-created_at",)
        permissions = (("refund_order", "Can give money back"), ("resolve_order", "Can accept differing amounts"))
        constraints = (
            models.UniqueConstraint(name="order_shop_and_id", fields=["shop", "id"]),  # what lines, attempts refer to
            models.UniqueConstraint(name="order_one_per_number", fields=["shop", "number"]),
            models.UniqueConstraint(name="order_one_per_session", fields=["stripe_account", "session_id"]),
            models.CheckConstraint(
                name="order_total_adds_up",
                condition=Q(
                    total_amount=F("subtotal_amount")
                    - F("discount_amount")
                    + F("shipping_amount")
                    + F("tax_amount")
                    + F("deposit_amount")
                ),
            ),
            models.CheckConstraint(
                name="order_refund_within_total", condition=Q(refunded_amount__lte=F("total_amount"))
            ),
            models.CheckConstraint(
                name="order_deposit_spent_once",
                condition=Q(deposit_amount__gte=F("deposit_refunded_amount") + F("deposit_kept_amount")),
            ),
            models.CheckConstraint(
                name="order_deposit_one_way", condition=Q(deposit_amount=0) | Q(deposit_authorised_amount=0)
            ),
            models.CheckConstraint(
                name="order_deposit_part_of_refunds", condition=Q(deposit_refunded_amount__lte=F("refunded_amount"))
            ),
            models.CheckConstraint(name="order_currency_upper", condition=Q(currency__regex=r"^[A-Z]{3}$")),
            models.CheckConstraint(
                name="order_confirmed_has_time",
                # Refunded without it: paid without stock, and the money given back.
                condition=~Q(status="confirmed") | Q(confirmed_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="order_by_shop", fields=["shop", "-created_at"]),  # reader: the admin's list
            models.Index(
                name="order_by_status", fields=["shop", "status", "-created_at"]
            ),  # reader: desk and dashboard
            models.Index(name="order_by_email", fields=["shop", "email"]),  # reader: admin search
            # reader: the resolver, for delayed payments
            models.Index(name="order_processing", fields=["created_at"], condition=Q(status="processing")),
            models.Index(name="order_by_intent", fields=["payment_intent_id"]),  # reader: admin search, events
            # reader: tie_out, disputes
            models.Index(name="order_by_charge", fields=["charge_id"], condition=~Q(charge_id="")),
            # reader: the search for fees that aren't in the journal yet
            models.Index(
                name="order_without_fee",
                fields=["charge_read_at", "created_at"],
                condition=Q(balance_transaction_id="", status__in=["confirmed", "review", "refunded"])
                & ~Q(payment_intent_id=""),
            ),
            # reader: the desk's "needs attention"
            models.Index(
                name="order_on_desk", fields=["-created_at"], condition=Q(status="review") | Q(amount_differs=True)
            ),
            # readers: the same, and the admin's "disputed"
            models.Index(name="order_disputed", fields=["-created_at"], condition=Q(disputed=True)),
        )

    def __str__(self) -> str:
        return self.number

    @property
    def is_external(self) -> bool:
        """Paid elsewhere: no Stripe account has its money, and what goes back goes by hand."""
        return self.stripe_account == ""


class OrderLine(models.Model):
    """What was bought, at the price charged, in minor units of the order's currency."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines", db_constraint=False)
    position = models.PositiveIntegerField()
    sku = models.CharField(max_length=64, db_collation="C")
    variant_key = models.CharField(max_length=255, db_collation="C")
    title = models.CharField(max_length=300)
    substituted_for = models.CharField(
        max_length=255, blank=True, default="", db_default="", db_collation="C",
        help_text="The variant that was bought, where another is sent.",
    )  # fmt: skip
    quantity = models.PositiveIntegerField()
    unit_amount = models.PositiveBigIntegerField()
    deposit_amount = models.PositiveBigIntegerField(default=0, help_text="Per unit.")
    line_amount = models.PositiveBigIntegerField()
    returned_quantity = models.PositiveIntegerField(default=0)
    discount_amount = models.PositiveBigIntegerField(default=0, help_text="The line's part of the order's discount.")
    # Null where nobody has said so line by line: then a line's part of the order's tax is in proportion to its size.
    tax_amount = models.PositiveBigIntegerField(null=True, blank=True, help_text="As Stripe charged it on all units.")
    options = models.JSONField(default=dict, blank=True)
    rental_start = models.DateField(null=True, blank=True)
    rental_end = models.DateField(null=True, blank=True)
    rental_days = models.PositiveIntegerField(null=True, blank=True)
    # How the unit's price came about, as commerce/rentals/pricing.py tells it: rates change, orders don't.
    rental_rates = models.JSONField(default=list, blank=True)

    objects = ShopQuerySet["OrderLine"].as_manager()

    class Meta:
        ordering = ("position",)
        constraints = (
            models.CheckConstraint(name="order_line_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="order_line_adds_up", condition=Q(line_amount=F("unit_amount") * F("quantity"))
            ),
            models.CheckConstraint(
                name="order_line_rental_whole",
                condition=Q(
                    rental_start__isnull=True, rental_end__isnull=True, rental_days__isnull=True, deposit_amount=0
                )
                | Q(
                    # A comparison with null is not false.
                    rental_start__isnull=False,
                    rental_end__isnull=False,
                    rental_days__isnull=False,
                    rental_end__gte=F("rental_start"),
                    rental_days=Func(
                        F("rental_end"),
                        F("rental_start"),
                        arg_joiner=" - ",
                        output_field=models.IntegerField(),
                        template="(%(expressions)s + 1)",
                    ),
                ),
            ),
            models.CheckConstraint(
                name="order_line_discount_within_it", condition=Q(discount_amount__lte=F("line_amount"))
            ),
            models.CheckConstraint(
                name="order_line_tax_within_it",
                condition=Q(tax_amount__isnull=True) | Q(tax_amount__lte=F("line_amount") - F("discount_amount")),
            ),
            models.UniqueConstraint(name="order_line_position", fields=["order", "position"]),
            models.UniqueConstraint(name="order_line_shop_and_id", fields=["shop", "id"]),  # what returns refer to
            models.CheckConstraint(name="order_line_returned_once", condition=Q(returned_quantity__lte=F("quantity"))),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.variant_key}"

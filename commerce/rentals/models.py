"""A rental from its confirmation to its end: how many units of each line are where, and what was done, by whom."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from commerce.orders.models import Order, OrderLine
from inventory.models import Hold
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class Rental(models.Model):
    """The part of an order that goes out and comes back. The customer is the order's.

    `status` is what the counts of its lines say (commerce/rentals/states.py); it moves forwards only, and the database
    sees to that. Its id is the order's, so that it can be named before the order is paid.
    """

    class Status(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        HANDED_OUT = "handed_out", "Handed out"
        RETURNED = "returned", "Returned"
        INSPECTED = "inspected", "Inspected"
        CLOSED = "closed", "Closed"
        CANCELED = "canceled", "Canceled"

    class Source(models.TextChoices):
        CHECKOUT = "checkout", "Checkout"
        COUNTER = "counter", "Counter or phone"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="rental", db_constraint=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.RESERVED)
    source = models.CharField(max_length=8, choices=Source, default=Source.CHECKOUT)
    # The first day and the last of all lines, by the shop's calendar.
    starts_on = models.DateField()
    ends_on = models.DateField()
    # What staff look for in the morning; null: nothing is to go out any more, or nothing is out.
    next_out_on = models.DateField(null=True, blank=True, help_text="The first day of units that haven't gone out.")
    next_due_on = models.DateField(null=True, blank=True, help_text="The first due day of units that are out.")
    handed_out_at = models.DateTimeField(null=True, blank=True, help_text="When the first unit went out.")
    returned_at = models.DateTimeField(null=True, blank=True, help_text="When the last unit was back, or lost.")
    inspected_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    # Minor units of the order's currency.
    owed_amount = models.PositiveBigIntegerField(default=0, help_text="What damage and loss cost beyond the deposit.")
    endangered = models.PositiveIntegerField(
        default=0, help_text="Later bookings that its overdue units are missing for."
    )
    followed_on = models.DateField(
        null=True, blank=True, help_text="The day for which the days of its overdue units were last looked at."
    )
    # A rental is canceled together with its refund, whose money is not to wait for stock: a worker frees the days.
    frees_days = models.BooleanField(default=False, help_text="Canceled, and its days are still to be given back.")
    created_at = models.DateTimeField()

    objects = ShopQuerySet["Rental"].as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = (("handle_rental", "Can hand out, take back, inspect and close"),)
        constraints = (
            models.UniqueConstraint(name="rental_shop_and_id", fields=["shop", "id"]),  # what lines and events refer to
            models.CheckConstraint(name="rental_in_order", condition=Q(ends_on__gte=F("starts_on"))),
            models.CheckConstraint(
                name="rental_times_by_status",
                condition=(~Q(status__in=["handed_out", "returned"]) | Q(handed_out_at__isnull=False))
                & (~Q(status="returned") | Q(returned_at__isnull=False))
                & (~Q(status="inspected") | Q(inspected_at__isnull=False))
                & (~Q(status="closed") | Q(closed_at__isnull=False)),
            ),
        )
        indexes = (
            models.Index(name="rental_by_shop", fields=["shop", "-id"]),  # reader: the admin's list
            models.Index(name="rental_by_status", fields=["shop", "status", "-id"]),  # reader: its filter
            # reader: the same over all shops; most come from a checkout
            models.Index(name="rental_by_source", fields=["source", "-id"], condition=~Q(source="checkout")),
            models.Index(name="rental_by_start", fields=["shop", "starts_on"]),  # reader: its filter by period
            models.Index(
                name="rental_by_return", fields=["shop", "returned_at"], condition=Q(returned_at__isnull=False)
            ),  # reader: what late fees are due
            # readers: the day sheet, the admin's "going out" and "due", and who is overdue
            models.Index(
                name="rental_going_out", fields=["shop", "next_out_on"], condition=Q(next_out_on__isnull=False)
            ),
            models.Index(name="rental_due", fields=["shop", "next_due_on"], condition=Q(next_due_on__isnull=False)),
            # reader: the admin's "picked up today"
            models.Index(name="rental_picked_up", fields=["-handed_out_at"], condition=Q(handed_out_at__isnull=False)),
            models.Index(name="rental_endangers", fields=["shop", "-id"], condition=Q(endangered__gt=0)),
            # reader: the worker that frees them
            models.Index(name="rental_frees_days", fields=["created_at"], condition=Q(frees_days=True)),
        )

    def __str__(self) -> str:
        return f"Rental of order {self.order.number}"


class RentalLine(models.Model):
    """How many units of an order's line went out, came back, and how."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    rental = models.ForeignKey(Rental, on_delete=models.PROTECT, related_name="lines", db_constraint=False)
    order_line = models.OneToOneField(
        OrderLine, on_delete=models.PROTECT, related_name="rental_line", db_constraint=False
    )
    due_on = models.DateField(help_text="The day of return, by the shop's calendar.")
    quantity = models.PositiveIntegerField()
    called_off = models.PositiveIntegerField(default=0, help_text="Units that never went out, and won't.")
    handed_out = models.PositiveIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0)
    damaged = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    returned_on = models.DateField(null=True, blank=True, help_text="The day on which its last unit came back.")
    # The sum over units of the days each came back late: what a late fee is computed from.
    late_unit_days = models.PositiveIntegerField(default=0)

    objects = ShopQuerySet["RentalLine"].as_manager()

    class Meta:
        ordering = ("order_line_id",)  # as they were bought: ids follow each other
        constraints = (
            models.UniqueConstraint(name="rental_line_shop_and_id", fields=["shop", "id"]),  # what units refer to
            models.CheckConstraint(name="rental_line_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="rental_line_out_within", condition=Q(quantity__gte=F("handed_out") + F("called_off"))
            ),
            models.CheckConstraint(
                name="rental_line_back_within", condition=Q(handed_out__gte=F("returned") + F("lost"))
            ),
            models.CheckConstraint(name="rental_line_damage_within", condition=Q(returned__gte=F("damaged"))),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.order_line.variant_key}"

    @property
    def to_go_out(self) -> int:
        return self.quantity - self.called_off - self.handed_out

    @property
    def out(self) -> int:
        return self.handed_out - self.returned - self.lost


class RentalUnits(models.Model):
    """Units of a line that are still to go out or are out: of which variant, and which booking keeps their days.

    One row per line until something is exchanged. Units that are back, lost or called off are in none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    line = models.ForeignKey(RentalLine, on_delete=models.PROTECT, related_name="units", db_constraint=False)
    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="rental_units", db_constraint=False)
    sku = models.CharField(max_length=64, db_collation="C")
    variant_key = models.CharField(max_length=255, db_collation="C")
    # As booked, both included; days for cleaning come after them.
    starts_on = models.DateField()
    ends_on = models.DateField()
    quantity = models.PositiveIntegerField()
    out = models.PositiveIntegerField(default=0, help_text="Of them, how many are with the customer.")

    objects = ShopQuerySet["RentalUnits"].as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "rental units"
        constraints = (
            models.UniqueConstraint(name="rental_units_once", fields=["shop", "line", "hold", "variant_key"]),
            models.CheckConstraint(name="rental_units_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="rental_units_out_within", condition=Q(quantity__gte=F("out"))),
        )
        indexes = (
            # reader: hand-out and day sheet, how many of a variant aren't here
            models.Index(name="rental_units_out", fields=["shop", "variant_key"], condition=Q(out__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.variant_key}"


class RentalEvent(models.Model):
    """What was done, once per key. Append-only: the database refuses everything else."""

    class Action(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        HAND_OUT = "hand_out", "Handed out"
        RETURN = "return", "Returned"
        INSPECT = "inspect", "Inspected"
        DAMAGE = "damage", "Damage noted"
        LOSE = "lose", "Lost"
        EXCHANGE = "exchange", "Exchanged"
        CALL_OFF = "call_off", "Called off"
        CLOSE = "close", "Closed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    rental = models.ForeignKey(
        Rental, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    action = models.CharField(max_length=8, choices=Action)
    # [{"lineId", "quantity", "variantKey", "condition"?, "instead"?}]
    units = models.JSONField(default=list)
    # Minor units of the order's currency: what damage or loss costs, and what of it the deposit paid.
    amount = models.PositiveBigIntegerField(null=True, blank=True)
    kept_amount = models.PositiveBigIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True, default="")
    actor = models.CharField(max_length=160)
    at = models.DateTimeField(help_text="When it happened; told where it was noted later.")
    idempotency_key = models.CharField(max_length=255, db_collation="C")
    digest = models.CharField(max_length=64, help_text="What was asked for with the key.")
    request_id = models.CharField(max_length=64, blank=True, default="")

    objects = ShopQuerySet["RentalEvent"].as_manager()

    class Meta:
        ordering = ("id",)
        constraints = (
            # Reader too: a rental's history.
            models.UniqueConstraint(name="rental_event_once", fields=["shop", "rental", "idempotency_key"]),
            models.CheckConstraint(
                name="rental_event_kept_within", condition=Q(kept_amount=0) | Q(amount__gte=F("kept_amount"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_action_display()} at {self.at:%Y-%m-%d %H:%M}"

"""Bookings of units for days: what a hold on a period has, and how many units each day has left."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from inventory.models.hold import Hold
from inventory.models.stock import StockOwner, StockRow
from tenants.models import Shop
from tenants.scoping import OwnerQuerySet, ShopQuerySet


class HoldPeriod(models.Model):
    """Units of one stock row that a hold has from `starts` to `ends`, both included, in the calendar of whoever asked.

    The units are away until `blocked_until`: the row's days for cleaning are counted when the hold is placed. A booking
    that ends early is cut there. While the hold is active or committed, its days count (verify_stock proves it). The
    references to the hold and to the row are (shop, hold) and (shop, row): periods are booked on a shop's own stock.
    """

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    hold = models.ForeignKey(
        Hold, on_delete=models.CASCADE, related_name="periods", db_index=False, db_constraint=False
    )
    stock_row = models.ForeignKey(
        StockRow, on_delete=models.PROTECT, related_name="hold_periods", db_index=False, db_constraint=False
    )
    starts = models.DateField()
    ends = models.DateField()
    blocked_until = models.DateField()
    quantity = models.PositiveIntegerField()

    objects = ShopQuerySet["HoldPeriod"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="hold_period_once", fields=["hold", "stock_row", "starts", "ends"]),
            models.CheckConstraint(name="hold_period_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="hold_period_in_order", condition=Q(ends__gte=F("starts"))),
        )
        indexes = (
            # readers: who has a row's units on a day, and the proof
            models.Index(name="hold_period_by_row", fields=["stock_row", "blocked_until"]),
        )

    def __str__(self) -> str:
        return f"{self.quantity} × {self.stock_row_id}, {self.starts} to {self.ends}"


class StockDay(models.Model):
    """One day of one stock row: how many units are booked, of how many. A day that nobody booked has no row.

    `capacity` follows the row's `on_hand` from yesterday on (a trigger); what is over keeps its own.
    """

    owner = models.ForeignKey(
        StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    stock_row = models.ForeignKey(
        StockRow, on_delete=models.PROTECT, related_name="days", db_index=False, db_constraint=False
    )
    day = models.DateField()
    booked = models.IntegerField()
    capacity = models.IntegerField()

    objects = OwnerQuerySet["StockDay"].as_manager()

    class Meta:
        ordering = ("stock_row", "day")
        constraints = (
            models.CheckConstraint(
                name="booked_within_capacity", condition=Q(booked__gte=0) & Q(booked__lte=F("capacity"))
            ),
            models.UniqueConstraint(name="stock_day_once", fields=["owner", "stock_row", "day"]),
        )
        indexes = (models.Index(name="stock_day_over", fields=["day"]),)  # reader: the nightly pruning

    def __str__(self) -> str:
        return f"{self.day}: {self.booked} of {self.capacity}"

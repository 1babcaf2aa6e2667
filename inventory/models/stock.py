"""Stock rows and their movements."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from tenants.models import Shop
from tenants.scoping import OwnerQuerySet, ShopQuerySet


def is_pool(owner_id: str) -> bool:
    """By the form of its id, which a check constraint keeps."""
    return owner_id.startswith("pool:")


def shop_of_owner(owner_id: str) -> str | None:
    """The shop's id, which the owner's is then; None for a pool, whose things are the platform's."""
    return None if is_pool(owner_id) else owner_id


class StockOwner(models.Model):
    """Whose stock it is: a shop (the id is the shop's own) or a pool that shops are routed to.

    A pool's id begins with `pool:`, which no shop's id can: a shop that opens later never finds a pool in its place.
    """

    id = models.CharField(primary_key=True, max_length=80, db_collation="C")
    shop = models.OneToOneField(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=120, blank=True, default="", db_default="")
    enabled = models.BooleanField(
        default=True, db_default=True, help_text="A pool that is off lends nothing; holds on it end as usual."
    )

    objects = ShopQuerySet["StockOwner"].as_manager()

    class Meta:
        constraints = (
            models.CheckConstraint(name="stock_owner_is_its_shop", condition=Q(shop__isnull=True) | Q(shop=F("id"))),
            models.CheckConstraint(
                name="stock_owner_pool_id", condition=Q(shop__isnull=False) | Q(id__regex=r"^pool:[a-z0-9][a-z0-9-]*$")
            ),
            models.CheckConstraint(
                name="stock_owner_plain_for_shops", condition=Q(shop__isnull=True) | Q(name="", enabled=True)
            ),
        )

    def __str__(self) -> str:
        return self.id


class StockRow(models.Model):
    """Units of one variant. Oversell is not prevented by careful code: it is not representable."""

    owner = models.ForeignKey(StockOwner, on_delete=models.PROTECT, related_name="rows", db_index=False)
    sku = models.CharField(max_length=64, db_collation="C")
    variant_key = models.CharField(max_length=255, db_collation="C")
    on_hand = models.IntegerField(default=0)
    held = models.IntegerField(default=0)
    # Not indexed: an index on a counter would cost the hot row half its rate (HOT updates).
    available = models.GeneratedField(
        expression=F("on_hand") - F("held"), output_field=models.IntegerField(), db_persist=True
    )
    low_stock_threshold = models.PositiveIntegerField(default=0)
    buffer_days = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Days after each rental on which its units are cleaned and can't go out."
    )
    # Whatever the days say: a unit that is overdue may have no day booked any more, and is still not here.
    out = models.IntegerField(default=0, db_default=0, help_text="Rented units that are with customers now.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OwnerQuerySet["StockRow"].as_manager()

    class Meta:
        ordering = ("owner", "variant_key")
        constraints = (
            models.CheckConstraint(name="held_within_on_hand", condition=Q(held__gte=0) & Q(held__lte=F("on_hand"))),
            models.CheckConstraint(name="out_within_on_hand", condition=Q(out__gte=0) & Q(out__lte=F("on_hand"))),
            models.UniqueConstraint(name="stock_row_one_per_variant", fields=["owner", "variant_key"]),
            models.UniqueConstraint(name="stock_row_owner_and_id", fields=["owner", "id"]),
        )
        indexes = (
            models.Index(name="stock_row_by_sku", fields=["owner", "sku"]),  # reader: availability of a whole product
            # reader: the watch for low stock. None of its columns changes with a sale, so that HOT updates stay.
            models.Index(name="stock_row_watched", fields=["owner", "id"], condition=Q(low_stock_threshold__gt=0)),
        )

    def __str__(self) -> str:
        return self.variant_key


class StockMovement(models.Model):
    """One change of `on_hand`. Append-only: the database refuses update, delete and truncate.

    The reference to the row is (owner, stock row), made in 0002.
    """

    class Reason(models.TextChoices):
        OPENING = "opening", "Opening stock"
        RECEIPT = "receipt", "Goods received"
        ADJUSTMENT = "adjustment", "Adjustment"
        RECOUNT = "recount", "Recount"
        SALE = "sale", "Sale"
        RETURN = "return", "Return"
        LOSS = "loss", "Lost by a customer"

    owner = models.ForeignKey(
        StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    stock_row = models.ForeignKey(
        StockRow, on_delete=models.PROTECT, related_name="movements", db_index=False, db_constraint=False
    )
    for_shop = models.ForeignKey(
        Shop,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="Of a pool's units: the shop that sold them or took them back.",
    )
    delta = models.IntegerField()
    on_hand_after = models.IntegerField()
    reason = models.CharField(max_length=12, choices=Reason)
    reference = models.CharField(max_length=255, blank=True, default="", help_text="Hold, order or batch behind it.")
    actor = models.CharField(max_length=160)
    note = models.TextField(blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    at = models.DateTimeField()

    objects = OwnerQuerySet["StockMovement"].as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="movement_moves_something", condition=~Q(delta=0)),
            models.CheckConstraint(
                name="movement_reason_known",
                condition=Q(reason__in=["opening", "receipt", "adjustment", "recount", "sale", "return", "loss"]),
            ),
            models.CheckConstraint(
                name="movement_shop_of_a_pool",
                condition=Q(for_shop__isnull=True) | Q(Exact(Left("owner", 5), Value("pool:"))),
            ),
            models.CheckConstraint(name="movement_leaves_no_debt", condition=Q(on_hand_after__gte=0)),
        )
        indexes = (
            models.Index(name="movement_by_row", fields=["stock_row", "-id"]),  # reader: a row's history
            models.Index(name="movement_by_reference", fields=["owner", "reference"]),  # reader: what a hold took
        )

    def __str__(self) -> str:
        return f"{self.delta:+d} {self.stock_row_id}"

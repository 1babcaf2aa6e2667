"""Imports of stock: the file, what became of it, and every row of it with its fate. Whose they are is said twice:
`owner` is the shop or the pool whose stock it is, by which everything refers to everything; `shop` is who may see it.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from inventory.models.stock import StockOwner, StockRow
from tenants.models import Shop
from tenants.scoping import OwnerQuerySet


def _of_its_owner(name: str) -> models.CheckConstraint:
    """A row's shop is its owner's: the same, or none where the owner is a pool."""
    its_own = Q(shop__isnull=False) & Q(shop=F("owner"))
    return models.CheckConstraint(
        name=name, condition=its_own | (Q(shop__isnull=True) & Q(Exact(Left("owner", 5), Value("pool:"))))
    )


class StockImport(models.Model):
    """One file, for a shop or for a pool. Written by inventory/bulk alone, in the order that `Status` tells."""

    class Status(models.TextChoices):
        RECEIVED = "received", "Being read"
        READY = "ready", "To be confirmed"
        APPLYING = "applying", "Being applied"
        APPLIED = "applied", "Applied"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"
        UNREADABLE = "unreadable", "Unreadable"
        DISCARDED = "discarded", "Discarded"

    class Mode(models.TextChoices):
        SET = "set", "Sets the units on hand"
        DELTA = "delta", "Adds units, or takes them away"

    owner = models.ForeignKey(StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False)
    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, help_text="None for a pool's."
    )
    file_name = models.CharField(max_length=200)
    format = models.CharField(max_length=4, choices=[("csv", "CSV"), ("xlsx", "XLSX"), ("json", "JSON")])
    size_bytes = models.PositiveIntegerField(verbose_name="size in bytes")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the file.")
    mode = models.CharField(max_length=5, choices=Mode)
    unknown_skus = models.BooleanField(
        default=False, verbose_name="unknown variants", help_text="Whether variants that the catalog lacks are taken."
    )
    reference = models.CharField(max_length=100, blank=True, default="", help_text="Delivery note, stocktaking, …")
    status = models.CharField(max_length=10, choices=Status, default=Status.RECEIVED)
    problem = models.TextField(blank=True, default="", help_text="Why no row, or no further row, could be read.")
    rows_expected = models.PositiveIntegerField(default=0)
    # How far reading has come: the position of the last row that is stored. A worker that takes over goes on from here.
    rows_read = models.PositiveIntegerField(default=0)
    uploaded_by = models.CharField(max_length=160)
    uploaded_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=160, blank=True, default="")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    undone_by = models.CharField(max_length=160, blank=True, default="")
    undo_reason = models.CharField(max_length=500, blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)
    # When a worker last got something done: a sweep takes over what stands still.
    worked_at = models.DateTimeField()

    objects = OwnerQuerySet["StockImport"].as_manager()

    class Meta:
        verbose_name = "stock import"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="stock_import_owner_and_id", fields=["owner", "id"]),  # what its rows refer to
            # Adding the same delivery a second time is a slip, not a wish: what is wished has another reference.
            models.UniqueConstraint(
                name="stock_import_delta_once",
                fields=["owner", "digest", "reference"],
                condition=Q(mode="delta", status__in=["applying", "applied", "undoing"]),
            ),
            models.CheckConstraint(
                name="stock_import_status_known",
                condition=Q(
                    status__in=[
                        "received", "ready", "applying", "applied", "undoing", "undone", "unreadable", "discarded",
                    ]
                ),
            ),
            _of_its_owner("stock_import_of_its_owner"),
            models.CheckConstraint(name="stock_import_mode_known", condition=Q(mode__in=["set", "delta"])),
            models.CheckConstraint(
                name="stock_import_confirmed_with_reason",
                condition=~Q(status__in=["applying", "applied", "undoing", "undone"])
                | (Q(confirmed_at__isnull=False) & ~Q(reason="")),
            ),
        )  # fmt: skip
        indexes = (
            models.Index(name="stock_import_by_shop", fields=["shop", "-id"]),  # reader: a shop's staff at the list
            models.Index(name="stock_import_by_owner", fields=["owner", "-id"]),  # reader: the list's filter
            # reader: the sweep, which looks for work that stands still
            models.Index(
                name="stock_import_at_work",
                fields=["worked_at"],
                condition=Q(status__in=["received", "applying", "undoing"]),
            ),
        )

    def __str__(self) -> str:
        return f"Import {self.pk}: {self.file_name}"

    @property
    def movement_reference(self) -> str:
        """What the import's movements carry as their reference."""
        return f"import:{self.pk}"

    @property
    def at_work(self) -> bool:
        """Whether a worker has something to do with it."""
        return self.status in {self.Status.RECEIVED, self.Status.APPLYING, self.Status.UNDOING}


class StockImportPart(models.Model):
    """A piece of an import's file: web servers and workers share the database, not a disk. Purged after some days."""

    owner = models.ForeignKey(
        StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    batch = models.ForeignKey(
        StockImport, on_delete=models.CASCADE, related_name="parts", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()
    data = models.BinaryField()

    objects = OwnerQuerySet["StockImportPart"].as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="stock_import_part_once", fields=["owner", "batch", "number"]),
            _of_its_owner("stock_import_part_of_its_owner"),
        )

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.number}"


class StockImportRow(models.Model):
    """One row of a file. The references to batch and stock row are by (owner, …), made in
    migrations/0003_references_within_an_owner.py.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Will change"
        UNCHANGED = "unchanged", "Unchanged"
        FAILED = "failed", "Can't be applied"
        APPLIED = "applied", "Applied"
        UNDONE = "undone", "Undone"
        DISMISSED = "dismissed", "Dismissed"

    class Effect(models.TextChoices):
        NEW = "new", "New row"
        CHANGE = "change", "Other number"
        THRESHOLD = "threshold", "Other threshold"
        NOTHING = "nothing", "Nothing"

    owner = models.ForeignKey(
        StockOwner, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    batch = models.ForeignKey(
        StockImport, on_delete=models.CASCADE, related_name="rows", db_index=False, db_constraint=False
    )
    position = models.PositiveIntegerField(help_text="Counts the rows; several may stand on one line of JSON.")
    line = models.PositiveIntegerField()
    sku = models.CharField(max_length=64, blank=True, default="", db_collation="C")
    variant_key = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    number = models.IntegerField(null=True, blank=True, help_text="Units, absolute or to add. Empty: as they are.")
    threshold = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: as it is.")
    state = models.CharField(max_length=9, choices=State)
    effect = models.CharField(max_length=9, choices=Effect, default=Effect.NOTHING)
    code = models.CharField(max_length=12, blank=True, default="")
    problem = models.TextField(blank=True, default="")
    # Set where a row couldn't be read: what the file had, so that nothing is lost and it can be corrected.
    raw = models.JSONField(null=True, blank=True)
    stock_row = models.ForeignKey(
        StockRow,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    # As the preview saw it; None after somebody asked to try again whatever is there. Once applied: as it was before.
    seen_on_hand = models.IntegerField(null=True, blank=True)
    seen_threshold = models.PositiveIntegerField(null=True, blank=True)
    delta = models.IntegerField(default=0, help_text="Units moved, or to be moved.")

    objects = OwnerQuerySet["StockImportRow"].as_manager()

    class Meta:
        verbose_name = "row of an import"
        verbose_name_plural = "rows of imports"
        ordering = ("-batch", "position")
        constraints = (
            models.UniqueConstraint(name="stock_import_row_once", fields=["owner", "batch", "position"]),
            # One row, so one movement, per variant and import.
            models.UniqueConstraint(
                name="stock_import_variant_once",
                fields=["owner", "batch", "variant_key"],
                condition=Q(state__in=["pending", "unchanged", "applied", "undone"]),
            ),
            _of_its_owner("stock_import_row_of_its_owner"),
            models.CheckConstraint(
                name="stock_import_row_state_known",
                condition=Q(state__in=["pending", "unchanged", "failed", "applied", "undone", "dismissed"]),
            ),
            models.CheckConstraint(
                name="stock_import_row_failed_with_problem", condition=~Q(state="failed") | ~Q(problem="")
            ),
        )
        indexes = (
            # readers: the preview by state, the counts, the worker that looks for what is left to do
            models.Index(name="stock_import_row_by_state", fields=["batch", "state", "position"]),
            models.Index(name="stock_import_row_in_order", fields=["-batch", "position"]),  # reader: the list of rows
            models.Index(name="stock_import_row_variant", fields=["variant_key"]),  # reader: the list's search
            # reader: the reference's own check, should a stock row ever go
            models.Index(name="stock_import_row_stock", fields=["owner", "stock_row"]),
            # reader: what needs attention, whichever import it came with
            models.Index(name="stock_import_row_failed", fields=["shop", "-batch"], condition=Q(state="failed")),
        )

    def __str__(self) -> str:
        return f"line {self.line}: {self.variant_key or 'unreadable'}"

"""The double-entry journal (O4). Append-only and balanced per entry and currency, by the database."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from commerce.orders.models import Order
from commerce.subscriptions.models import Invoice
from tenants.models import Shop
from tenants.scoping import ShopQuerySet


class JournalEntry(models.Model):
    """One business event in money. `(shop, kind, reference)` makes every event post once."""

    class Kind(models.TextChoices):
        CAPTURE = "capture", "Capture"
        EXTERNAL = "external", "Paid elsewhere"
        FEE = "fee", "Stripe's fee"
        CONVERSION = "conversion", "Currency conversion"
        INVOICE = "invoice", "Invoice paid"
        REFUND = "refund", "Refund"
        REFUND_REVERSAL = "refund_reversal", "Refund came back"
        DEPOSIT_KEPT = "deposit_kept", "Deposit kept"
        DEPOSIT_CAPTURED = "deposit_captured", "Authorised deposit taken"
        LATE_FEE = "late_fee", "Late fee"
        DAMAGE = "damage", "Damage charged"
        DISPUTE_WITHDRAWN = "dispute_withdrawn", "Dispute: withdrawn"
        DISPUTE_REINSTATED = "dispute_reinstated", "Dispute: reinstated"
        ADJUSTMENT = "adjustment", "Adjustment"

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=24, choices=Kind)
    reference = models.CharField(max_length=255, db_collation="C")
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="journal_entries", db_constraint=False
    )
    # Of a subscription's money instead: an entry is of an order, of an invoice, or of neither.
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="journal_entries", db_constraint=False
    )
    currency = models.CharField(max_length=3)
    # The Stripe object whose money it is; entries from before this column are found by their order's charge.
    source = models.CharField(max_length=255, blank=True, default="", db_collation="C")
    memo = models.CharField(max_length=200, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    posted_at = models.DateTimeField()

    objects = ShopQuerySet["JournalEntry"].as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "journal entries"
        permissions = (("adjust_journal", "Can book adjustments"),)
        constraints = (
            models.UniqueConstraint(name="journal_posts_once", fields=["shop", "kind", "reference"]),
            models.CheckConstraint(
                name="journal_of_order_or_invoice", condition=Q(order__isnull=True) | Q(invoice__isnull=True)
            ),
            models.UniqueConstraint(name="journal_entry_shop_and_id", fields=["shop", "id"]),  # what its lines refer to
        )
        indexes = (
            models.Index(name="journal_by_time", fields=["shop", "-posted_at"]),  # reader: statements per period
            # reader: tie_out
            models.Index(name="journal_by_source", fields=["shop", "source"], condition=~Q(source="")),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reference}"


class JournalLine(models.Model):
    """Debit positive, credit negative, in minor units of the entry's currency."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="lines", db_constraint=False)
    account = models.CharField(max_length=48, db_collation="C")
    amount = models.BigIntegerField()

    objects = ShopQuerySet["JournalLine"].as_manager()

    class Meta:
        constraints = (models.CheckConstraint(name="journal_line_not_zero", condition=~Q(amount=0)),)
        indexes = (
            models.Index(name="journal_line_by_account", fields=["shop", "account"]),  # reader: balances
        )

    def __str__(self) -> str:
        return self.account

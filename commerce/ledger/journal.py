"""Posting to the journal. Debits positive, credits negative; the database refuses an entry that doesn't balance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from commerce.ledger.models import JournalEntry, JournalLine
from commerce.orders.models import Order

CLEARING = "stripe_clearing"
REVENUE = "revenue"
SHIPPING = "shipping_income"
TAX = "tax_payable"
DEPOSITS = "deposits_held"


def post_within(
    *, kind: str, reference: str, order: Order, amounts: Mapping[str, int], now: datetime, request_id: str
) -> bool:
    """Posts one balanced entry of account → minor units in the order's currency; zero lines are left out.

    Returns False when `(shop, kind, reference)` has been posted before, or when there is nothing to post.
    """
    lines = {account: amount for account, amount in amounts.items() if amount}
    if not lines or JournalEntry.objects.filter(shop_id=order.shop_id, kind=kind, reference=reference).exists():
        return False
    entry = JournalEntry.objects.create(
        shop_id=order.shop_id,
        kind=kind,
        reference=reference,
        order=order,
        currency=order.currency,
        request_id=request_id,
        posted_at=now,
    )
    JournalLine.objects.bulk_create(
        JournalLine(shop_id=order.shop_id, entry=entry, account=account, amount=amount)
        for account, amount in lines.items()
    )
    return True


def post_capture_within(*, order: Order, reference: str, now: datetime, request_id: str) -> bool:
    """Money taken for an order whose charged amounts have been written. `reference` is the session's id."""
    return post_within(
        kind=JournalEntry.Kind.CAPTURE,
        reference=reference,
        order=order,
        amounts={
            CLEARING: order.total_amount,
            REVENUE: order.discount_amount - order.subtotal_amount,
            SHIPPING: -order.shipping_amount,
            TAX: -order.tax_amount,
            DEPOSITS: -order.deposit_amount,
        },
        now=now,
        request_id=request_id,
    )

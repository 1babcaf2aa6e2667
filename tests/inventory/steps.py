"""Words that the inventory's tests share."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from inventory.holds import Line, place_hold, place_hold_within
from inventory.models import StockRow
from tenants.audit import Actor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
API = Actor("api", "worker")
STAFF = Actor("staff", "ada")


def line(row, quantity=1):
    return Line(row.sku, row.variant_key, quantity)


def place(row, quantity=1, *, key="k", now=NOW, ttl_seconds=1200, held_for="direct", shop_id=None, lines=None):
    """A hold on `row`, or on `lines`."""
    return place_hold(
        shop_id=shop_id or row.owner_id,
        key=key,
        lines=[line(row, quantity)] if lines is None else lines,
        ttl_seconds=ttl_seconds,
        acting=API,
        held_for=held_for,
        now=now,
    )


def hold_within(row, quantity=1, *, key):
    """A hold in the transaction that is open."""
    return place_hold_within(
        shop_id=row.owner_id,
        hold_id=uuid4(),
        key=key,
        lines=[line(row, quantity)],
        ttl_seconds=60,
        held_for="direct",
        now=NOW,
    )


def counters(*rows):
    """(on hand, held, available) per row."""
    return [StockRow.objects.values_list("on_hand", "held", "available").get(pk=row.pk) for row in rows]

"""Metrics of this app, under the names that dashboards and alert rules rely on. Every one carries the shop."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

_SHOP: Final = ("shop_id",)

HOLDS_CREATED: Final = Counter("inventory_hold_created", "Holds placed.", _SHOP)
HOLDS_COMMITTED: Final = Counter("inventory_hold_committed", "Holds turned into sales.", _SHOP)
HOLDS_RELEASED: Final = Counter("inventory_hold_released", "Holds given back on request.", _SHOP)
HOLDS_EXPIRED: Final = Counter("inventory_hold_expired", "Holds given back because their time was up.", _SHOP)
HOLDS_REPEATED: Final = Counter("inventory_hold_idempotent_hit", "Placements answered with the hold they had.", _SHOP)
# Counted by the checkout, which knows why it releases.
HOLDS_ORPHANED: Final = Counter("inventory_hold_orphaned", "Holds given back after Stripe refused definitively.", _SHOP)
BUSY: Final = Counter("inventory_busy", "Requests that gave up waiting for a lock.", _SHOP)
LOCK_WAIT: Final = Histogram(
    "inventory_lock_wait_seconds",
    "Time a placement queued for its stock rows.",
    _SHOP,
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)

FINISHED: Final = {"committed": HOLDS_COMMITTED, "released": HOLDS_RELEASED, "expired": HOLDS_EXPIRED}

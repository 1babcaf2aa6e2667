"""Metrics of this app, under the names that dashboards and alert rules rely on. Every one carries the shop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from inventory.models import InventoryRun
from tenants.metrics import NO_SHOP

_SHOP: Final = ("shop_id",)

HOLDS_CREATED: Final = Counter("inventory_hold_created", "Holds placed.", _SHOP)
HOLDS_COMBINED: Final = Counter("inventory_hold_combined", "Of these, holds placed together with others.", _SHOP)
HOLDS_COMMITTED: Final = Counter("inventory_hold_committed", "Holds turned into sales.", _SHOP)
HOLDS_RELEASED: Final = Counter("inventory_hold_released", "Holds given back on request.", _SHOP)
HOLDS_EXPIRED: Final = Counter("inventory_hold_expired", "Holds given back because their time was up.", _SHOP)
HOLDS_REPEATED: Final = Counter("inventory_hold_idempotent_hit", "Placements answered with the hold they had.", _SHOP)
# Counted by the checkout, which knows why it releases.
HOLDS_ORPHANED: Final = Counter("inventory_hold_orphaned", "Holds given back after Stripe refused definitively.", _SHOP)
BUSY: Final = Counter("inventory_busy", "Requests that gave up waiting for a lock.", _SHOP)
BUSY_RETRIED: Final = Counter(
    "inventory_busy_retry_success", "Placements that succeeded after the stock had been busy for the caller.", _SHOP
)
ALERTS_RAISED: Final = Counter("inventory_low_stock_alert", "Low-stock alerts raised.", _SHOP)
ALERTS_GIVEN_UP: Final = Counter(
    "inventory_alert_given_up", "Alerts that could not be told after the last try.", (*_SHOP, "channel")
)
CENTRAL_FALLBACK: Final = Counter(
    "inventory_central_fallback", "Times that own stock stood in for a pool's: placements, looks and sales.", _SHOP
)
VALIDATION_FAILURES: Final = Counter(
    "inventory_validation_failure", "Validations that found too little stock or could not ask.", _SHOP
)
LOCK_WAIT: Final = Histogram(
    "inventory_lock_wait_seconds",
    "Time a placement queued for its stock rows.",
    _SHOP,
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)

FINISHED: Final = {"committed": HOLDS_COMMITTED, "released": HOLDS_RELEASED, "expired": HOLDS_EXPIRED}

# What the project's clients send with a repeat: how often the stock was busy before.
BUSY_RETRY_HEADER: Final = "X-Busy-Retry"


def count_busy_retry(headers: Mapping[str, str], *, shop_id: str) -> None:
    """Called once a placement has succeeded. Anybody may send the header: it is counted, nothing is built on it."""
    sent = headers.get(BUSY_RETRY_HEADER, "")
    if sent.isascii() and sent.isdigit() and len(sent) < 3 and int(sent):
        BUSY_RETRIED.labels(shop_id).inc()


class InventoryGauges:
    """What the last runs found, read from the database at scrape time. `-` stands for "of no one shop"."""

    def collect(self) -> Iterator[Metric]:
        reaped = GaugeMetricFamily(
            "reaper_last_success_timestamp_seconds", "When the reaper last finished a run.", labels=_SHOP
        )
        violations = GaugeMetricFamily(
            "stock_invariant_violations", "Stock rows that differ from their history.", labels=_SHOP
        )
        checked = GaugeMetricFamily("stock_rows_checked", "Stock rows that the last proof compared.", labels=_SHOP)
        for run in InventoryRun.objects.order_by("kind", "-finished_at").distinct("kind"):
            if run.kind == InventoryRun.Kind.REAP:
                reaped.add_metric([NO_SHOP], run.finished_at.timestamp())
            else:
                violations.add_metric([NO_SHOP], 0)
                checked.add_metric([NO_SHOP], run.report["rows"])
                for owner_id, count in run.report["drifted"].items():
                    violations.add_metric([owner_id], count)
        yield reaped
        yield violations
        yield checked

"""Counters of this app, by the contract's names."""

from prometheus_client import Counter

STRIPE_ERRORS = Counter(
    "stripe_error_classification_total", "Failed Stripe calls by what is known after them.", ["shop_id", "verdict"]
)
RECONCILIATION_NORMALISED = Counter(
    "reconciliation_normalised_total", "Records in an older form that were translated.", ["shop_id"]
)
RECONCILIATION_RECORDS = Counter("reconciliation_records_total", "Records received.", ["shop_id", "outcome"])

"""Counters of this app, by the contract's names."""

from prometheus_client import Counter

STRIPE_ERRORS = Counter(
    "stripe_error_classification_total", "Failed Stripe calls by what is known after them.", ["shop_id", "verdict"]
)

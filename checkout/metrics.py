"""Counters of the checkout, by the contract's names."""

from prometheus_client import Counter, Histogram

REPRICE_DRIFT = Counter("cart_reprice_drift_total", "Checkouts whose prices had drifted.", ["shop_id", "mode"])
REJECTED_STOCK = Counter("checkout_rejected_stock_total", "Checkouts refused for want of stock.", ["shop_id"])
RATE_LIMITED = Counter("checkout_rate_limited_total", "Checkouts refused because of their number.", ["shop_id"])
CREATE_SECONDS = Histogram("checkout_create_seconds", "From request to answer of a new checkout.", ["shop_id"])
CONFIRMED_SECONDS = Histogram(
    "checkout_payment_to_confirmed_seconds",
    "From Stripe's completion event to the confirmed order.",
    ["shop_id"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
UNCHECKED = Counter("inventory_validation_skipped", "Checkouts under the emergency bypass.", ["shop_id"])
PAID_WITHOUT_STOCK = Counter("checkout_paid_without_stock_total", "Payments whose stock was gone.", ["shop_id"])

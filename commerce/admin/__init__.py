"""The back office's pages of catalog, shipping, taxes, carts and journal. The order's page is registered where its
story ends, in webhooks/admin.py; everything that commerce knows of it is in `orders`. The cart's page is registered in
checkout/cart_admin.py.
"""

from commerce.admin import (
    carts,
    catalog,
    charge_policies,
    charges,
    coupons,
    disputes,
    journal,
    plans,
    reconciliation,
    rentals,
    returns,
    shipping,
    stripe_accounts,
    subscription_notes,
    subscriptions,
    taxes,
    webhook_secrets,
)

__all__ = [
    "carts",
    "catalog",
    "charge_policies",
    "charges",
    "coupons",
    "disputes",
    "journal",
    "plans",
    "reconciliation",
    "rentals",
    "returns",
    "shipping",
    "stripe_accounts",
    "subscription_notes",
    "subscriptions",
    "taxes",
    "webhook_secrets",
]

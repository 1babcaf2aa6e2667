"""What a shop has on, for storefronts that are built elsewhere (S7). Public facts alone: no secret, no person."""

from __future__ import annotations

from typing import Any

from commerce.coupons.models import Coupon
from commerce.gateway.browser import browser_access
from commerce.models import Plan
from commerce.shipping.offers import offered
from tenants.context import ShopContext


def capabilities(*, shop: ShopContext) -> dict[str, Any]:
    """The document of `GET /api/capabilities`. Four queries."""
    policy = shop.policy
    stripe = browser_access(shop)
    rental = policy.kind == "rental"
    return {
        "shopId": shop.shop_id,
        "name": shop.name,
        "kind": policy.kind,
        "currency": policy.currency,
        "currencies": [policy.currency],
        "defaultLocale": policy.default_locale,
        "locales": list(policy.locales),
        "timeZone": policy.time_zone,
        "checkout": {
            "mode": "payment",
            "uiMode": policy.checkout_ui,
            "holdsStock": policy.holds_stock,
            "holdTtlSeconds": policy.hold_ttl_seconds if policy.holds_stock else None,
            "inventoryMode": policy.inventory_mode,
            "repricePolicy": policy.reprice_policy,
            "billingAddress": policy.billing_address,
            "phone": policy.asks_phone,
        },
        "payment": {
            "publishableKey": stripe.publishable_key or None,
            "stripeAccount": stripe.connected or None,
            "script": stripe.script,
        },
        "shipping": offered(shop).exists(),
        "coupons": Coupon.objects.for_shop(shop.shop_id).filter(active=True).exists(),
        "subscriptions": Plan.objects.for_shop(shop.shop_id).filter(active=True).exists(),
        "tax": {
            "mode": policy.tax.mode,
            # Stripe learns the address, and adds or finds the tax, only while the customer pays.
            "knownBeforePayment": policy.tax.mode != "automatic",
        },
        "rental": {
            "deposits": True,
            "depositMode": policy.deposit_mode,
            "minDays": policy.rental.min_days,
            "maxDays": policy.rental.max_days,
            "leadDays": policy.rental.lead_days,
            "horizonDays": policy.rental.horizon_days,
        }
        if rental
        else None,
    }

"""The request that opens a subscription's session. What is built here is stored, then sent exactly as stored."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from checkout.stripe_session import page_locale
from checkout.subscribing.contracts import StartSubscription
from commerce.plans.offers import Terms
from tenants.context import ShopContext

AUTOMATIC = "automatic"


def session_params(
    *,
    shop: ShopContext,
    command: StartSubscription,
    terms: Terms,
    price_id: str,
    tax_rate: str,
    attempt_id: UUID,
    expires_at: datetime,
) -> dict[str, Any]:
    """Parameters of `checkout.sessions.create` in subscription mode. Metadata names the shop, on the session and on the
    subscription, whose invoices carry it along (W3). `tax_rate`: the shop's own rate at Stripe, empty for none.

    Source: Stripe's API 2026-10-28.endive, Create a Checkout Session.
    """
    metadata = {
        "shop_id": shop.shop_id,
        "request_id": shop.request_id,
        "plan_code": terms.code,
        "subscribe_id": str(attempt_id),
        "rentalDays": "0",
        "depositTotal": "0",
    }
    line: dict[str, Any] = {"price": price_id, "quantity": command.quantity}
    subscription: dict[str, Any] = {"metadata": dict(metadata)}
    if terms.trial_days:
        subscription["trial_period_days"] = terms.trial_days
    if tax_rate:
        subscription["default_tax_rates"] = [tax_rate]
    params: dict[str, Any] = {
        "mode": "subscription",
        "ui_mode": shop.policy.checkout_ui,
        "client_reference_id": str(attempt_id),
        "customer_email": command.email,
        "expires_at": int(expires_at.timestamp()),
        "line_items": [line],
        "metadata": metadata,
        "subscription_data": subscription,
        # The customer pays what the plan says, in the currency it says.
        "adaptive_pricing": {"enabled": False},
        "locale": page_locale(command.locale),
        "billing_address_collection": shop.policy.billing_address,
    }
    if shop.policy.tax.mode == AUTOMATIC:
        params["automatic_tax"] = {"enabled": True}
    if shop.policy.checkout_ui == "hosted_page":
        return params | {"success_url": command.success_url, "cancel_url": command.cancel_url}
    return params | {"return_url": command.success_url}


def client_digest(command: StartSubscription) -> str:
    """Of what a client sent under its own key: what the plan costs is never the client's to say."""
    return _digest([command.plan_code, command.customer, command.quantity, command.coupon_code, command.locale])


def intent_digest(*, shop: ShopContext, command: StartSubscription, terms: Terms, account: str) -> str:
    """Of everything that would make it another session if it changed."""
    return _digest(
        [
            client_digest(command), str(terms.version_id), account, shop.policy.checkout_ui, shop.policy.tax.mode,
            command.success_url, command.cancel_url,
        ]
    )  # fmt: skip


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()

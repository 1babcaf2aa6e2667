"""The one builder of Checkout Session parameters. What it returns is stored, then sent exactly as stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from checkout.contracts import StartCheckout
from checkout.repricing import Quote
from commerce.money import stripe_amount
from tenants.context import ShopContext

# Stripe wants at least 30 minutes of life at creation. The stored request must be valid all through the hold, because
# the resolver may have to send it again; five minutes are left for clocks that differ and requests that queue.
LIFE_BEYOND_HOLD = timedelta(minutes=35)
MINIMUM_LIFE = timedelta(minutes=30)

# What Stripe's page speaks; anything else is refused.
# Source: Stripe's API 2026-10-28.endive, Create a Checkout Session.
PAGE_LOCALES = frozenset(
    {
        "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN", "hr",
        "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl",
        "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
    }
)  # fmt: skip


def page_locale(locale: str) -> str:
    """What to ask of Stripe's page for a shop's locale: that, else its language, else what the browser prefers."""
    return next((known for known in (locale, locale.partition("-")[0]) if known in PAGE_LOCALES), "auto")


def session_expiry(*, created_at: datetime, hold_ttl_seconds: int) -> datetime:
    """When the session stops being payable by itself, in whole seconds; computed once per attempt and stored."""
    return (created_at + timedelta(seconds=hold_ttl_seconds) + LIFE_BEYOND_HOLD).replace(microsecond=0)


def session_params(
    *,
    shop: ShopContext,
    command: StartCheckout,
    quote: Quote,
    attempt_id: UUID,
    order_id: UUID,
    hold_id: UUID | None,
    expires_at: datetime,
) -> dict[str, Any]:
    """Parameters of `checkout.sessions.create`. Prices are the quote's; metadata names shop, order and hold (W3).

    Source: Stripe's API 2026-10-28.endive, Create a Checkout Session.
    """
    metadata = {
        "shop_id": shop.shop_id,
        "order_id": str(order_id),
        "request_id": shop.request_id,
        "rentalDays": "0",
        "depositTotal": "0",
    }
    if hold_id is not None:
        metadata["inventory_reservation_id"] = str(hold_id)
    params: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": shop.policy.checkout_ui,
        "client_reference_id": str(attempt_id),
        "expires_at": int(expires_at.timestamp()),
        "line_items": [
            _line_item(line.title, line.variant_key, line.unit_amount, line.quantity, quote.currency)
            for line in quote.lines
        ],
        "metadata": metadata,
        "payment_intent_data": {"metadata": dict(metadata)},
        # The customer pays what the catalog says, in the currency it says.
        "adaptive_pricing": {"enabled": False},
        "locale": page_locale(command.locale),
    }
    if shop.policy.checkout_ui == "hosted_page":
        params |= {"success_url": command.success_url, "cancel_url": command.cancel_url}
    else:
        params["return_url"] = command.success_url
    if command.email:
        params["customer_email"] = command.email
    return params


def _line_item(title: str, variant_key: str, unit_amount: int, quantity: int, currency: str) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "price_data": {
            "currency": currency.lower(),
            "unit_amount": stripe_amount(unit_amount, currency),
            "product_data": {"name": title, "metadata": {"variant_key": variant_key}},
        },
    }

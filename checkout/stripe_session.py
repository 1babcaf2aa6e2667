"""The one builder of Checkout Session parameters. What it returns is stored, then sent exactly as stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext, override

from checkout.contracts import StartCheckout
from checkout.coupons import coupon_id
from checkout.repricing import LONGEST_TITLE, Quote, QuoteLine
from checkout.taxes import AUTOMATIC, QuotedTax
from commerce.money import stripe_amount
from tenants.context import ShopContext

# Stripe wants at least 30 minutes of life at creation. The stored request must be valid all through the hold, because
# the resolver may have to send it again; five minutes are left for clocks that differ and requests that queue.
LIFE_BEYOND_HOLD = timedelta(minutes=35)
MINIMUM_LIFE = timedelta(minutes=30)

# As many as one session takes in payment mode, and the code of what no tax is due on: a deposit is nobody's income.
# Source: Stripe's API 2026-10-28.endive, Create a Checkout Session; Stripe Tax, product tax codes.
MOST_LINE_ITEMS = 100
NOT_TAXABLE, TAXED_AS_SHIPPING = "txcd_00000000", "txcd_92010001"

# What Stripe's page speaks; anything else is refused.
# Source: Stripe's API 2026-10-28.endive, Create a Checkout Session.
PAGE_LOCALES = frozenset(
    {
        "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hi-IN", "hr",
        "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl",
        "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
    }
)  # fmt: skip


# Our names of an address's parts, and Stripe's.
ADDRESS_PARTS = {
    "line1": "line1", "line2": "line2", "city": "city", "state": "state", "postalCode": "postal_code",
    "country": "country",
}  # fmt: skip


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
        # Of several rentals the longest. Our minor units, which Stripe's are not in every currency.
        "rentalDays": str(quote.rental_days),
        "depositTotal": str(quote.deposits),
    }
    if hold_id is not None:
        metadata["inventory_reservation_id"] = str(hold_id)
    params: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": shop.policy.checkout_ui,
        "client_reference_id": str(attempt_id),
        "expires_at": int(expires_at.timestamp()),
        "line_items": _line_items(shop, command, quote),
        "metadata": metadata,
        "payment_intent_data": {"metadata": dict(metadata), **_recipient(command, quote)},
        # The customer pays what the catalog says, in the currency it says.
        "adaptive_pricing": {"enabled": False},
        "locale": page_locale(command.locale),
        "billing_address_collection": shop.policy.billing_address,
    }
    if shop.policy.asks_phone:
        params["phone_number_collection"] = {"enabled": True}
    if shop.policy.payment_note and shop.policy.checkout_ui != "elements":
        params["custom_text"] = {"submit": {"message": shop.policy.payment_note}}
    if shop.policy.checkout_ui == "hosted_page":
        params |= {"success_url": command.success_url, "cancel_url": command.cancel_url}
    else:
        params["return_url"] = command.success_url
    if keeps_card(shop, quote):
        # Stripe's page says so to the customer; without a customer nothing could be charged again.
        params["customer_creation"] = "always"
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    if command.email:
        params["customer_email"] = command.email
    if quote.coupon is not None:
        params["discounts"] = [{"coupon": coupon_id(attempt_id)}]
    if _left_to_stripe(quote):
        params["automatic_tax"] = {"enabled": True}
    return params | _shipping(command, quote)


def keeps_card(shop: ShopContext, quote: Quote) -> bool:
    """Whether the session saves its card. One without a payment has no intent that could."""
    return shop.policy.keeps_card and quote.total > 0


def _left_to_stripe(quote: Quote) -> bool:
    return quote.tax is not None and quote.tax.mode == AUTOMATIC


def _shipping(command: StartCheckout, quote: Quote) -> dict[str, Any]:
    """The chosen way to ship, as the only one: what the customer could switch to would not be what the order says.

    An address that we have goes along in `payment_intent_data`, see session_params; else Stripe asks for one, in the
    countries that the option goes to.
    """
    if (offer := quote.shipping) is None:
        return {}
    rate: dict[str, Any] = {
        "type": "fixed_amount",
        "display_name": offer.name,
        "fixed_amount": {
            "amount": stripe_amount(offer.amount, offer.currency),
            "currency": offer.currency.lower(),
        },
        "metadata": {"shipping_option_id": str(offer.option_id)},
    }
    if offer.days is not None:
        least, most = ({"unit": "business_day", "value": days} for days in offer.days)
        rate["delivery_estimate"] = {"minimum": least, "maximum": most}
    wanted: dict[str, Any] = {"shipping_options": [{"shipping_rate_data": rate}]}
    if quote.tax is not None and quote.tax.mode == AUTOMATIC:
        rate |= {"tax_behavior": _behavior(quote.tax), "tax_code": TAXED_AS_SHIPPING}
    if countries := _asked_countries(command, quote):
        wanted["shipping_address_collection"] = {"allowed_countries": list(countries)}
    return wanted


def _asked_countries(command: StartCheckout, quote: Quote) -> Sequence[str]:
    """Where an address may be that Stripe asks for; none where it asks for none.

    Stripe's tax follows what is typed into its form, and only that: then the address we have just says the country.
    """
    if quote.shipping is None or not quote.shipping.countries:
        return ()
    sent = command.shipping_address
    if sent is not None:
        return (sent["country"],) if _left_to_stripe(quote) else ()
    return quote.tax.countries if quote.tax is not None and quote.tax.countries else quote.shipping.countries


def _recipient(command: StartCheckout, quote: Quote) -> dict[str, Any]:
    """`payment_intent_data.shipping`, which Stripe takes only with a name and refuses beside an address collection."""
    sent = command.shipping_address or {}
    name = sent.get("name") or command.email
    if not sent or not name or _asked_countries(command, quote):
        return {}
    address = {theirs: sent[ours] for ours, theirs in ADDRESS_PARTS.items() if sent.get(ours)}
    return {"shipping": {"name": name, "address": address} | ({"phone": sent["phone"]} if sent.get("phone") else {})}


def _line_items(shop: ShopContext, command: StartCheckout, quote: Quote) -> list[dict[str, Any]]:
    """Goods, taxed as the quote says, and deposits, which are taxed nowhere."""
    goods = [_line_item(line, quote.currency) for line in quote.lines]
    deposits = _deposits(quote, command.locale)
    tax = quote.tax
    if tax is not None and tax.mode == AUTOMATIC:
        for item in (*goods, *deposits):
            item["price_data"]["tax_behavior"] = _behavior(tax)
        for item, line in zip(goods, quote.lines, strict=True):
            if code := line.tax_code or shop.policy.tax.code:
                item["price_data"]["product_data"]["tax_code"] = code
    elif tax is not None and tax.stripe_id:
        for item in goods:
            item["tax_rates"] = [tax.stripe_id]
    return [*goods, *deposits]


def _behavior(tax: QuotedTax) -> str:
    return "inclusive" if tax.inclusive else "exclusive"


def _line_item(line: QuoteLine, currency: str) -> dict[str, Any]:
    product: dict[str, Any] = {"name": line.title, "metadata": {"variant_key": line.variant_key}}
    if line.rental is not None:
        # As ISO 8601 writes an interval: the customer's language is the page's, not ours to guess per line.
        product["description"] = f"{line.rental_start} – {line.rental_end}"
    return _priced(product, line.unit_amount, line.quantity, currency)


def _deposits(quote: Quote, locale: str) -> list[dict[str, Any]]:
    """Line items of their own, so that receipt, refund and tax tell them from what is earned: one per line, or a single
    one where Stripe wouldn't take so many.
    """
    charged = [line for line in quote.lines if line.deposit_amount and not quote.authorises_deposits]
    with override(locale):
        if len(quote.lines) + len(charged) > MOST_LINE_ITEMS:
            return [_priced(_deposit(gettext("Deposits, refundable")), quote.deposit, 1, quote.currency)]
        return [
            _priced(
                _deposit(gettext("Deposit, refundable: {title}").format(title=line.title)),
                line.deposit_amount,
                line.quantity,
                quote.currency,
            )
            for line in charged
        ]


def _deposit(name: str) -> dict[str, Any]:
    return {"name": name[:LONGEST_TITLE], "tax_code": NOT_TAXABLE, "metadata": {"deposit": "true"}}


def _priced(product: dict[str, Any], unit_amount: int, quantity: int, currency: str) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "price_data": {
            "currency": currency.lower(),
            "unit_amount": stripe_amount(unit_amount, currency),
            "product_data": product,
        },
    }

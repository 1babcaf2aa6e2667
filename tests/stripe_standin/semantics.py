"""Rules that Stripe's documentation states and the SDK's types can't: limits, currency steps, fields that exclude
each other. Everything here runs after the shape was found right, on values of the right types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from . import money
from .errors import Json

Finding = tuple[str, str, str]  # param, code, message
Rule = Callable[[Json, int], Iterable[Finding]]

MOST_CUSTOM_TEXT = 1200
SESSION_MIN_SECONDS = 30 * 60
SESSION_MAX_SECONDS = 24 * 60 * 60
# Which ui_mode refuses a parameter that others take.
REFUSED_BY_UI_MODE = {
    "success_url": {"embedded_page", "elements"},
    "cancel_url": {"embedded_page", "elements"},
    "return_url": {"hosted_page"},
    "redirect_on_completion": {"hosted_page", "elements"},
    "after_expiration": {"elements"},
    "custom_fields": {"elements"},
    "custom_text": {"elements"},
    "submit_type": {"elements"},
    "branding_settings": {"elements"},
    "optional_items": {"elements", "form"},
}
MOST_TRIAL_DAYS = 730
CHECKOUT_TRIAL_SECONDS = 48 * 60 * 60
ONLY_IN_MODE = {
    "payment_intent_data": "payment", "subscription_data": "subscription", "setup_intent_data": "setup",
    "invoice_creation": "payment", "shipping_options": "payment",
}  # fmt: skip


def findings(endpoint: str, body: Json, now: int) -> Iterator[Finding]:
    for rule in RULES.get(endpoint, ()):
        yield from rule(body, now)
    yield from _metadata(body)
    yield from _addresses(body)
    if endpoint.endswith(".list"):
        yield from _listing(body)


def _metadata(body: Json, path: str = "") -> Iterator[Finding]:
    for key, value in body.items():
        here = f"{path}[{key}]" if path else key
        if key == "metadata" and isinstance(value, dict):
            yield from _metadata_map(value, here)
        elif isinstance(value, dict):
            yield from _metadata(value, here)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _metadata(item, f"{here}[{position}]")


def _metadata_map(values: Json, path: str) -> Iterator[Finding]:
    if len(values) > 50:
        yield path, "parameter_invalid", "Metadata can have up to 50 keys."
    for key, value in values.items():
        if len(key) > 40 or "[" in key or "]" in key:
            yield f"{path}[{key}]", "parameter_invalid", "A metadata key has up to 40 characters, no square brackets."
        if len(str(value)) > 500:
            yield f"{path}[{key}]", "parameter_invalid", "A metadata value has up to 500 characters."


def _listing(body: Json) -> Iterator[Finding]:
    if not 1 <= body.get("limit", 10) <= 100:
        yield "limit", "parameter_invalid_integer", "limit must lie between 1 and 100."
    if "starting_after" in body and "ending_before" in body:
        yield "ending_before", "parameter_invalid", "Only one of starting_after, ending_before can be sent."


def _amount(currency: str, amount: int, path: str) -> Iterator[Finding]:
    code = currency.lower()
    if code not in money.SUPPORTED:
        yield path, "parameter_invalid", f"Invalid currency: {code}."
    if amount < 0:
        yield path, "parameter_invalid_integer", "An amount can't be negative."
    if amount % money.step(code):
        yield path, "parameter_invalid_integer", f"{code} amounts must be a multiple of {money.step(code)}."
    if len(str(abs(amount))) > money.max_digits(code):
        yield path, "amount_too_large", f"An amount in {code} has at most {money.max_digits(code)} digits."


def _exactly_one(body: Json, first: str, second: str, path: str) -> Iterator[Finding]:
    if (body.get(first) is None) == (body.get(second) is None):
        yield f"{path}[{first}]", "parameter_missing", f"Exactly one of {first}, {second} must be sent in {path}."


def _addresses(body: Json) -> Iterator[Finding]:
    for key in ("success_url", "cancel_url", "return_url"):
        parts = urlsplit(body.get(key) or "https://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield key, "url_invalid", "Not a valid URL"
    for key in ("customer_email", "email", "receipt_email"):
        if body.get(key) and not re.fullmatch(r"[^@\s]+@[^@\s]+", body[key]):
            yield key, "email_invalid", f"Invalid email address: {body[key]}"


def _session(body: Json, now: int) -> Iterator[Finding]:
    mode, ui_mode = body.get("mode"), body.get("ui_mode", "hosted_page")
    if not mode:
        yield "mode", "parameter_missing", "Missing required param: mode."
    if ui_mode == "hosted_page" and not body.get("success_url"):
        yield "success_url", "parameter_missing", "Missing required param: success_url."
    for key, refusing in REFUSED_BY_UI_MODE.items():
        if key in body and ui_mode in refusing:
            yield key, "parameter_invalid", f"{key} can't be sent with ui_mode={ui_mode}."
    for key, only in ONLY_IN_MODE.items():
        if key in body and mode and mode != only:
            yield key, "parameter_invalid", f"{key} can only be sent with mode={only}."
    if "customer_creation" in body and mode == "subscription":
        yield "customer_creation", "parameter_invalid", "customer_creation can't be sent with mode=subscription."
    yield from _trial(body.get("subscription_data") or {}, "subscription_data", now)
    if body.get("customer") and body.get("customer_email"):
        yield "customer_email", "parameter_invalid", "Only one of customer, customer_email can be sent."
    if len(body.get("client_reference_id", "")) > 200:
        yield "client_reference_id", "parameter_invalid", "client_reference_id has up to 200 characters."
    for name, text in (body.get("custom_text") or {}).items():
        if isinstance(text, dict) and len(text["message"]) > MOST_CUSTOM_TEXT:
            yield f"custom_text[{name}][message]", "parameter_invalid", "A custom text has up to 1200 characters."
    expires_at = body.get("expires_at")
    if expires_at is not None and not now + SESSION_MIN_SECONDS <= expires_at <= now + SESSION_MAX_SECONDS:
        yield "expires_at", "parameter_invalid", "expires_at must lie 30 minutes to 24 hours after the creation."
    yield from _session_offers(body)
    yield from _session_lines(body, mode)


def _trial(data: Json, path: str, now: int) -> Iterator[Finding]:
    def param(name: str) -> str:
        return f"{path}[{name}]" if path else name

    if "trial_end" in data and "trial_period_days" in data:
        yield param("trial_end"), "parameter_invalid", "Only one of trial_end, trial_period_days can be sent."
    if not 1 <= data.get("trial_period_days", 1) <= MOST_TRIAL_DAYS:
        yield param("trial_period_days"), "parameter_invalid_integer", "A trial lasts 1 to 730 days."
    end = data.get("trial_end")
    soonest = now + CHECKOUT_TRIAL_SECONDS if path else now
    if isinstance(end, int) and end < soonest:
        least = "at least 48 hours" if path else "some time"
        yield param("trial_end"), "parameter_invalid", f"trial_end must lie {least} in the future."


def _session_offers(body: Json) -> Iterator[Finding]:
    if len(body.get("discounts") or []) > 1:
        yield "discounts", "parameter_invalid", "A session takes one discount."
    if body.get("discounts") and body.get("allow_promotion_codes"):
        yield "allow_promotion_codes", "parameter_invalid", "Only one of discounts, allow_promotion_codes can be sent."
    options = body.get("shipping_options", [])
    if len(options) > 5:
        yield "shipping_options", "parameter_invalid", "A session takes up to 5 shipping options."
    for position, option in enumerate(options):
        path = f"shipping_options[{position}]"
        yield from _exactly_one(option, "shipping_rate", "shipping_rate_data", path)
        fixed = option.get("shipping_rate_data", {}).get("fixed_amount")
        if fixed:
            yield from _amount(fixed["currency"], fixed["amount"], f"{path}[shipping_rate_data][fixed_amount][amount]")


def _session_lines(body: Json, mode: object) -> Iterator[Finding]:
    lines: list[Any] = body.get("line_items", [])
    if mode in ("payment", "subscription") and not lines:
        yield "line_items", "parameter_missing", "Missing required param: line_items."
    if len(lines) > 100:
        yield "line_items", "parameter_invalid", "A session takes up to 100 line items."
    for position, line in enumerate(lines):
        path = f"line_items[{position}]"
        yield from _exactly_one(line, "price", "price_data", path)
        if line.get("quantity", 1) < 1:
            yield f"{path}[quantity]", "parameter_invalid_integer", "quantity must be at least 1."
        price = line.get("price_data")
        if price:
            yield from _price(price, f"{path}[price_data]")
            yield from _exactly_one(price, "product", "product_data", f"{path}[price_data]")


def _price(price: Json, path: str) -> Iterator[Finding]:
    prefix = f"{path}[unit_amount]" if path else "unit_amount"
    if path:
        yield from _exactly_one(price, "unit_amount", "unit_amount_decimal", path)
    if "unit_amount" in price:
        yield from _amount(price["currency"], price["unit_amount"], prefix)


def _refund(body: Json, now: int) -> Iterator[Finding]:
    if not body.get("charge") and not body.get("payment_intent"):
        yield "payment_intent", "parameter_missing", "One of charge, payment_intent must be sent."
    if body.get("charge") and body.get("payment_intent"):
        yield "charge", "parameter_invalid", "Only one of charge, payment_intent can be sent."
    if "amount" in body and body["amount"] < 1:
        yield "amount", "parameter_invalid_integer", "amount must be at least 1."


def _payment_intent(body: Json, now: int) -> Iterator[Finding]:
    if body["amount"] < 1:
        yield "amount", "parameter_invalid_integer", "amount must be at least 1."
    yield from _amount(body["currency"], body["amount"], "amount")
    confirms = body.get("confirm")
    if "off_session" in body and not confirms:
        yield "off_session", "parameter_invalid", "off_session can only be sent with confirm=true."
    if confirms and not body.get("payment_method"):
        yield "payment_method", "parameter_missing", "confirm=true needs a payment_method."


def _coupon(body: Json, now: int) -> Iterator[Finding]:
    if (body.get("amount_off") is None) == (body.get("percent_off") is None):
        yield "percent_off", "parameter_missing", "Exactly one of amount_off, percent_off must be sent."
    if body.get("amount_off") is not None:
        if not body.get("currency"):
            yield "currency", "parameter_missing", "amount_off needs a currency."
        if body["amount_off"] < 1:
            yield "amount_off", "parameter_invalid_integer", "amount_off must be at least 1."
        yield from _amount(body.get("currency") or "usd", body["amount_off"], "amount_off")
    if len(body.get("name") or "") > 40:
        yield "name", "parameter_invalid", "A coupon's name has up to 40 characters."
    if body.get("percent_off") is not None and not 0 < body["percent_off"] <= 100:
        yield "percent_off", "parameter_invalid", "percent_off must be above 0 and at most 100."
    if body.get("duration") == "repeating" and not body.get("duration_in_months"):
        yield "duration_in_months", "parameter_missing", "duration=repeating needs duration_in_months."


def _subscription_update(body: Json, now: int) -> Iterator[Finding]:
    yield from _trial(body, "", now)
    if len(body.get("discounts") or []) > 1:
        yield "discounts", "parameter_invalid", "The stand-in gives a subscription one discount."
    for position, item in enumerate(body.get("items", [])):
        if item.get("quantity", 0) < 0:
            yield f"items[{position}][quantity]", "parameter_invalid_integer", "quantity can't be negative."


def _events(body: Json, now: int) -> Iterator[Finding]:
    if "type" in body and "types" in body:
        yield "types", "parameter_invalid", "Only one of type, types can be sent."
    if len(body.get("types", [])) > 20:
        yield "types", "parameter_invalid", "types takes up to 20 names."


RULES: dict[str, tuple[Rule, ...]] = {
    "checkout.sessions.create": (_session,),
    "refunds.create": (_refund,),
    "payment_intents.create": (_payment_intent,),
    "coupons.create": (_coupon,),
    "subscriptions.create": (lambda body, now: _trial(body, "", now),),
    "subscriptions.update": (_subscription_update,),
    "prices.create": (lambda body, now: _price(body, ""),),
    "events.list": (_events,),
}

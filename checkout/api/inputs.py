"""Shape of a checkout request. Prices in it are what the browser showed, never what is charged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from msgspec import Meta

from checkout.contracts import SeenPrices, StartCheckout, WantedLine
from checkout.errors import CouponRejected
from checkout.return_urls import cancel_url, success_url
from commerce.api.inputs import Rental, check_rental
from commerce.coupons.codes import canonical
from commerce.coupons.terms import Refusal
from inventory.variants import variant_key
from tenants.context import ShopContext
from tenants.errors import InvalidRequest

Text = Annotated[str, Meta(max_length=200)]
Amount = Annotated[int, Meta(ge=0, le=10**12)]
CLIENT_KEY = re.compile(r"\A[\x21-\x7e]{1,255}\Z")


class ItemInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity: Annotated[int, Meta(ge=1, le=999)]
    variant_attributes: Annotated[dict[str, Text], Meta(max_length=20)] = {}
    rental: Rental | None = None


class ExpectedLineInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    unit_amount: Amount


class AddressInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    line1: Text
    city: Text
    postal_code: Text
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    name: Text = ""
    line2: Text = ""
    state: Text = ""
    phone: Text = ""


class StartCheckoutInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    email: Annotated[str, Meta(max_length=254)] | None = None
    shipping_option_id: UUID | None = None
    shipping_address: AddressInput | None = None
    coupon_code: Text | None = None
    locale: Annotated[str, Meta(max_length=12)] | None = None
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    cancel_url: Annotated[str, Meta(max_length=2000)] | None = None
    expected_amount: Amount | None = None
    expected_lines: Annotated[list[ExpectedLineInput], Meta(max_length=100)] = []
    items: Annotated[list[ItemInput], Meta(min_length=1, max_length=100)] | None = None


def to_command(
    *, shop: ShopContext, body: StartCheckoutInput, client_key: str | None, cart_id: UUID | None
) -> StartCheckout:
    """The command behind a request. Raises InvalidRequest with the field, CouponRejected for an unknown code."""
    if client_key is not None and not CLIENT_KEY.match(client_key):
        raise InvalidRequest(
            "Idempotency-Key must be 1 to 255 visible ASCII characters.", {"Idempotency-Key": ["Malformed."]}
        )
    if body.items is not None and client_key is None:
        raise InvalidRequest("`items` needs an Idempotency-Key header.", {"Idempotency-Key": ["Required with items."]})
    locale = body.locale or shop.policy.default_locale
    if locale not in shop.policy.locales:
        raise InvalidRequest(
            "The shop doesn't speak this locale.", {"locale": [f"One of {', '.join(shop.policy.locales)}."]}
        )
    return StartCheckout(
        cart_id=cart_id,
        items=None if body.items is None else wanted_lines(body.items, kind=shop.policy.kind),
        client_key=client_key,
        seen=SeenPrices(by_sku={e.sku: e.unit_amount for e in body.expected_lines}, subtotal=body.expected_amount),
        email=valid_email(body.email),
        locale=locale,
        shipping_option_id=body.shipping_option_id,
        shipping_address=_address(body.shipping_address),
        coupon_code=_coupon(body.coupon_code),
        success_url=success_url(shop, body.return_url, locale),
        cancel_url=cancel_url(shop, body.cancel_url, locale),
    )


def wanted_lines(items: list[ItemInput], *, kind: str) -> tuple[WantedLine, ...]:
    """Duplicate lines are summed, as everywhere; of a rental, those of one period."""
    lines: dict[tuple[object, ...], WantedLine] = {}
    for number, item in enumerate(items):
        check_rental(item.rental, kind=kind, path=f"items[{number}].rental")
        try:
            key = variant_key(item.sku, item.variant_attributes)
        except ValueError as error:
            raise InvalidRequest("A SKU or its attributes are malformed.", {"items": [str(error)]}) from error
        start, end = (item.rental.start, item.rental.end) if item.rental else (None, None)
        earlier = lines.get((key, start, end))
        quantity = item.quantity + (earlier.quantity if earlier else 0)
        if quantity > 999:
            raise InvalidRequest("Too many units of one product.", {"items": [f"More than 999 of {item.sku}."]})
        lines[key, start, end] = WantedLine(item.sku, key, quantity, {}, start, end, None, "")
    return tuple(lines.values())


def valid_email(value: str | None) -> str:
    if not value:
        return ""
    try:
        validate_email(value)
    except ValidationError as error:
        raise InvalidRequest("The e-mail address is not valid.", {"email": ["Not an e-mail address."]}) from error
    return value


def _coupon(typed: str | None) -> str:
    """The code in its one spelling; an empty field is none. What can't be a code is unknown without a look."""
    if not typed or not typed.strip():
        return ""
    code = canonical(typed)
    if code is None:
        raise CouponRejected(Refusal.UNKNOWN)
    return code


def _address(value: AddressInput | None) -> Mapping[str, str] | None:
    if value is None:
        return None
    address: dict[str, Any] = msgspec.to_builtins(value)
    return address

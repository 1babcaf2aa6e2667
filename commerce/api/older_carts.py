"""Carts in the older, hydrated format: read once, kept as identifiers and quantities, written anew (C2, C4).

The older cart carried titles, pictures and prices with each line. Only SKU, variant, quantity, options and period are
taken over. A price in it is never charged: it is the price shown last, so that the answer can tell that it changed.
The document's shape, and both ways it comes here, are in docs/migrating-carts.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final, TypeAlias
from uuid import UUID, uuid5

import msgspec
import structlog
from django.conf import settings
from msgspec import Meta, Struct

from commerce.api.inputs import Rental, Sku, SmallMap, check_rental
from commerce.cart import carts, notices
from commerce.cart.lines import MAX_LINES, MAX_QUANTITY, CartSnapshot, NewLine
from commerce.cart.metrics import CARTS_MIGRATED, LINES_DROPPED
from commerce.cart.notices import Notice
from commerce.cart.redis_lines import with_redis
from commerce.catalog.lookup import items_by_key
from commerce.money import MoneyError, require_minor, to_minor
from inventory.variants import MalformedVariant, complete_key, variant_key
from tenants.context import ShopContext
from tenants.errors import InvalidRequest

log = structlog.get_logger(__name__)

# A hundred lines with long addresses of pictures stay below; whatever is longer was not written by a cart.
LONGEST: Final = 128 * 1024
# Not signed, so nothing that could be guessed is believed: a UUID or as many random characters.
OLDER_ID: Final = re.compile(r"[A-Za-z0-9_-]{20,64}")
NAMESPACE: Final = UUID("6d3b6f0e-9f0c-4b60-9d0e-3f0a4f8f5c11")

# What is read and not believed.
Shown: TypeAlias = Annotated[str, Meta(max_length=2000)] | int | float | bool | None


class OlderLine(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """The first six members count, the price for telling alone; the rest was for pages."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    variant_key: Annotated[str, Meta(max_length=255)] = ""
    variant_attributes: SmallMap = {}
    options: SmallMap = {}
    rental: Rental | None = None
    unit_amount: Shown = None
    price: Shown = None
    currency: Shown = None
    id: Shown = None
    title: Shown = None
    name: Shown = None
    description: Shown = None
    image: Shown = None
    image_url: Shown = None
    url: Shown = None
    slug: Shown = None
    line_total: Shown = None
    deposit: Shown = None
    available: Shown = None


class OlderCart(Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    items: Annotated[list[OlderLine], Meta(max_length=MAX_LINES)]
    version: Shown = None
    id: Shown = None
    currency: Shown = None
    subtotal: Shown = None
    total: Shown = None
    created_at: Shown = None
    updated_at: Shown = None


def older_lines(*, shop: ShopContext, cart: OlderCart, locale: str) -> tuple[list[NewLine], list[Notice]]:
    """The lines to keep, equal ones not yet summed, and a notice for each that names nothing in the catalog or can't be
    sold by this kind of shop. One query. A product that rests is kept, as carts keep it.
    """
    keys = [_key(line, shop) for line in cart.items]
    found = items_by_key(shop_id=shop.shop_id, variant_keys=[key for key in keys if key], locale=locale)
    lines, dropped = [], []
    for line, key in zip(cart.items, keys, strict=True):
        item = found.get(key)
        if item is None:
            dropped.append(notices.line_dropped(line.sku, line.quantity))
            LINES_DROPPED.labels(shop_id=shop.shop_id).inc()
            log.warning("older_cart_line_dropped", sku=line.sku, quantity=line.quantity)
            continue
        currency = line.currency or cart.currency or shop.policy.currency
        shown = _shown_amount(line, currency)
        start, end = (line.rental.start, line.rental.end) if line.rental else (None, None)
        lines.append(
            NewLine(
                sku=item.sku,
                variant_key=item.variant_key,
                quantity=line.quantity,
                options=line.options,
                rental_start=start,
                rental_end=end,
                shown_amount=shown,
                shown_currency=str(currency) if shown is not None else "",
            )
        )
    return lines, dropped


def take_over(*, shop: ShopContext, older_id: str, locale: str) -> tuple[CartSnapshot | None, Sequence[Notice]]:
    """The cart that Redis has under the older key, as a cart of ours, and what to tell of it. The older document is
    deleted once its lines are kept; the new cart's id follows from the older one, so doing it again, or twice at once,
    changes nothing. None when there is no such document; one that can't be read stays where it is, for people.

    Raises CartsUnavailable.
    """
    if not OLDER_ID.fullmatch(older_id):
        return None, ()
    key = f"{settings.CART_OLDER_KEY_PREFIX}:{shop.shop_id}:{older_id}"
    data = with_redis(lambda client: client.getrange(key, 0, LONGEST))
    if not data or not isinstance(data, bytes):
        return None, ()
    try:
        document = _document(data)
        lines, told = older_lines(shop=shop, cart=document, locale=locale)
        cart_id = uuid5(NAMESPACE, f"{shop.shop_id}:{older_id}")
        cart = carts.adopt_lines(shop_id=shop.shop_id, cart_id=cart_id, lines=lines)
    except InvalidRequest as error:
        log.error("older_cart_unreadable", key=key, reason=error.detail, bytes=len(data))
        return None, (notices.OLDER_UNREADABLE,)
    with_redis(lambda client: client.delete(key))
    CARTS_MIGRATED.labels(shop_id=shop.shop_id).inc()
    log.info("older_cart_taken_over", cart_id=str(cart.cart_id), lines=len(cart.lines), dropped=len(told))
    return cart, told


def _document(data: bytes) -> OlderCart:
    if len(data) > LONGEST:
        raise InvalidRequest("It is too long.")
    try:
        return msgspec.json.decode(data, type=OlderCart, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(str(error)[:200]) from error


def _key(line: OlderLine, shop: ShopContext) -> str:
    """The line's canonical key; empty where it can have none here."""
    try:
        check_rental(line.rental, kind=shop.policy.kind, path="rental")
        named = complete_key(line.sku, line.variant_key)
        described = variant_key(line.sku, line.variant_attributes)
    except (MalformedVariant, InvalidRequest):
        return ""
    if line.variant_key and line.variant_attributes and named != described:
        return ""
    return named if line.variant_key else described


def _shown_amount(line: OlderLine, currency: object) -> int | None:
    """The price last shown in minor units, where the document says it without doubt; else none was."""
    amount: int | None = None
    with suppress(MoneyError):
        if line.unit_amount is not None:
            amount = require_minor(line.unit_amount)
        elif line.price is not None and not isinstance(line.price, bool):
            # Text, because a float's shortest spelling is what its writer meant, and its binary value isn't.
            amount = to_minor(str(line.price), str(currency))
    return amount if amount is not None and amount >= 0 else None

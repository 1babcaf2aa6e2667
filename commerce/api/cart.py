"""`/api/cart`: the customer's cart, found by its cookie on the shop's host (C2, C3)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commerce.api.inputs import AddLine, RemoveLine, ReplaceLines, SetQuantity, check_period, check_rental
from commerce.api.older_carts import OlderCart, older_lines, take_over
from commerce.cart import carts, cookie, hydration
from commerce.cart.errors import CartBusy, CartsUnavailable
from commerce.cart.lines import CartSnapshot, NewLine
from commerce.cart.notices import LINES_LOST, Notice
from commerce.catalog.lookup import WantedVariant, resolve_variants
from commerce.catalog.pricing import unit_amount
from commerce.rentals.periods import shop_today
from commerce.shipping.offers import ShippingOffer
from inventory.variants import MalformedVariant
from tenants.api.inputs import read_input
from tenants.context import ShopContext, current_shop
from tenants.errors import InvalidRequest, NotFound, ShopExpired
from tenants.locales import choose_locale


@dataclass(frozen=True, slots=True)
class _Own:
    """Whose cart this is: the one of the cookie, or one that was just taken over from the older format."""

    cart_id: UUID | None
    taken_over: bool = False
    told: Sequence[Notice] = ()


class CartView(APIView):
    """Every method answers the cart, hydrated; `?locale=` chooses the language of its texts."""

    def get(self, request: Request) -> Response:
        shop = current_shop()
        own = _own_cart(request, shop)
        if own.cart_id is None:
            return Response(cart_json(hydration.empty(shop, _locale(request, shop)), own.told))
        cart = carts.cart_snapshot(shop_id=shop.shop_id, cart_id=own.cart_id)
        if cart.lost:
            cart = carts.acknowledge_loss(shop_id=shop.shop_id, cart_id=own.cart_id)
        return _changed(request, shop, own, cart) if own.taken_over else _shown(request, shop, own, cart)

    def post(self, request: Request) -> Response:
        shop = _open_shop()
        line = _new_lines(shop, [read_input(request, AddLine)], locale=_locale(request, shop), path="")[0]
        own = _own_cart(request, shop)
        return _changed(request, shop, own, carts.add_line(shop_id=shop.shop_id, cart_id=own.cart_id, line=line))

    def patch(self, request: Request) -> Response:
        shop = _open_shop()
        wanted = read_input(request, SetQuantity)
        own = _own_cart(request, shop)
        if own.cart_id is None:
            raise NotFound("There is no cart.")
        cart = carts.set_quantity(
            shop_id=shop.shop_id, cart_id=own.cart_id, line_id=wanted.line_id, quantity=wanted.quantity
        )
        return _changed(request, shop, own, cart)

    def put(self, request: Request) -> Response:
        shop = _open_shop()
        dropped: list[Notice] = []
        if isinstance(request.data, dict) and "items" in request.data:
            older = read_input(request, OlderCart)
            lines, dropped = older_lines(shop=shop, cart=older, locale=_locale(request, shop))
        else:
            wanted = read_input(request, ReplaceLines)
            lines = _new_lines(shop, wanted.lines, locale=_locale(request, shop), path="lines[{}].")
        own = _own_cart(request, shop)
        cart = carts.replace_lines(shop_id=shop.shop_id, cart_id=own.cart_id, lines=lines)
        return _changed(request, shop, replace(own, told=dropped), cart)

    def delete(self, request: Request) -> Response:
        shop = _open_shop()
        wanted = read_input(request, RemoveLine)
        own = _own_cart(request, shop)
        if own.cart_id is None:
            if wanted.line_id is not None:
                raise NotFound("There is no cart.")
            return Response(cart_json(hydration.empty(shop, _locale(request, shop))))
        if wanted.line_id is None:
            return _changed(request, shop, own, carts.empty_cart(shop_id=shop.shop_id, cart_id=own.cart_id))
        cart = carts.remove_line(shop_id=shop.shop_id, cart_id=own.cart_id, line_id=wanted.line_id)
        return _changed(request, shop, own, cart)


def _own_cart(request: Request, shop: ShopContext) -> _Own:
    """The cookie's cart. Without one, the cart of the older cookie, if the shop's customers may still bring one."""
    cart_id = cookie.read_cart_id(request._request, shop.shop_id)
    older = request.COOKIES.get(settings.CART_OLDER_COOKIE, "") if settings.CART_OLDER_COOKIE else ""
    if cart_id is not None or not older:
        return _Own(cart_id)
    cart, told = take_over(shop=shop, older_id=older, locale=_locale(request, shop))
    return _Own(None, told=told) if cart is None else _Own(cart.cart_id, taken_over=True, told=told)


def _open_shop() -> ShopContext:
    shop = current_shop()
    if not shop.open_for_business:
        raise ShopExpired("This shop is closed.")
    return shop


def _locale(request: Request, shop: ShopContext) -> str:
    policy = shop.policy
    return choose_locale(request.query_params.get("locale", ""), offered=policy.locales, default=policy.default_locale)


def _new_lines(shop: ShopContext, wanted: Sequence[AddLine], *, locale: str, path: str) -> list[NewLine]:
    """The wished lines, resolved in the catalog at the price now shown. One query. `path` prefixes a field's name."""
    for number, line in enumerate(wanted):
        check_rental(line.rental, kind=shop.policy.kind, path=f"{path.format(number)}rental")
    try:
        items = resolve_variants(
            shop_id=shop.shop_id,
            wanted=[WantedVariant(line.sku, line.variant_attributes) for line in wanted],
            locale=locale,
        )
    except MalformedVariant as error:
        raise InvalidRequest(error.detail, {f"{path.format('')}variantAttributes": [error.detail]}) from error
    lines = []
    today = shop_today(shop)
    for number, (line, item) in enumerate(zip(wanted, items, strict=True)):
        start, end = (line.rental.start, line.rental.end) if line.rental else (None, None)
        if line.rental is not None:
            terms = item.terms.within(shop.policy.rental)
            check_period(line.rental, terms=terms, today=today, path=f"{path.format(number)}rental")
        lines.append(
            NewLine(
                sku=item.sku,
                variant_key=item.variant_key,
                quantity=line.quantity,
                options=line.options,
                rental_start=start,
                rental_end=end,
                shown_amount=unit_amount(item, rental_start=start, rental_end=end),
                shown_currency=item.currency,
            )
        )
    return lines


def _shown(request: Request, shop: ShopContext, own: _Own, snapshot: CartSnapshot) -> Response:
    """The hydrated cart, its prices remembered as shown: a write only when one of them is new to the customer."""
    cart = hydration.hydrate(shop=shop, cart=snapshot, locale=_locale(request, shop))
    if shown := hydration.newly_shown(before=snapshot, cart=cart):
        # What was asked for is done: an answer that says otherwise would have it repeated.
        with suppress(CartsUnavailable, CartBusy):
            carts.remember_shown(shop_id=shop.shop_id, cart_id=snapshot.cart_id, shown=shown)
    return Response(cart_json(cart, (*own.told, LINES_LOST) if snapshot.lost else own.told))


def _changed(request: Request, shop: ShopContext, own: _Own, snapshot: CartSnapshot) -> Response:
    response = _shown(request, shop, own, snapshot)
    cookie.write_cart_cookie(response, shop.shop_id, snapshot.cart_id)
    if own.taken_over:
        response.delete_cookie(settings.CART_OLDER_COOKIE)
    return response


def cart_json(cart: hydration.HydratedCart, notices: Sequence[Notice] = ()) -> dict[str, Any]:
    """The contract's shape. `variantKey`, `attributes`, `slug`, `previousUnitAmount`, `notices` and a period's
    `days`, `rates` and `problem` go beyond its
    minimum. A notice `{code, message, sku?, quantity?}` tells once what became of lines that the customer will miss.
    """
    return {
        "cartId": cart.cart_id and str(cart.cart_id),
        "currency": cart.currency,
        "lines": [_line_json(line) for line in cart.lines],
        "subtotalAmount": cart.subtotal_amount,
        "depositAmount": cart.deposit_amount,
        # Where it says `authorised`, deposits are no part of what is charged.
        **({"depositMode": cart.deposit_mode} if cart.deposit_mode else {}),
        "notices": [notice.as_json() for notice in notices],
        "shippingOptions": [_shipping_json(offer) for offer in cart.shipping],
    }


def _shipping_json(offer: ShippingOffer) -> dict[str, Any]:
    """`amount` is what it costs this cart; `freeFromAmount` the merchandise from which it costs nothing."""
    return {
        "id": str(offer.option_id),
        "name": offer.name,
        "amount": offer.amount,
        "currency": offer.currency,
        "freeFromAmount": offer.free_from,
        "countries": list(offer.countries),
        "deliveryDays": offer.days and {"min": offer.days[0], "max": offer.days[1]},
    }


def _line_json(line: hydration.HydratedLine) -> dict[str, Any]:
    rental = None
    if line.rental_start is not None and line.rental_end is not None:
        rental = {
            "start": line.rental_start.isoformat(),
            "end": line.rental_end.isoformat(),
            "days": line.rental_days,
            "rates": [applied.as_json() for applied in line.rental_price.applied] if line.rental_price else [],
            "problem": line.period_problem and line.period_problem.code,
        }
    return {
        "lineId": str(line.line_id),
        "sku": line.sku,
        "variantKey": line.variant_key,
        "slug": line.slug,
        "attributes": dict(line.attributes),
        "title": line.title,
        "image": line.image,
        "quantity": line.quantity,
        "unitAmount": line.unit_amount,
        "previousUnitAmount": line.previous_amount,
        "depositAmount": line.deposit_amount,
        "lineAmount": line.line_amount,
        "options": dict(line.options),
        "rental": rental,
        "available": line.available,
        "purchasable": line.purchasable,
    }

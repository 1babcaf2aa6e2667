"""What every page of a shop has in common: its locale, its frame, and its own "not found"."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from commerce.cart.carts import units_in_cart
from commerce.cart.cookie import read_cart_id
from commerce.currencies import CURRENCIES
from tenants.context import ShopContext, current_shop
from tenants.hosts import public_url

PageView: TypeAlias = Callable[..., HttpResponse]
# One of the style sheet's accents, by the shop's name: no shop is known to the code.
ACCENTS = 5


class PaymentPage(HttpResponse):
    """A page with Stripe's script in it. `sources`: origins that its content security policy allows in addition."""

    def __init__(self, *, content: bytes, sources: Mapping[str, Sequence[str]]) -> None:
        super().__init__(content)
        self.sources = sources


def shop_page(view: PageView) -> PageView:
    """A view of `(request, shop, locale, …)` in its address's locale; one that the shop lacks is not found."""

    @require_safe
    @wraps(view)
    def page(request: HttpRequest, locale: str, **rest: Any) -> HttpResponse:
        shop = current_shop()
        known = locale in shop.policy.locales
        shown = locale if known else shop.policy.default_locale
        with translation.override(shown):
            try:
                if not known:
                    raise Http404
                response = view(request, shop, shown, **rest)
            except Http404:
                response = render_page(request, shop, shown, "not_found", {}, status=404)
        response.headers["Content-Language"] = shown
        patch_cache_control(response, private=True, no_cache=True)
        return response

    return page


def render_page(
    request: HttpRequest, shop: ShopContext, locale: str, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """`templates/storefront/{name}.html` in the shop's frame and `locale`. One query for a browser that has a cart."""
    cart_id = read_cart_id(request, shop.shop_id)
    frame = {
        "shop": shop,
        "policy": shop.policy,
        "is_rental": shop.policy.kind == "rental",
        "exponent": CURRENCIES[shop.policy.currency].exponent,
        "locale": locale,
        "languages": _languages(request, shop, locale),
        "any_language": public_url(shop, f"/{_without_locale(request, locale)}"),
        "canonical": public_url(shop, request.path),
        "accent": zlib.crc32(shop.shop_id.encode()) % ACCENTS,
        "cart_units": units_in_cart(shop_id=shop.shop_id, cart_id=cart_id) if cart_id else 0,
    }
    return render(request, f"storefront/{name}.html", {**frame, **context}, status=status)


def _languages(request: HttpRequest, shop: ShopContext, current: str) -> list[dict[str, Any]]:
    """The same page in each of the shop's locales."""
    rest = _without_locale(request, current)
    query = request.META.get("QUERY_STRING", "")
    return [
        {
            "code": code,
            "name": _name(code),
            "path": f"/{code}/{rest}" + (f"?{query}" if query else ""),
            "url": public_url(shop, f"/{code}/{rest}"),
            "current": code == current,
        }
        for code in shop.policy.locales
    ]


def _without_locale(request: HttpRequest, current: str) -> str:
    prefix = f"/{current}/"
    return request.path.removeprefix(prefix) if request.path.startswith(prefix) else ""


def _name(code: str) -> str:
    try:
        return str(translation.get_language_info(code)["name_local"]).capitalize()
    except KeyError:
        return code

"""Pages of a shop. They render what can be linked to; carts and checkouts happen through the public API, in scripts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from commerce.catalog.lookup import CatalogItem, CatalogProduct, listing
from commerce.catalog.lookup import product_by_slug as find_product
from commerce.gateway.browser import browser_access, content_sources
from commerce.plans.offers import has_plans
from commerce.rentals.periods import shop_today
from commerce.storefront.pages import PaymentPage, render_page, shop_page
from commerce.storefront.words import ATTRIBUTE_WORDS
from inventory.availability import Availability, available_for_skus
from tenants.context import ShopContext


@dataclass(frozen=True, slots=True)
class ShownVariant:
    """A variant with its stock, as the page is rendered; the page's script keeps the stock current."""

    item: CatalogItem
    available: int
    state: str


@dataclass(frozen=True, slots=True)
class ShownProduct:
    """A product as a card or page. `price`: the lowest of its variants, in minor units; `varies`: others cost more."""

    product: CatalogProduct
    variants: tuple[ShownVariant, ...]
    price: int
    deposit: int
    varies: bool
    state: str


@shop_page
def product_list(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    products = _with_stock(shop, listing(shop_id=shop.shop_id, locale=locale))
    subscribable = has_plans(shop_id=shop.shop_id, currency=shop.policy.currency)
    return render_page(request, shop, locale, "list", {"products": products, "subscribable": subscribable})


@shop_page
def product(request: HttpRequest, shop: ShopContext, locale: str, slug: str) -> HttpResponse:
    found = find_product(shop_id=shop.shop_id, slug=slug, locale=locale)
    if found is None:
        raise Http404
    context: dict[str, Any] = {"shown": _with_stock(shop, [found])[0]}
    if shop.policy.kind == "rental":
        terms, today = found.variants[0].terms.within(shop.policy.rental), shop_today(shop)
        earliest = today + timedelta(days=terms.lead_days)
        context |= {
            "terms": terms,
            "earliest": earliest.isoformat(),
            "latest": (today + timedelta(days=terms.horizon_days)).isoformat(),
            "proposed_end": (earliest + timedelta(days=terms.min_days - 1)).isoformat(),
            "rates": found.variants[0].rates,
        }
    return render_page(request, shop, locale, "product", context)


@shop_page
def cart(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    return render_page(request, shop, locale, "cart", {"words": list(ATTRIBUTE_WORDS)})


@shop_page
def checkout(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    """Where the payment is part of the page, it brings Stripe's script along and may speak to Stripe alone."""
    words = list(ATTRIBUTE_WORDS)
    if shop.policy.checkout_ui == "hosted_page":
        return render_page(request, shop, locale, "checkout", {"words": words})
    page = render_page(request, shop, locale, "checkout", {"words": words, "stripe": browser_access(shop)})
    return PaymentPage(content=page.content, sources=content_sources(shop.policy.checkout_ui))


@shop_page
def cancel(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    return render_page(request, shop, locale, "cancel", {})


@shop_page
def thank_you(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    """Reads nothing: the script asks the API with the session's id, which is the secret that opens the order."""
    return render_page(request, shop, locale, "thank_you", {})


@shop_page
def payment_received(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    """Where a payment link leads to: what it was for stands in the mail it came with."""
    return render_page(request, shop, locale, "payment_received", {})


@shop_page
def nothing(request: HttpRequest, shop: ShopContext, locale: str, path: str) -> HttpResponse:
    raise Http404


def _with_stock(shop: ShopContext, products: list[CatalogProduct]) -> list[ShownProduct]:
    """The products with what is left of each variant. One query, none without products."""
    skus = [product.sku for product in products]
    stock = available_for_skus(shop_id=shop.shop_id, skus=skus) if skus else []
    return [_shown(product, {item.variant_key: item for item in stock}) for product in products]


def _shown(product: CatalogProduct, stock: dict[str, Availability]) -> ShownProduct:
    variants = []
    for item in product.variants:
        found = stock.get(item.variant_key)
        variants.append(ShownVariant(item, found.available if found else 0, str(found.state) if found else "out"))
    states = {variant.state for variant in variants}
    prices = [item.price_amount for item in product.variants]
    return ShownProduct(
        product=product,
        variants=tuple(variants),
        price=min(prices),
        deposit=min(item.deposit_amount for item in product.variants),
        varies=min(prices) != max(prices),
        state=next(state for state in ("in_stock", "low", "out") if state in states),
    )

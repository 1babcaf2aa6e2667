"""What search engines ask a shop for: which pages not to read, and which pages there are (T10)."""

from __future__ import annotations

from datetime import datetime
from xml.sax.saxutils import quoteattr

from django.db.models import Exists, F, OuterRef
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from commerce.catalog.models import Product, Variant
from tenants.context import ShopContext, current_shop
from tenants.hosts import public_url
from tenants.locales import addressable

MOST_ADDRESSES = 50_000
"""What one sitemap may list (sitemaps.org). A shop with more is cut off, newest products first."""

KEPT_SECONDS = 600
PRIVATE_PAGES = ("cart", "checkout", "cancel", "thank-you")
NAMESPACES = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml"'


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Crawlers may read everything but the API and the pages of one customer's purchase. No query."""
    shop = current_shop()
    refused = ["/api/", *(f"/*/{page}" for page in PRIVATE_PAGES)]
    lines = [
        "User-agent: *",
        *(f"Disallow: {path}" for path in refused),
        "",
        f"Sitemap: {public_url(shop, '/sitemap.xml')}",
    ]
    return _kept(HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8"))


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """The list and every product that is sold, in each locale with its siblings. One query."""
    shop = current_shop()
    locales = [locale for locale in shop.policy.locales if addressable(locale)]
    pages: list[tuple[str, datetime | None]] = [("", None)]
    if locales:
        pages += _products(shop, MOST_ADDRESSES // len(locales) - 1)
    entries = [_entry(shop, locales, locale, path, changed) for path, changed in pages for locale in locales]
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {NAMESPACES}>\n{"".join(entries)}</urlset>\n'
    return _kept(HttpResponse(text, content_type="application/xml; charset=utf-8"))


def _products(shop: ShopContext, most: int) -> list[tuple[str, datetime | None]]:
    sold = Variant.objects.for_shop(shop.shop_id).filter(
        product_id=OuterRef("pk"), active=True, currency=F("shop__settings__currency")
    )
    rows = Product.objects.for_shop(shop.shop_id).filter(Exists(sold), active=True).order_by("-updated_at", "sku")
    return [(f"products/{slug}", changed) for slug, changed in rows.values_list("slug", "updated_at")[:most]]


def _entry(shop: ShopContext, locales: list[str], locale: str, path: str, changed: datetime | None) -> str:
    lines = [f"<loc>{public_url(shop, f'/{locale}/{path}')}</loc>"]
    if changed is not None:
        lines.append(f"<lastmod>{changed.isoformat(timespec='seconds')}</lastmod>")
    for language, address in alternates(shop, locales, path):
        lines.append(f'<xhtml:link rel="alternate" hreflang={quoteattr(language)} href={quoteattr(address)}/>')
    return "<url>" + "".join(lines) + "</url>\n"


def alternates(shop: ShopContext, locales: list[str], path: str) -> list[tuple[str, str]]:
    """`(language, address)` of one page in every locale, and of the address that chooses by the reader's browser."""
    return [
        *((locale, public_url(shop, f"/{locale}/{path}")) for locale in locales),
        ("x-default", public_url(shop, f"/{path}")),
    ]


def _kept(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, public=True, max_age=KEPT_SECONDS)
    return response

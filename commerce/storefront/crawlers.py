"""What search engines ask a shop for: which pages not to read, and which pages there are (T10)."""

from __future__ import annotations

import re
from datetime import datetime
from xml.sax.saxutils import quoteattr

from django.db.models import OuterRef, QuerySet, Subquery, Window
from django.db.models.functions import Mod, RowNumber
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from commerce.catalog.models import Product, Variant
from tenants.context import ShopContext, current_shop
from tenants.errors import NotFound
from tenants.hosts import public_url
from tenants.locales import addressable

Page = tuple[str, datetime | None]
"""Below a locale, and when it changed."""

KEY = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")
ADDRESSES_PER_FILE = 10_000
"""One sitemap may list 50,000 in 50 MB (sitemaps.org). With every language's link beside it an address takes 150 bytes
per locale, and a file is made while a crawler waits: a fifth of the number is below both, and a second's work.
"""

KEPT_SECONDS = 600
PRIVATE_PAGES = ("cart", "checkout", "cancel", "thank-you")
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
LIST: Page = ("", None)


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
    """The list and every product that is sold, in each locale with its siblings. One query and one file while all of
    it fits; else two queries and an index, whose files are `?from=` a product's key: one query each, about as many
    products as a file holds, wherever it begins. Raises NotFound for a `from` that is no key.
    """
    shop = current_shop()
    locales = [locale for locale in shop.policy.locales if addressable(locale)]
    most = ADDRESSES_PER_FILE // max(1, len(locales))
    ours = Product.objects.for_shop(shop.shop_id).order_by("pk")
    if (begin := request.GET.get("from")) is not None:
        first = _key(begin)
        pages = _sold(shop, ours.filter(pk__in=ours.filter(pk__gte=first).values("pk")[:most]))
        return _urls(shop, locales, pages if first and pages else [LIST, *pages])
    pages = _sold(shop, ours, most + 1) if locales else []
    if len(pages) > most:
        return _index(shop, _beginnings(ours, most))
    return _urls(shop, locales, [LIST, *pages])


def _key(text: str) -> int:
    if not KEY.match(text):
        raise NotFound("There is no such part of the sitemap.")
    return int(text)


def _sold(shop: ShopContext, products: QuerySet[Product], most: int | None = None) -> list[Page]:
    variants = Variant.objects.for_shop(shop.shop_id).filter(active=True, currency=shop.policy.currency)
    # A value per product and not EXISTS, which PostgreSQL would turn into a join of all variants with all products.
    sold = Subquery(variants.filter(product_id=OuterRef("pk")).order_by().values("pk")[:1])
    rows = products.alias(sold=sold).filter(active=True, sold__isnull=False).values_list("slug", "updated_at")[:most]
    return [(f"products/{slug}", changed) for slug, changed in rows]


def _beginnings(ours: QuerySet[Product], most: int) -> list[int]:
    """The key of every `most`-th product, sold or not, so that one walk over an index finds them. The first is 0: that
    file has the list too.
    """
    counted = ours.annotate(place=Mod(Window(RowNumber(), order_by="pk") - 1, most))
    return [0, *counted.filter(place=0).values_list("pk", flat=True)[1:]]


def _urls(shop: ShopContext, locales: list[str], pages: list[Page]) -> HttpResponse:
    entries = [_entry(shop, locales, locale, path, changed) for path, changed in pages for locale in locales]
    links = 'xmlns:xhtml="http://www.w3.org/1999/xhtml"'
    return _xml(f"{XML}<urlset {NAMESPACE} {links}>\n{''.join(entries)}</urlset>\n")


def _index(shop: ShopContext, beginnings: list[int]) -> HttpResponse:
    files = (public_url(shop, f"/sitemap.xml?from={first}") for first in beginnings)
    entries = "".join(f"<sitemap><loc>{address}</loc></sitemap>\n" for address in files)
    return _xml(f"{XML}<sitemapindex {NAMESPACE}>\n{entries}</sitemapindex>\n")


def _xml(text: str) -> HttpResponse:
    return _kept(HttpResponse(text, content_type="application/xml; charset=utf-8"))


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

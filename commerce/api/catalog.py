"""`GET /api/catalog`: products, variants and prices for storefronts that are built or run elsewhere (S7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from commerce.api.cacheable import cacheable
from commerce.api.inputs import BAD_PERIOD, Rental, check_rental
from commerce.catalog.images import image_url
from commerce.catalog.lookup import CatalogItem, CatalogProduct, listing
from commerce.plans.offers import Terms, offered_plans
from commerce.rentals.periods import period_problem, shop_today
from commerce.rentals.pricing import RentalRates, rental_price
from inventory.availability import available_for_skus
from tenants.context import ShopContext, current_shop
from tenants.errors import InvalidRequest
from tenants.locales import choose_locale

MAX_SKUS = 100
# Seconds. Prices are settled at checkout whatever a page says; this bounds how long a page is wrong.
MAX_AGE = 5


class CatalogView(APIView):
    """`?sku=A&sku=B` narrows to those products, `?locale=` chooses the language; answers 304 to a current ETag.

    `?start=…&end=…` asks a rental shop what these days cost, each variant's `periodAmount`.
    """

    def get(self, request: Request) -> HttpResponse:
        shop = current_shop()
        skus = request.query_params.getlist("sku")
        if len(skus) > MAX_SKUS or any(len(sku) > 64 or "\0" in sku for sku in skus):
            raise InvalidRequest("The query is not valid.", {"sku": [f"At most {MAX_SKUS} SKUs of 64 characters."]})
        locale = choose_locale(
            request.query_params.get("locale", ""), offered=shop.policy.locales, default=shop.policy.default_locale
        )
        period = _period(request, shop)
        products = listing(shop_id=shop.shop_id, locale=locale, skus=skus)
        document = catalog_json(shop, products, locale=locale, period=period)
        document["plans"] = [
            plan_json(plan, locale) for plan in offered_plans(shop_id=shop.shop_id, currency=shop.policy.currency)
        ]
        return cacheable(document, if_none_match=request.headers.get("If-None-Match", ""), seconds=MAX_AGE)


def _period(request: Request, shop: ShopContext) -> Rental | None:
    """The days asked for. Raises InvalidRequest for a half, malformed or reversed period, and for any in a sale."""
    asked = {name: request.query_params[name] for name in ("start", "end") if name in request.query_params}
    if not asked:
        return None
    try:
        period = msgspec.convert(asked, Rental, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(BAD_PERIOD, {"start": [str(error)]}) from error
    check_rental(period, kind=shop.policy.kind, path="start")
    return period


def catalog_json(
    shop: ShopContext, products: list[CatalogProduct], *, locale: str, period: Rental | None = None
) -> dict[str, Any]:
    """The catalog's document. Amounts in minor units; a rental's `unitAmount` is per day, with its other rates, terms
    and what `period` costs beside it. One query for stock.
    """
    skus = [product.sku for product in products]
    stock = available_for_skus(shop_id=shop.shop_id, skus=skus) if skus else []
    states = {item.variant_key: str(item.state) for item in stock}
    rental = shop.policy.kind == "rental"
    return {
        "shopId": shop.shop_id,
        "kind": shop.policy.kind,
        "pricePer": "day" if rental else "unit",
        "currency": shop.policy.currency,
        "locale": locale,
        "locales": list(shop.policy.locales),
        "products": [_product_json(shop, product, states, period) for product in products],
    }


def plan_json(plan: Terms, locale: str) -> dict[str, Any]:
    """A plan that `POST /api/subscribe` takes. `unitAmount` is paid per unit and interval, in minor units."""
    return {
        "planId": plan.code,
        "name": plan.name(locale),
        "description": plan.description(locale),
        "currency": plan.currency,
        "unitAmount": plan.amount,
        "interval": plan.interval,
        "intervalCount": plan.interval_count,
        "trialDays": plan.trial_days,
    }


def _product_json(
    shop: ShopContext, product: CatalogProduct, states: dict[str, str], period: Rental | None
) -> dict[str, Any]:
    rental = shop.policy.kind == "rental"
    return {
        "sku": product.sku,
        "slug": product.slug,
        "title": product.title,
        "description": product.description,
        "image": image_url(product.image),
        "attributes": product.choices,
        "variants": [
            _variant_json(variant, states.get(variant.variant_key, "out"), rental=rental, period=period)
            for variant in product.variants
        ],
        **(_terms_json(shop, product, period) if rental else {}),
    }


def _terms_json(shop: ShopContext, product: CatalogProduct, period: Rental | None) -> dict[str, Any]:
    """`earliest` and `latest` are days of pick-up; `problem` says why the period asked for can't be rented."""
    terms, today = product.variants[0].terms.within(shop.policy.rental), shop_today(shop)
    told: dict[str, Any] = {
        "rental": {
            "minDays": terms.min_days,
            "maxDays": terms.max_days,
            "earliest": (today + timedelta(days=terms.lead_days)).isoformat(),
            "latest": (today + timedelta(days=terms.horizon_days)).isoformat(),
        }
    }
    if period is not None:
        problem = period_problem(start=period.start, end=period.end, terms=terms, today=today)
        told["rental"]["problem"] = problem and problem.code
    return told


def _variant_json(variant: CatalogItem, state: str, *, rental: bool, period: Rental | None) -> dict[str, Any]:
    return {
        "sku": variant.sku,
        "variantKey": variant.variant_key,
        "attributes": dict(variant.attributes),
        "image": image_url(variant.image),
        "currency": variant.currency,
        "unitAmount": variant.price_amount,
        "depositAmount": variant.deposit_amount if rental else 0,
        # A hint for lists; /api/inventory/availability has the numbers.
        "availability": state,
        **(_rates_json(variant.rates, period) if rental else {}),
    }


def _rates_json(rates: RentalRates, period: Rental | None) -> dict[str, Any]:
    """Every rate that the variant has, and what it costs for `period`: the best that they make of its days."""
    told: dict[str, Any] = {
        "rates": {
            name: amount
            for name, amount in (
                ("day", rates.day), ("weekend", rates.weekend), ("week", rates.week), ("month", rates.month),
            )
            if amount is not None
        }
    }  # fmt: skip
    if period is not None:
        price = rental_price(rates, start=period.start, end=period.end)
        told |= {"periodAmount": price.amount, "periodDays": price.days}
    return told

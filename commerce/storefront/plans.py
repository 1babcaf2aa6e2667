"""The page of a shop's plans. It shows what there is; subscribing happens through the public API, in its script."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext

from commerce.gateway.browser import browser_access, content_sources
from commerce.plans.offers import Terms, offered_plans
from commerce.storefront.pages import PaymentPage, render_page, shop_page
from tenants.context import ShopContext


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan in the reader's language. `amount` in minor units of `currency`; `every`: how often it is paid."""

    code: str
    name: str
    description: str
    amount: int
    currency: str
    every: str
    trial_days: int


@shop_page
def plan_list(request: HttpRequest, shop: ShopContext, locale: str) -> HttpResponse:
    """Not found where the shop offers none. Where the payment is part of the page, it brings Stripe's script along."""
    offered = offered_plans(shop_id=shop.shop_id, currency=shop.policy.currency)
    if not offered:
        raise Http404
    context = {"plans": [shown_plan(terms, locale) for terms in offered]}
    if shop.policy.checkout_ui == "hosted_page":
        return render_page(request, shop, locale, "plans", context)
    page = render_page(request, shop, locale, "plans", {**context, "stripe": browser_access(shop)})
    return PaymentPage(content=page.content, sources=content_sources(shop.policy.checkout_ui))


def shown_plan(terms: Terms, locale: str) -> ShownPlan:
    return ShownPlan(
        code=terms.code,
        name=terms.name(locale),
        description=terms.description(locale),
        amount=terms.amount,
        currency=terms.currency,
        every=how_often(terms.interval, terms.interval_count),
        trial_days=terms.trial_days,
    )


def how_often(interval: str, count: int) -> str:
    """In the language that is active."""
    if count == 1:
        return {
            "day": gettext("per day"),
            "week": gettext("per week"),
            "month": gettext("per month"),
            "year": gettext("per year"),
        }[interval]
    return {
        "day": gettext("every {count} days"),
        "week": gettext("every {count} weeks"),
        "month": gettext("every {count} months"),
        "year": gettext("every {count} years"),
    }[interval].format(count=count)

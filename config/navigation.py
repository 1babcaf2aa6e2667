"""The back office's sidebar and its badge. Only pages that exist and that this member of staff may see."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst

from tenants.display import list_url

# `app_label.model` and an icon. What no group names ends up in the last one, so that no page is ever out of reach.
GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Sales",
        (
            ("commerce.order", "receipt_long"),
            ("commerce.rental", "event_repeat"),
            ("checkout.shortage", "production_quantity_limits"),
            ("checkout.checkoutattempt", "shopping_cart_checkout"),
            ("commerce.cart", "shopping_cart"),
            ("commerce.product", "sell"),
            ("commerce.variant", "style"),
            ("commerce.shippingoption", "local_shipping"),
            ("commerce.coupon", "confirmation_number"),
            ("commerce.couponredemption", "redeem"),
            ("commerce.taxrate", "percent"),
            ("commerce.plan", "loyalty"),
            ("checkout.subscribeattempt", "person_add"),
        ),
    ),
    (
        "Inventory",
        (
            ("inventory.stockrow", "inventory_2"),
            ("inventory.hold", "hourglass_top"),
            ("inventory.stockalert", "notifications"),
            ("inventory.stockmovement", "swap_vert"),
            ("inventory.stockimport", "upload_file"),
            ("inventory.stockimportrow", "list_alt"),
            ("inventory.pool", "warehouse"),
            ("inventory.poolroute", "route"),
            ("inventory.inventoryrun", "fact_check"),
        ),
    ),
    (
        "Payments",
        (
            ("webhooks.stripeevent", "bolt"),
            ("commerce.return", "assignment_return"),
            ("commerce.refund", "undo"),
            ("commerce.charge", "credit_card"),
            ("commerce.collection", "savings"),
            ("commerce.chargepolicy", "rule"),
            ("webhooks.eventcursor", "playlist_add_check"),
            ("webhooks.finding", "difference"),
            ("commerce.dispute", "gavel"),
            ("commerce.journalentry", "account_balance"),
            ("commerce.reconciliationrecord", "merge"),
            ("commerce.subscription", "autorenew"),
            ("commerce.subscriptionoperation", "published_with_changes"),
            ("commerce.invoice", "request_quote"),
            ("commerce.subscriptionnote", "forward_to_inbox"),
            ("tenants.stripeobject", "link"),
            ("tenants.shoppayments", "key"),
            ("tenants.shopcredential", "badge"),
            ("tenants.webhooksecret", "signature"),
        ),
    ),
    (
        "Tenants",
        (
            ("tenants.shop", "storefront"),
            ("tenants.host", "dns"),
            ("tenants.frontdoortoken", "key"),
            ("tenants.servicetoken", "smart_toy"),
            ("tenants.auditentry", "history"),
        ),
    ),
    ("Staff", (("auth.user", "person"), ("auth.group", "group"), ("axes.accessattempt", "lock_clock"))),
)
ELSEWHERE = "More"
PLAIN_ICON = "table_rows"


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """UNFOLD's SIDEBAR.navigation."""
    pages = {
        f"{model._meta.app_label}.{model._meta.model_name}": (model, page)
        for model, page in admin.site._registry.items()
        if page.has_view_permission(request)
    }
    groups: list[dict[str, Any]] = [
        {"title": "", "items": [{"title": "Dashboard", "icon": "dashboard", "link": "/admin/"}]}
    ]
    for title, entries in GROUPS:
        items = [_item(pages.pop(label)[0], icon) for label, icon in entries if label in pages]
        groups.append({"title": title, "separator": True, "items": items})
    rest = [_item(model, PLAIN_ICON) for model, _ in pages.values()]
    groups.append({"title": ELSEWHERE, "separator": True, "items": rest})
    return [group for group in groups if group["items"]]


def _item(model: Any, icon: str) -> dict[str, Any]:
    return {"title": capfirst(model._meta.verbose_name_plural), "icon": icon, "link": list_url(model) or ""}


def environment_badge(request: HttpRequest) -> list[str]:
    """UNFOLD's ENVIRONMENT: nobody should refund in production and think that it is the demo."""
    tones = {"production": "danger", "development": "info"}
    return [settings.ENVIRONMENT.capitalize(), tones.get(settings.ENVIRONMENT, "warning")]


def environment_prefix(request: HttpRequest) -> str:
    return "" if settings.ENVIRONMENT == "production" else f"[{settings.ENVIRONMENT}]"

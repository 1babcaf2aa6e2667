"""Links into Stripe's dashboard."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.utils.html import format_html

from commerce.admin.display import mono
from tenants.display import EMPTY

STRIPES_API: Final = "https://api.stripe.com"
# Prefix of an id → its page. Ids of other kinds have no page of their own that could be named from the id alone.
PAGES: Final = {
    "cs": "checkout/sessions",
    "pi": "payments",
    "ch": "payments",
    "evt": "events",
    "cus": "customers",
    "sub": "subscriptions",
    "in": "invoices",
}


def dashboard_url(object_id: str, *, account: str, livemode: bool) -> str | None:
    """The object's page in the dashboard of its account; None for kinds without one, and for the stand-in's objects.

    The account is part of the address: staff see several, and `livemode` alone doesn't tell sandboxes apart.
    """
    page = PAGES.get(object_id.partition("_")[0])
    if page is None or settings.STRIPE_API_BASE != STRIPES_API:
        return None
    return f"https://dashboard.stripe.com/{account}/{'' if livemode else 'test/'}{page}/{object_id}"


def stripe_link(object_id: str | None, *, account: str, livemode: bool) -> str:
    """The id, as a link where there is a page to lead to."""
    if not object_id:
        return EMPTY
    url = dashboard_url(object_id, account=account, livemode=livemode)
    if url is None:
        return mono(object_id)
    return format_html(
        '<a href="{}" target="_blank" rel="noopener noreferrer" class="{}">{} ↗</a>',
        url,
        "text-primary-600 dark:text-primary-500",
        object_id,
    )


def is_live(session_id: str | None) -> bool:
    """Whether a session moves real money: its id says so."""
    return (session_id or "").startswith("cs_live_")

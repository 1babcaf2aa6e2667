"""What a shop's own payment page needs of Stripe: a script, a public key, and where a browser may go for them.

No secret is in here. Sources: Stripe, "Including Stripe.js" and "Integration security guide" (content security policy).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from tenants.context import ShopContext
from tenants.credentials import public_account

STRIPE: Final = "https://api.stripe.com"
# Named after the release train of the API, so that page and server mean the same objects.
STRIPE_JS: Final = "https://js.stripe.com/endive/stripe.js"

_ELEMENTS: Final = {
    "script-src": ("https://js.stripe.com", "https://*.js.stripe.com"),
    "frame-src": ("https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"),
    "connect-src": ("https://api.stripe.com",),
}
_CHECKOUT: Final = "https://checkout.stripe.com"
SOURCES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "elements": _ELEMENTS,
        "embedded_page": {
            **{directive: (*origins, _CHECKOUT) for directive, origins in _ELEMENTS.items()},
            "img-src": ("https://*.stripe.com",),
        },
    }
)
"""Checkout UI → directive → origins that its page may use beside the shop's own. The hosted page needs none."""


@dataclass(frozen=True, slots=True)
class BrowserAccess:
    """`connected` is the account that the platform's key acts for, empty for the key's own account. An empty
    `publishable_key` means that nobody has entered one yet: nothing can be paid on the shop's own page.
    """

    script: str
    publishable_key: str
    connected: str


def browser_access(shop: ShopContext) -> BrowserAccess:
    """What a page of `shop` hands to Stripe.js, for the account that the shop sells on today. One query."""
    own = public_account(shop_id=shop.shop_id)
    script = STRIPE_JS if settings.STRIPE_API_BASE == STRIPE else f"{settings.STRIPE_API_BASE}/stripe.js"
    if own is not None and own.own_keys:
        return BrowserAccess(script, own.publishable_key, "")
    return BrowserAccess(script, settings.STRIPE_PUBLISHABLE_KEY, own.account if own else "")


def content_sources(checkout_ui: str) -> Mapping[str, tuple[str, ...]]:
    """What the content security policy of a page with the payment in it allows in addition, by directive."""
    wanted = SOURCES.get(checkout_ui, {})
    if settings.STRIPE_API_BASE == STRIPE:
        return wanted
    parts = urlsplit(settings.STRIPE_API_BASE)
    return dict.fromkeys((name for name in wanted if name != "img-src"), (f"{parts.scheme}://{parts.netloc}",))

"""Where the customer comes back to: the shop's own hosts and nowhere else."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from tenants.context import ShopContext
from tenants.errors import InvalidRequest
from tenants.hosts import is_own_host, public_url

SESSION_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"


def success_url(shop: ShopContext, wanted: str | None, locale: str) -> str:
    """The thank-you page, or the wanted one, always with Stripe's literal placeholder for the session's id.

    Raises InvalidRequest for an address outside the shop's hosts.
    """
    if wanted is None:
        return public_url(shop, f"/{locale}/thank-you") + f"?session_id={SESSION_PLACEHOLDER}"
    url = own_url(shop, wanted, "returnUrl")
    if SESSION_PLACEHOLDER in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}session_id={SESSION_PLACEHOLDER}"


def cancel_url(shop: ShopContext, wanted: str | None, locale: str) -> str:
    """The page for customers who turn back, or the wanted one. Raises InvalidRequest as above."""
    return public_url(shop, f"/{locale}/cancel") if wanted is None else own_url(shop, wanted, "cancelUrl")


def own_url(shop: ShopContext, url: str, field: str) -> str:
    """`url` when it is an absolute address on one of the shop's hosts, in the deployment's scheme and on its port."""
    problem = InvalidRequest(
        "An address must be on one of the shop's own hosts.", {field: ["Not on a host of this shop."]}
    )
    # Browsers read a backslash as a slash, drop control characters and fold letters of other scripts into ours;
    # urlsplit does none of it. An address has no need of any.
    if len(url) > 2000 or "\\" in url or any(not 32 < ord(c) < 127 for c in url):
        raise problem
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise problem from None
    expected = settings.PUBLIC_PORT
    default = {"https": 443, "http": 80}.get(parts.scheme)
    if parts.scheme != settings.PUBLIC_SCHEME or (port or default) != expected or "@" in parts.netloc:
        raise problem
    if "#" in url or not parts.hostname or not is_own_host(shop.shop_id, parts.hostname):
        raise problem
    return url

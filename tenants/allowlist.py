"""Which routes exist on which kind of host (T5): the contract's table of endpoints, literally.

A route that isn't here is 404 on every host, whatever the URL configuration says. Adding an endpoint means adding its
row; a test walks the URL resolver and fails for a route without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

KIB = 1024
MACHINES = 10
"""The pace of what programs call: one address of Stripe's, of a worker's or of an edge's speaks for many customers."""

ANY_SCOPE = "*"


class HostRole(StrEnum):
    """What a host is for. All of a shop's hosts, canonical or not, serve the shop."""

    SHOP = "shop"
    HOOKS = "hooks"
    PLATFORM = "platform"


SHOP = frozenset({HostRole.SHOP})
PLATFORM = frozenset({HostRole.PLATFORM})
SHOP_AND_PLATFORM = SHOP | PLATFORM
HOOKS_AND_SHOP = frozenset({HostRole.HOOKS, HostRole.SHOP})


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `family` is the metrics' bounded name of the endpoint.

    `settles`: stays open on a closed shop and an expired host, because money in flight outlives both.
    `browsers`: unsafe methods must come from the host's own pages (or from no browser at all).
    `pace`: how many times the front door's general limit one client may ask, 0 without a limit; routes of the same pace
    are counted together.
    `edge_names_shop`: on a host that is no shop's, the header of a trusted edge decides for which shop this is.
    `scope`: what a service token must be good for, ANY_SCOPE for anything; empty: tokens mean nothing here.
    `token_only`: nobody but a service token's holder gets through.
    `bare`: knows neither session nor form nor language; what Django does for those is left out (config/short_way.py).
    """

    family: str
    roles: frozenset[HostRole]
    settles: bool = False
    browsers: bool = False
    edge_names_shop: bool = False
    pace: int = 1
    scope: str = ""
    token_only: bool = False
    bare: bool = False
    max_bytes: int = 256 * KIB


CART = Rule("cart", SHOP, browsers=True)
CATALOG = Rule("catalog", SHOP, browsers=True)
CHECKOUT = Rule("checkout", SHOP, browsers=True)
CHECKOUT_SUMMARY = Rule("checkout", SHOP, settles=True, browsers=True)
# Browsers and edges subscribe as they check out; a server says by its token that it may.
SUBSCRIBE = Rule("subscribe", SHOP, browsers=True, scope="payments:write")
ORDER_STATUS = Rule("order_status", SHOP, settles=True, browsers=True)
AVAILABILITY = Rule("availability", SHOP, browsers=True, bare=True)
VALIDATE = Rule(
    "validate",
    SHOP_AND_PLATFORM,
    browsers=True,
    edge_names_shop=True,
    pace=MACHINES,
    scope="inventory:read",
    bare=True,
)
HOLDS = Rule(
    "holds",
    SHOP_AND_PLATFORM,
    browsers=True,
    edge_names_shop=True,
    pace=MACHINES,
    scope="inventory:hold",
    token_only=True,
    bare=True,
)
# Giving back and committing what is held is settlement; inventory itself refuses to extend for a closed shop.
ONE_HOLD = replace(HOLDS, settles=True)
INVENTORY_HEALTH = replace(ONE_HOLD, family="inventory_health", browsers=False, scope=ANY_SCOPE)
# Money in flight outlives a closed shop. Servers come with a token, staff with their session: the view asks which.
RETURN = Rule(
    "return",
    SHOP_AND_PLATFORM,
    settles=True,
    browsers=True,
    edge_names_shop=True,
    pace=MACHINES,
    scope="payments:write",
)
# What is out comes back, whatever became of the shop; a new rental asks for an open shop itself.
RENTAL = replace(RETURN, family="rental")
SUBSCRIPTION = replace(RETURN, family="subscription")
RECONCILIATION = Rule(
    "reconciliation",
    SHOP_AND_PLATFORM,
    settles=True,
    browsers=True,
    edge_names_shop=True,
    pace=MACHINES,
    scope="reconciliation:write",
    token_only=True,
)
WEBHOOK = Rule("webhook", HOOKS_AND_SHOP, settles=True, pace=MACHINES, bare=True, max_bytes=1024 * KIB)

# Exactly this path under /api/.
API: Mapping[str, Rule] = {
    "cart": CART,
    "catalog": CATALOG,
    "capabilities": CATALOG,
    "checkout-session": CHECKOUT,
    "checkout/session": CHECKOUT,
    "subscribe": SUBSCRIBE,
    "order-status": ORDER_STATUS,
    "inventory/availability": AVAILABILITY,
    "inventory/validate": VALIDATE,
    "inventory/holds": HOLDS,
    "inventory/health": INVENTORY_HEALTH,
    "return": RETURN,
    "rental": RENTAL,
    "subscription/cancel": SUBSCRIPTION,
    "subscription/change": SUBSCRIPTION,
    "reconciliation": RECONCILIATION,
    "stripe-webhook": WEBHOOK,
    "billing/webhook": WEBHOOK,
}
# Everything below this path under /api/.
API_BELOW: Mapping[str, Rule] = {
    "checkout-session/": CHECKOUT_SUMMARY,
    "inventory/holds/": ONE_HOLD,
}

# Beyond /api/ the first segment decides; what isn't named here is a page of a shop. The admin's and the storefront's
# forms carry Django's own CSRF token, so the origin rule is the API's alone.
PAGES: Mapping[str, Rule] = {
    "admin": Rule("admin", PLATFORM, max_bytes=1024 * KIB),
    "metrics": Rule("metrics", PLATFORM, pace=0),
    "static": Rule("static", SHOP_AND_PLATFORM, settles=True),
    "i18n": Rule("pages", SHOP_AND_PLATFORM),
    ".well-known": Rule("well_known", frozenset(HostRole), settles=True),
    "robots.txt": Rule("crawlers", SHOP),
    "sitemap.xml": Rule("crawlers", SHOP),
}
STOREFRONT = Rule("pages", SHOP)
# Where staff upload files; inventory/bulk/formats.py says how large they may be, this leaves room for the form around.
UPLOADS: Mapping[str, Rule] = {"/admin/inventory/stockimport/add/": Rule("admin", PLATFORM, max_bytes=17 * 1024 * KIB)}

VERIFICATION_PATH = "/.well-known/holdfast-verification.txt"
"""Answered on hosts that serve nothing else yet: their owner is about to prove that the domain is theirs."""

ANY_HOST = frozenset({"/healthz", "/readyz"})
"""Probes come by address, not by name."""

UNKNOWN_FAMILY = "unknown"


def rule_for(path: str) -> Rule | None:
    """The row that governs `path`, or None where no host serves it."""
    if path == "/api" or path.startswith("/api/"):
        below = path[len("/api/") :]
        if rule := API.get(below):
            return rule
        return next((rule for prefix, rule in API_BELOW.items() if below.startswith(prefix) and below != prefix), None)
    if rule := UPLOADS.get(path):
        return rule
    return PAGES.get(path[1:].partition("/")[0], STOREFRONT)

"""What becomes of an address: served, redirected, closed or nowhere (T4). Pure: one function decides, on values alone.

The middleware applies it (tenants/redirecting.py) and staff preview it (tenants/preview.py): both ask here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from tenants.allowlist import ANY_HOST, API, HostRole, Rule, rule_for
from tenants.locales import LOCALE_SEGMENT, addressable, locale_for_browser
from tenants.models import Host

LONGEST_TARGET = 4_096
"""Characters of path and query that are still redirected. Longer ones fit into no proxy's header buffer, and no page
of ours has such an address."""

# As a decoded path: no page has a control character, a backslash, dot segments or an empty first segment, and each of
# them has been somebody's way to make a redirect lead elsewhere.
NO_PAGE = re.compile(r"[\x00-\x1f\x7f\\]|\A//|(?:\A|/)\.\.?(?:/|\Z)")
TARGET = re.compile(r"/[!-~]*\Z")
UNSAFE = re.compile(r"[^!-~]|[\"#<>\\`]")
LOCALE_PREFIX = re.compile(rf"/{LOCALE_SEGMENT}/")

# First segments that mean the same on every one of a shop's hosts: certificates and domain checks ask for the very host
# they name, and the page of a closed host needs its style sheet.
SAME_EVERYWHERE = frozenset({".well-known", "static"})
NEVER_LOCALISED = SAME_EVERYWHERE | {"admin", "metrics", "i18n"}
READING = frozenset({"GET", "HEAD"})

SERVING_ROLES = frozenset(Host.SHOP_ROLES) - {Host.Role.REDIRECT_ONLY}
SHOP_API = frozenset(f"/api/{below}" for below, rule in API.items() if HostRole.SHOP in rule.roles)


class Outcome(StrEnum):
    SERVE = "serve"
    REDIRECT = "redirect"
    LANDING = "landing"
    EXPIRED = "expired"
    CLOSED = "closed"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """`target` is path and query as sent, percent-encoded (`escape_target` makes one of anything)."""

    method: str
    target: str
    accept_language: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """`role` is one of Host.Role; `mode` one of Host.Mode with the expiry date already applied.

    `canonical` is the origin of the shop's canonical host, scheme and port included, empty when the shop has none.
    `asks_browser` is false where pages always get `default_locale`, whatever the browser prefers.
    """

    hostname: str
    role: str
    mode: str = Host.Mode.ACTIVE
    canonical: str = ""
    locales: Sequence[str] = ()
    default_locale: str = "en"
    asks_browser: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """`status` and `location` are set on a redirect; `by_language` when `Accept-Language` had a say in it."""

    outcome: Outcome
    why: str
    status: int = 0
    location: str = ""
    by_language: bool = False


def escape_target(raw: str, encoding: str = "latin-1") -> str:
    """`raw` with what may not stand in a header or an address percent-encoded; what is encoded already stays so.

    A WSGI server hands bytes over as latin-1; text that a person typed is utf-8.
    """
    return UNSAFE.sub(lambda found: quote(found[0].encode(encoding, "replace"), safe=""), raw)


def decide(request: RequestFacts, host: HostFacts) -> Decision:
    """What this request gets on this host. No side effects, no errors: rubbish is nowhere."""
    if len(request.target) > LONGEST_TARGET or not TARGET.match(request.target):
        return _nowhere("No page has such an address.")
    path = unquote(request.target.partition("?")[0])
    first = path[1:].partition("/")[0]
    rule = rule_for(path)
    if path in ANY_HOST:
        return Decision(Outcome.SERVE, "Probes are answered on every host.")
    if host.role == Host.Role.PLATFORM and path == "/":
        return Decision(Outcome.REDIRECT, "The platform host is the back office.", 302, "/admin/")
    if rule is None or _allowlist_role(host.role) not in rule.roles:
        return _nowhere("This kind of host doesn't serve this route.")
    if host.role not in Host.SHOP_ROLES or first in SAME_EVERYWHERE:
        return Decision(Outcome.SERVE, "Served as it is.")
    if first == "api":
        return _api(host, rule)
    if NO_PAGE.search(path):
        return _nowhere("No page has such an address.")
    if host.mode != Host.Mode.ACTIVE:
        return _closed(request, host, path)
    return _page(request, host, path, first)


def surely_served(path: str, query: str, *, role: str, mode: str) -> bool:
    """Whether `decide` would let this request through, without its reading the address: so it does with the API's exact
    paths on an open host of a shop, which is most of all traffic. False tells nothing. `path` is decoded.
    """
    # A character becomes six at most (two escapes): this much of an address is never too long.
    short = 6 * (len(path) + len(query)) < LONGEST_TARGET
    return short and mode == Host.Mode.ACTIVE and role in SERVING_ROLES and path in SHOP_API


def locale_of(request: RequestFacts, host: HostFacts) -> str:
    """The locale of a page whose address names none."""
    asked = request.accept_language if host.asks_browser else ""
    return locale_for_browser(asked, offered=host.locales, default=host.default_locale)


def _api(host: HostFacts, rule: Rule) -> Decision:
    """Never redirected: a cart's cookie and a caller's token belong to the host that was asked."""
    if host.role == Host.Role.REDIRECT_ONLY:
        return _nowhere("A redirect-only host has no API.")
    if host.mode != Host.Mode.ACTIVE and not rule.settles:
        return Decision(Outcome.CLOSED, "This address no longer takes orders.", 410)
    return Decision(Outcome.SERVE, "The API is the same on every host of the shop.")


def _closed(request: RequestFacts, host: HostFacts, path: str) -> Decision:
    if request.method not in READING:
        return Decision(Outcome.CLOSED, "This address no longer takes orders.", 410)
    if host.mode == Host.Mode.LANDING_ONLY:
        if _names_a_file(path):
            return _nowhere("A landing page has no files.")
        return Decision(Outcome.LANDING, "The host shows a landing page only.", 200)
    return Decision(Outcome.EXPIRED, "The host has expired.", 410)


def _page(request: RequestFacts, host: HostFacts, path: str, first: str) -> Decision:
    reading = request.method in READING
    if host.role != Host.Role.CANONICAL and reading and _leads_elsewhere(host):
        return Decision(Outcome.REDIRECT, "To the canonical host.", 301, host.canonical + request.target)
    if host.role == Host.Role.REDIRECT_ONLY:
        return _nowhere("A redirect-only host only redirects, and only what is read.")
    if not reading or first in NEVER_LOCALISED or _names_a_file(path) or LOCALE_PREFIX.match(path):
        return Decision(Outcome.SERVE, "A page of the shop.")
    if path[1:] in host.locales and addressable(path[1:]):
        bare, mark, query = request.target.partition("?")
        return Decision(Outcome.REDIRECT, "To the list of this locale.", 307, f"{bare}/{mark}{query}")
    locale = locale_of(request, host)
    if not addressable(locale):
        return _nowhere(f"The shop's locale {locale!r} can't begin an address.")
    why = "To the browser's locale, else the default." if host.asks_browser else "To the host's locale."
    return Decision(Outcome.REDIRECT, why, 307, f"/{locale}{request.target}", by_language=host.asks_browser)


def _names_a_file(path: str) -> bool:
    """Browsers and robots ask for files by themselves: none of them is a page in some language."""
    return "." in path.rpartition("/")[2]


def _leads_elsewhere(host: HostFacts) -> bool:
    return bool(host.canonical) and urlsplit(host.canonical).hostname != host.hostname


def _allowlist_role(role: str) -> HostRole:
    return HostRole.SHOP if role in Host.SHOP_ROLES else HostRole(role)


def _nowhere(why: str) -> Decision:
    return Decision(Outcome.NOWHERE, why, 404)

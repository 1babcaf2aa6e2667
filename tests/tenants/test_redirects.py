"""The redirect decision, case by case, and over random host tables: it ends, and never leaves the shop."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.utils.encoding import iri_to_uri
from hypothesis import given
from hypothesis import strategies as st

from tenants.models import Host
from tenants.preview import Hop, follow, split_url
from tenants.redirects import (
    LONGEST_TARGET,
    SHOP_API,
    Decision,
    HostFacts,
    Outcome,
    RequestFacts,
    decide,
    escape_target,
    surely_served,
)

CANON = "https://acme.example"
SERVE, LANDING, EXPIRED, CLOSED, NOWHERE = "serve", "landing", "expired", "closed", "nowhere"


def host(role: str = "canonical", mode: str = "active", **more: Any) -> HostFacts:
    name = "acme.example" if role == "canonical" else f"{role.replace('_', '-')}.example"
    shop = {} if role in {"hooks", "platform"} else {"canonical": CANON, "locales": ("en", "de-AT")}
    return HostFacts(name, role, mode, **({**shop, **more}))


def shown(decision: Decision) -> str:
    redirected = decision.outcome is Outcome.REDIRECT
    return f"{decision.status} {decision.location}" if redirected else str(decision.outcome)


def to_canonical(target: str) -> str:
    return f"301 {CANON}{target}"


# (host, method, target, Accept-Language, what becomes of it)
CASES: list[tuple[HostFacts, str, str, str, str]] = [
    # A page without a locale gets one: the browser's among the shop's, else the default.
    (host(), "GET", "/", "", "307 /en/"),
    (host(), "HEAD", "/", "", "307 /en/"),
    (host(), "GET", "/cart", "de", "307 /de-AT/cart"),
    (host(), "GET", "/cart", "fr;q=0.9, de-ch;q=0.3", "307 /de-AT/cart"),
    (host(), "GET", "/cart", "de;q=0", "307 /en/cart"),
    (host(), "GET", "/cart", "*;q=rubbish, \x00", "307 /en/cart"),
    (host(asks_browser=False, default_locale="de-AT"), "GET", "/cart", "en", "307 /de-AT/cart"),
    (host(), "GET", "/cart?utm_source=a&b=%20+&a=2&a=1", "", "307 /en/cart?utm_source=a&b=%20+&a=2&a=1"),
    (host(), "GET", "/gr%c3%bc%C3%9Fe", "", "307 /en/gr%c3%bc%C3%9Fe"),
    (host(), "GET", "/a%2Fb", "", "307 /en/a%2Fb"),
    (host(), "GET", "/xx.example/cart", "", "307 /en/xx.example/cart"),
    (host(), "GET", "/@evil.test", "", SERVE),  # a dot: a file
    (host(), "GET", "/@evil/x", "", "307 /en/@evil/x"),
    (host(), "GET", "/https:/evil/x", "", "307 /en/https:/evil/x"),
    (host(), "GET", "/?next=//evil.test", "", "307 /en/?next=//evil.test"),
    (host(), "GET", "/?", "", "307 /en/?"),
    # One that has a locale is served, whether the shop offers it or not; a bare one gets its slash.
    (host(), "GET", "/en/", "de", SERVE),
    (host(), "GET", "/fr/cart", "", SERVE),
    (host(), "GET", "/%65n/cart", "", SERVE),
    (host(), "GET", "/en", "de", "307 /en/"),
    (host(), "GET", "/de-AT?x=1", "", "307 /de-AT/?x=1"),
    (host(), "GET", "/faq", "", "307 /en/faq"),
    # Never a locale.
    (host(), "GET", "/api/cart", "de", SERVE),
    (host(), "GET", "/%61pi/cart", "de", SERVE),
    (host(), "GET", "/.well-known/acme-challenge/x", "", SERVE),
    (host(), "GET", "/static/x/y", "", SERVE),
    (host(), "GET", "/healthz", "", SERVE),
    (host(), "GET", "/readyz", "", SERVE),
    (host(), "GET", "/i18n/setlang/", "", SERVE),
    (host(), "GET", "/favicon.ico", "", SERVE),
    (host(), "GET", "/robots.txt", "", SERVE),
    (host(), "GET", "/admin/", "", NOWHERE),
    (host(), "GET", "/metrics", "", NOWHERE),
    (host(), "GET", "/api", "", NOWHERE),
    (host(), "GET", "/api/unknown", "", NOWHERE),
    (host(), "POST", "/cart", "", SERVE),
    (host(), "DELETE", "/", "", SERVE),
    # Addresses that no page has.
    (host(), "GET", "//evil.test/", "", NOWHERE),
    (host(), "GET", "/%2Fevil.test/x", "", NOWHERE),
    (host(), "GET", "/%5Cevil/x", "", NOWHERE),
    (host(), "GET", "/\\evil/x", "", NOWHERE),
    (host(), "GET", "/a%0d%0aSet-Cookie:x", "", NOWHERE),
    (host(), "GET", "/a%00", "", NOWHERE),
    (host(), "GET", "/a/../b/", "", NOWHERE),
    (host(), "GET", "/a/%2e%2E/b/", "", NOWHERE),
    (host(), "GET", "/.", "", NOWHERE),
    (host(), "GET", "https://evil.test/", "", NOWHERE),
    (host(), "GET", "", "", NOWHERE),
    (host(), "GET", "*", "", NOWHERE),
    (host(), "GET", "/a b", "", NOWHERE),
    (host(), "GET", "/" + "a" * (LONGEST_TARGET - 1), "", "307 /en/" + "a" * (LONGEST_TARGET - 1)),
    (host(), "GET", "/" + "a" * LONGEST_TARGET, "", NOWHERE),
    (host(default_locale="EN", locales=("EN",)), "GET", "/cart", "", NOWHERE),
    (host(default_locale="//evil.test", locales=()), "GET", "/cart", "", NOWHERE),
    # An alias: pages move, whole; the API is the shop's there too.
    (host("alias"), "GET", "/", "de", to_canonical("/")),
    (host("alias"), "HEAD", "/en/cart?utm_source=x&gclid=A%2fB", "", to_canonical("/en/cart?utm_source=x&gclid=A%2fB")),
    (host("alias"), "GET", "/a%2Fb", "", to_canonical("/a%2Fb")),
    (host("alias"), "GET", "/robots.txt", "", to_canonical("/robots.txt")),
    (host("alias"), "GET", "//evil.test/", "", NOWHERE),
    (host("alias"), "GET", "/%0d%0aLocation:%20x", "", NOWHERE),
    (host("alias"), "GET", "/static/x.css", "", SERVE),
    (host("alias"), "GET", "/.well-known/x", "", SERVE),
    (host("alias"), "GET", "/healthz", "", SERVE),
    (host("alias"), "GET", "/api/cart", "", SERVE),
    (host("alias"), "POST", "/api/cart", "", SERVE),
    (host("alias"), "POST", "/api/stripe-webhook", "", SERVE),
    (host("alias"), "POST", "/en/cart", "", SERVE),
    (host("alias", canonical=""), "GET", "/cart", "de", "307 /de-AT/cart"),
    (host("alias", canonical="https://alias.example:8000"), "GET", "/en/", "", SERVE),
    # A redirect-only host does nothing else.
    (host("redirect_only"), "GET", "/spring?utm_campaign=s", "de", to_canonical("/spring?utm_campaign=s")),
    (host("redirect_only"), "GET", "/api/cart", "", NOWHERE),
    (host("redirect_only"), "POST", "/api/cart", "", NOWHERE),
    (host("redirect_only"), "POST", "/api/stripe-webhook", "", NOWHERE),
    (host("redirect_only"), "POST", "/", "", NOWHERE),
    (host("redirect_only"), "GET", "/.well-known/x", "", SERVE),
    (host("redirect_only", canonical=""), "GET", "/", "", NOWHERE),
    # Landing only: a page, and no commerce; money in flight still settles.
    (host(mode="landing_only"), "GET", "/", "", LANDING),
    (host(mode="landing_only"), "HEAD", "/en/products/x", "", LANDING),
    (host(mode="landing_only"), "GET", "/sitemap.xml", "", NOWHERE),
    (host(mode="landing_only"), "GET", "/static/x.css", "", SERVE),
    (host(mode="landing_only"), "GET", "/healthz", "", SERVE),
    (host(mode="landing_only"), "GET", "/api/catalog", "", CLOSED),
    (host(mode="landing_only"), "POST", "/api/checkout-session", "", CLOSED),
    (host(mode="landing_only"), "GET", "/api/order-status?session_id=cs_1", "", SERVE),
    (host(mode="landing_only"), "POST", "/api/stripe-webhook", "", SERVE),
    (host(mode="landing_only"), "POST", "/en/cart", "", CLOSED),
    # Expired, on every kind of shop host: the page says so there, it doesn't lead on.
    (host(mode="expired"), "GET", "/en/cart", "", EXPIRED),
    (host("alias", "expired"), "GET", "/", "", EXPIRED),
    (host("redirect_only", "expired"), "GET", "/x", "", EXPIRED),
    (host("redirect_only", "expired"), "GET", "/api/cart", "", NOWHERE),
    (host(mode="expired"), "GET", "/favicon.ico", "", EXPIRED),
    (host(mode="expired"), "GET", "//evil.test", "", NOWHERE),
    (host(mode="expired"), "GET", "/api/cart", "", CLOSED),
    (host(mode="expired"), "GET", "/api/checkout-session/cs_1", "", SERVE),
    (host(mode="expired"), "GET", "/api/unknown", "", NOWHERE),
    # Hosts without a shop.
    (host("platform"), "GET", "/", "de", "302 /admin/"),
    (host("platform"), "GET", "/admin/", "", SERVE),
    (host("platform"), "GET", "/cart", "", NOWHERE),
    (host("hooks"), "POST", "/api/stripe-webhook", "", SERVE),
    (host("hooks"), "GET", "/", "", NOWHERE),
]


@pytest.mark.parametrize(
    ("on", "method", "target", "language", "expected"),
    CASES,
    ids=[f"{c[0].role}-{c[0].mode}-{c[1]}-{c[2][:40]}-{n}" for n, c in enumerate(CASES)],
)
def test_decisions(on: HostFacts, method: str, target: str, language: str, expected: str):
    assert shown(decide(RequestFacts(method, target, language), on)) == expected


@pytest.mark.parametrize(
    ("raw", "encoding", "escaped"),
    [
        ("/a b", "latin-1", "/a%20b"),
        ("/\\evil", "latin-1", "/%5Cevil"),
        ("/a\r\nX: y", "latin-1", "/a%0D%0AX:%20y"),
        ("/%2f%zz%", "latin-1", "/%2f%zz%"),
        ("/ü", "utf-8", "/%C3%BC"),
        ("/\xc3\xbc", "latin-1", "/%C3%BC"),
        ('/?a[]=1&b="<>`#', "latin-1", "/?a[]=1&b=%22%3C%3E%60%23"),
    ],
)
def test_escaping(raw: str, encoding: str, escaped: str):
    assert escape_target(raw, encoding) == escaped


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ACME.example.:8443", ("acme.example", "/")),
        ("http://bücher.example/ü?q=ü", ("xn--bcher-kva.example", "/%C3%BC?q=%C3%BC")),
        ("https://acme.example@evil.test/x", ("evil.test", "/x")),
        ("https://acme.example//evil.test/#top", ("acme.example", "//evil.test/")),
    ],
)
def test_addresses(url: str, expected: tuple[str, str]):
    assert split_url(url) == expected


@pytest.mark.parametrize(
    "url", ["", "/en/", "ftp://acme.example/", "javascript:alert(1)", "https://", "https://[::1]/"]
)
def test_no_addresses(url: str):
    with pytest.raises(ValueError, match="address"):
        split_url(url)


def chain(hops: list[Hop]) -> list[str]:
    return [hop.url for hop in hops]


def test_a_campaign_link_takes_two_hops_and_keeps_its_parameters():
    table = {on.hostname: on for on in (host(), host("redirect_only"))}
    hops = follow("https://redirect-only.example/spring?utm_source=x&b=%20", find=table.get, accept_language="de")
    assert chain(hops) == [
        "https://redirect-only.example/spring?utm_source=x&b=%20",
        "https://acme.example/spring?utm_source=x&b=%20",
        "https://acme.example/de-AT/spring?utm_source=x&b=%20",
    ]
    assert hops[-1].decision is not None
    assert hops[-1].decision.outcome is Outcome.SERVE


def test_a_chain_ends_where_nobody_serves_the_host():
    (hop,) = follow("https://nobody.example/", find=lambda name: None)
    assert (hop.host, hop.decision) == (None, None)


SHOPS = ("a", "b")
LOCALES = ("en", "de", "de-AT", "EN", "", "//evil.test", "evil.test", "api", "../x")


@st.composite
def tables(draw: st.DrawFn) -> dict[str, HostFacts]:
    """Hosts of two shops in any roles and modes; each has one canonical host or none, and strange locales at times."""
    table: dict[str, HostFacts] = {}
    for shop in SHOPS:
        has_canonical = draw(st.booleans())
        locales = tuple(draw(st.lists(st.sampled_from(LOCALES), max_size=3)))
        default, asks = draw(st.sampled_from(LOCALES)), draw(st.booleans())
        origin = f"https://{shop}0.example:8443" if has_canonical else ""
        roles = [
            "canonical" if has_canonical else "alias",
            *draw(st.lists(st.sampled_from(["alias", "redirect_only"]))),
        ]
        for number, role in enumerate(roles):
            mode = draw(st.sampled_from(["active", "active", "landing_only", "expired"]))
            name = f"{shop}{number}.example"
            table[name] = HostFacts(name, role, mode, origin, locales, default, asks)
    return table


PIECES = st.sampled_from(
    ["/", "//", "\\", "..", ".", "evil.test", "@", ":", "https:", "%2F", "%5C", "%0d%0a", "%2e", "%", "?", "#", "&",
     "en", "de-AT", "api", "cart", "static", ".well-known", "admin", "robots.txt", "ü", " ", "\x00", "x=1", ";"]
)  # fmt: skip
TARGETS = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=8).map("".join)


@given(
    table=tables(), shop=st.sampled_from(SHOPS), number=st.integers(0, 3), rest=TARGETS, language=st.text(max_size=9)
)
def test_every_chain_ends_within_two_hops_on_the_shops_own_hosts(
    table: dict[str, HostFacts], shop: str, number: int, rest: str, language: str
):
    name = f"{shop}{number}.example"
    hops = follow(f"https://{name}:8443/{rest}", find=table.get, accept_language=language)
    assert len(hops) <= 3
    for hop in hops:
        assert (urlsplit(hop.url).hostname or "")[0] == shop
    last = hops[-1].decision
    if last is None:
        assert name not in table
        return
    assert last.outcome is not Outcome.REDIRECT
    query = urlsplit(hops[0].url).query
    assert unquote(urlsplit(hops[-1].url).query) == unquote(escape_target(query, "utf-8"))


@given(target=st.one_of(st.text(), TARGETS.map(lambda rest: f"/{rest}")), role=st.sampled_from(["canonical", "alias"]))
def test_a_location_is_a_safe_header_on_this_shop_whatever_is_sent(target: str, role: str):
    for sent in (target, escape_target(target, "utf-8")):
        decision = decide(RequestFacts("GET", sent), host(role))
        if decision.outcome is Outcome.REDIRECT:
            assert decision.location.startswith((f"{CANON}/", "/en/", "/de-AT/"))
            assert decision.location.isascii() and decision.location.isprintable() and " " not in decision.location
            assert decision.location.endswith(sent) or sent.startswith(("/en", "/de-AT"))


HOSTS = st.builds(
    HostFacts,
    hostname=st.sampled_from(["acme.example", "alias.example"]),
    role=st.sampled_from(Host.Role.values),
    mode=st.sampled_from(Host.Mode.values),
    canonical=st.sampled_from(["", CANON]),
    locales=st.just(("en",)),
)
SENT = st.sampled_from([*SHOP_API, "/api", "/api/", "/api/nowhere", "/api/inventory/holds/1", "/", "/admin/", "/en/"])


QUERIES = st.builds(
    lambda text, times: text * times, st.text(st.characters(max_codepoint=255), max_size=8), st.integers(0, 700)
)


@given(on=HOSTS, path=SENT, query=QUERIES, method=st.sampled_from(["GET", "HEAD", "POST", "DELETE"]))
def test_what_is_surely_served_is_what_the_decision_serves(on: HostFacts, path: str, query: str, method: str):
    """However the address was spelled: percent-encoded whole, or as Django puts it together."""
    if not surely_served(path, query, role=on.role, mode=on.mode):
        return
    spellings = [f"{path}?{query}", f"{path}?{iri_to_uri(query)}", "/" + "".join(f"%{ord(c):02x}" for c in path[1:])]
    for target in spellings:
        assert decide(RequestFacts(method, escape_target(target)), on).outcome is Outcome.SERVE


def test_the_api_of_an_open_shop_is_surely_served_and_nothing_else_is():
    assert surely_served("/api/cart", "x=1", role="canonical", mode="active")
    assert surely_served("/api/cart", "", role="alias", mode="active")
    assert not surely_served("/api/cart", "x" * LONGEST_TARGET, role="canonical", mode="active")
    assert not surely_served("/api/cart", "", role="redirect_only", mode="active")
    assert not surely_served("/api/cart", "", role="platform", mode="active")
    assert not surely_served("/api/cart", "", role="canonical", mode="expired")
    assert not surely_served("/en/", "", role="canonical", mode="active")

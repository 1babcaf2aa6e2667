"""Who may call which route of the inventory API, every route × every caller, and for whose shop (I5, T6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from inventory.api.urls import urlpatterns
from inventory.models import Hold, StockRow
from tenants.models import Host, ServiceToken
from tenants.service_tokens import revoke_service_token
from tenants.staff import EVERY_SHOP
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.workers import STAFF, Worker, issue
from tests.inventory.steps import counters

pytestmark = pytest.mark.django_db
BAND = {"items": [{"sku": "BAND", "quantity": 1}]}


@dataclass(frozen=True)
class Place:
    """A shop with five BANDs, its host, and a hold of one of them."""

    row: StockRow
    host: str
    hold_id: str


@dataclass(frozen=True)
class Route:
    """How a route is asked for something that works, and which scope that takes; empty where tokens mean nothing."""

    method: str
    path: str
    body: Any
    scope: str
    alone: bool = True
    """Whether a token is the only way in."""


# By the names of inventory/api/urls.py.
ROUTES = {
    "inventory-availability": Route("GET", "availability?sku=BAND", None, "", alone=False),
    "inventory-validate": Route("POST", "validate", BAND, "inventory:read", alone=False),
    "inventory-health": Route("GET", "health", None, "orders:read"),  # any scope
    "inventory-holds": Route("POST", "holds", BAND, "inventory:hold"),
    "inventory-hold": Route("GET", "holds/{hold}", None, "inventory:hold"),
    "inventory-hold-extend": Route("POST", "holds/{hold}/extend", {"ttlSeconds": 600}, "inventory:hold"),
    "inventory-hold-commit": Route("POST", "holds/{hold}/commit", {}, "inventory:hold"),
    "inventory-hold-release": Route("POST", "holds/{hold}/release", {}, "inventory:hold"),
}


def place_of(shop_id: str) -> Place:
    host: Host = HostFactory(shop__id=shop_id)
    row: StockRow = StockRowFactory(owner__shop=host.shop, sku="BAND", on_hand=5)
    held = Worker(issue(shop_id)).hold("BAND").json()
    return Place(row, host.hostname, held["holdId"])


@pytest.fixture
def acme() -> Place:
    return place_of("acme")


def ask(route: Route, place: Place, token: str = "", *, host: str = "", **headers: str) -> HttpResponse:
    return Worker(token, host or place.host).call(
        route.method, route.path.format(hold=place.hold_id), route.body, **headers
    )


def refusal(answer: HttpResponse) -> tuple[int, str]:
    body = answer.json()
    assert (body["status"], body["error"]) == (answer.status_code, body["code"])
    assert ("WWW-Authenticate" in answer) is (answer.status_code == 401)
    if answer.status_code == 401:
        assert answer["WWW-Authenticate"] == "Bearer"
    return answer.status_code, body["code"]


def unknown(scope: str) -> str:
    return f"hfs_{'0' * 16}_{'A' * 43}"


def revoked(scope: str) -> str:
    token = issue("acme", scope)
    revoke_service_token(token_id=token.split("_")[1], scope=EVERY_SHOP, reason="A test", acting=STAFF)
    return token


def expired(scope: str) -> str:
    token = issue("acme", scope, days=1)
    long_ago = timezone.now() - timedelta(days=2)
    ServiceToken.objects.filter(pk=token.split("_")[1]).update(created_at=long_ago, expires_at=timezone.now())
    return token


def wrong_secret(scope: str) -> str:
    token = issue("acme", scope)
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


BAD_TOKENS: list[Callable[[str], str]] = [
    lambda scope: "malformed", lambda scope: "", unknown, wrong_secret, revoked, expired,
]  # fmt: skip


def test_every_route_is_in_the_matrix():
    assert {pattern.name for pattern in urlpatterns} == ROUTES.keys()


@pytest.mark.parametrize("name", ROUTES)
class TestTheMatrix:
    def test_a_good_token_gets_through_on_either_host(self, acme: Place, name: str):
        route = ROUTES[name]
        token = issue("acme", *(route.scope,) if route.scope else ())
        answer = ask(route, acme, token)
        assert answer.status_code in (200, 201), answer.content
        if route.scope:
            assert ask(route, acme, token, host="localhost").status_code in (200, 201)

    def test_nobody(self, acme: Place, name: str):
        route = ROUTES[name]
        answer = ask(route, acme)
        if route.alone:
            assert refusal(answer) == (401, "unauthenticated")
            assert refusal(ask(route, acme, host="localhost")) == (401, "unauthenticated")
        else:
            assert answer.status_code == 200
            elsewhere = refusal(ask(route, acme, host="localhost"))
            assert elsewhere == ((400, "shop_required") if route.scope else (404, "not_found"))
        assert counters(acme.row) == [(5, 1, 4)]

    def test_a_token_that_opens_nothing(self, acme: Place, name: str):
        route = ROUTES[name]
        said = set()
        for bad in BAD_TOKENS:
            answer = ask(route, acme, Authorization=f"Bearer {bad(route.scope or 'orders:read')}")
            if not route.scope:
                assert answer.status_code == 200, "tokens mean nothing here"
                continue
            assert refusal(answer) == (401, "unauthenticated")
            said.add(answer.json()["detail"])
        assert len(said) <= 1, "whichever fault a token has"
        assert counters(acme.row) == [(5, 1, 4)]

    def test_another_way_to_authenticate_is_none(self, acme: Place, name: str):
        route = ROUTES[name]
        answer = ask(route, acme, Authorization="Basic YWRtaW46YWRtaW4=")
        assert answer.status_code == (401 if route.alone else 200)
        scheme = ask(route, acme, Authorization=f"bearer  {issue('acme', route.scope or 'orders:read')} ")
        assert scheme.status_code in (200, 201), "the scheme's case and spaces don't matter"

    def test_another_scope(self, acme: Place, name: str):
        route = ROUTES[name]
        others = [scope for scope in ServiceToken.Scope.values if scope != route.scope]
        answer = ask(route, acme, issue("acme", *others))
        if name in ("inventory-health", "inventory-availability"):
            assert answer.status_code == 200, "any token is good for this, or none is needed"
        else:
            assert refusal(answer) == (403, "forbidden")
            assert route.scope in answer.json()["detail"]
        assert counters(acme.row) == [(5, 1, 4)]

    def test_another_shops_token(self, acme: Place, name: str):
        """On the shop's host it is refused. On the platform's it is its own shop's, where there is no such thing."""
        route, stranger = ROUTES[name], place_of("birch")
        token = issue("birch", *(route.scope,) if route.scope else ())
        answer = ask(route, acme, token)
        assert answer.status_code == 200 if not route.scope else refusal(answer) == (403, "forbidden")
        if route.scope:
            claimed = ask(route, acme, token, host="localhost", X_Shop_Id="acme")
            assert refusal(claimed) == (400, "shop_conflict")
            own = ask(route, acme, token, host="localhost")
            if "{hold}" in route.path:
                assert refusal(own) == (404, "not_found")
            else:
                assert own.json().get("shopId", "birch") == "birch"
        assert counters(acme.row) == [(5, 1, 4)]
        assert Hold.objects.for_shop("acme").count() == 1
        assert counters(stranger.row)[0][0] == 5


class TestThePlatformsToken:
    """It names its shop by header or body; whoever names two is refused."""

    @pytest.fixture
    def token(self) -> str:
        return issue(None)

    @pytest.mark.parametrize("name", [name for name in ROUTES if ROUTES[name].scope])
    def test_the_header(self, acme: Place, token: str, name: str):
        for host in ("localhost", acme.host):
            answer = ask(ROUTES[name], acme, token, host=host, X_Shop_Id="acme")
            assert answer.status_code in (200, 201), answer.content
            assert answer.json().get("shopId", "acme") == "acme"

    @pytest.mark.parametrize("name", [name for name in ROUTES if ROUTES[name].method == "POST"])
    def test_the_body(self, acme: Place, token: str, name: str):
        route = ROUTES[name]
        named = Route(route.method, route.path, {**route.body, "shopId": "acme"}, route.scope)
        assert ask(named, acme, token, host="localhost").status_code in (200, 201)
        assert ask(named, acme, token, host="localhost", X_Shop_Id="acme").status_code in (200, 201)

    @pytest.mark.parametrize("name", [name for name in ROUTES if ROUTES[name].scope])
    def test_neither(self, acme: Place, token: str, name: str):
        answer = ask(ROUTES[name], acme, token, host="localhost")
        if name == "inventory-health":
            assert (answer.status_code, answer.json()["shopId"]) == (200, None)
        else:
            assert refusal(answer) == (400, "shop_required")
        there = ask(ROUTES[name], acme, token)
        assert there.status_code in (200, 201), "on a shop's host the host says it"

    @pytest.mark.parametrize("name", [name for name in ROUTES if ROUTES[name].scope])
    def test_a_shop_that_is_not_the_requests(self, acme: Place, token: str, name: str):
        place_of("birch")
        route = ROUTES[name]
        assert refusal(ask(route, acme, token, X_Shop_Id="birch")) == (400, "shop_conflict")
        for nobody in ("nobody", "ACME", "acme.localhost", "%", "a" * 500):
            assert refusal(ask(route, acme, token, host="localhost", X_Shop_Id=nobody)) == (400, "shop_required")
        if route.method != "POST":
            return
        for said in ("birch", "nobody", ""):
            named = Route(route.method, route.path, {**route.body, "shopId": said}, route.scope)
            assert refusal(ask(named, acme, token)) == (400, "shop_conflict")
            assert refusal(ask(named, acme, token, host="localhost", X_Shop_Id="acme")) == (400, "shop_conflict")
            own = issue("acme")
            assert refusal(ask(named, acme, own, host="localhost")) == (400, "shop_conflict")
        assert counters(acme.row) == [(5, 1, 4)]

    def test_a_body_that_nobody_can_read_names_no_shop(self, acme: Place, token: str):
        twice = b'{"shopId": "birch", "shopId": "acme", "items": [{"sku": "BAND", "quantity": 1}]}'
        for body in (b"", b"[]", b"{", b'{"shopId": 1}', b'{"shopId": null}', b'{"shopId": ["acme"]}', b"\xff", twice):
            assert refusal(Worker(token).call("POST", "validate", body)) == (400, "invalid_request")


class TestBrowsers:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Origin": "http://acme.localhost"}, 200),
            ({"Sec_Fetch_Site": "same-origin"}, 200),
            ({"Sec_Fetch_Site": "none"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://birch.localhost"}, 403),
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Sec_Fetch_Site": "same-site"}, 403),
        ],
    )
    def test_another_sites_page_validates_nothing_and_holds_nothing(
        self, acme: Place, headers: dict[str, str], status: int
    ):
        answer = ask(ROUTES["inventory-validate"], acme, **headers)
        assert answer.status_code == status
        if status == 403:
            assert refusal(answer) == (403, "forbidden")
            assert refusal(ask(ROUTES["inventory-holds"], acme, issue("acme"), **headers)) == (403, "forbidden")
            assert counters(acme.row) == [(5, 1, 4)]

    def test_a_shop_that_a_stranger_names_is_ignored(self, acme: Place):
        answer = ask(ROUTES["inventory-validate"], acme, X_Shop_Id="birch", X_Front_Door_Token="guessed")
        assert (answer.status_code, answer.json()["shopId"]) == (200, "acme")

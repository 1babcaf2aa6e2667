"""Every route is asked, on one shop's host, for what is the other shop's: nothing is found, nothing is touched (T9).

The routes come from the resolver. One that is new has to say in probes.py how it is tried, or here why it can't be.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from commerce.cart.cookie import COOKIE_NAME
from tests.fixtures.sampling import some
from tests.fixtures.standin import StandIn
from tests.isolation.probes import PROBES, Ask
from tests.isolation.routes import routes
from tests.isolation.sides import World, shown
from tests.isolation.world import build

NOT_TRIED = {
    "healthz": "Says that the process lives, of no shop.",
    "readyz": "Says that the database answers, of no shop.",
    "metrics": "The platform's, for its own machines: figures of all shops by their ids. No shop's host serves it.",
    "i18n/setlang/": "Keeps a language in a cookie; reads no row.",
}


@pytest.fixture
def world(transactional_db: None, standin: StandIn) -> World:
    return build(standin)


def disguises(world: World) -> list[dict[str, str]]:
    """What a client may claim about itself. None of it is believed: the host decides.

    All claims of one request name the same shop, so that whichever is believed leads there.
    """
    shop_id, host = world.there.shop_id, world.there.trade.host
    return [
        {},
        {
            "X-Shop-Id": shop_id, "X-Holdfast-Shop": shop_id, "X-Tenant-Id": shop_id, "X-Internal-Shop": shop_id,
            "X-Forwarded-Host": host, "Forwarded": f"host={host}", "X-Original-Host": host, "X-Host": host,
        },
        {"X-Shop-Id": shop_id, "X-Front-Door-Token": "guessed", "Authorization": "Bearer guessed"},
    ]  # fmt: skip


def test_every_route_is_tried_or_says_why_not():
    known = {route for route, _ in routes() if not route.startswith("admin/")}
    assert known == PROBES.keys() | NOT_TRIED.keys(), "Say in PROBES how it is tried, or in NOT_TRIED why it can't be."


@pytest.mark.parametrize("cookie", ["theirs", "ours", "none"])
def test_nothing_is_found_and_nothing_is_touched(world: World, cookie: str):
    """Each request in each disguise, with the other shop's cart in the cookie, with one's own, and without."""
    markers, leaks, count = world.markers(), [], 0
    before, digests = world.untouched(), world.digests()
    for route, probe in PROBES.items():
        asks = list(probe(world))
        for ask in asks:
            # With the other shop's cart every time in each disguise, else in turns.
            for disguise in some(disguises(world), 3 if cookie == "theirs" else 1, turn=count):
                count += 1
                answer = send(world.here.trade.host, ask, disguise, _cookie(world, cookie))
                named = f"{ask.path} {ask.body!r} {ask.headers} {disguise}"
                found = shown(markers, answer, sent=named)
                if found or answer.status_code >= 500:
                    leaks.append(f"{route}: {named} → {answer.status_code} {sorted(found)[:4]}")
        if (now := world.digests()) == digests:
            continue
        after, grows = world.untouched(), {label for ask in asks for label in ask.grows}
        for label in [label for label in now if now[label] != digests[label]]:
            if not (label in grows and _only_grew(before[label], after[label])):
                leaks.append(f"{route}: changed {label}")
        before, digests = after, now
    assert (leaks, count > 100) == ([], True)


def _only_grew(before: list[Any], after: list[Any]) -> bool:
    return set(map(repr, before)) <= set(map(repr, after))


def _cookie(world: World, whose: str) -> str:
    return {"theirs": world.there.cookie, "ours": world.here.cookie, "none": ""}[whose]


def send(host: str, ask: Ask, disguise: dict[str, str], cookie: str) -> HttpResponse:
    client = Client(raise_request_exception=False)
    if cookie:
        client.cookies[COOKIE_NAME] = cookie
    body = ask.body if isinstance(ask.body, bytes) else json.dumps(ask.body or {}).encode()
    headers = {"Host": host, **disguise, **ask.headers}
    if ask.method == "GET":
        return client.get(ask.path, headers=headers)
    return client.generic(ask.method, ask.path, body, content_type="application/json", headers=headers)


def test_the_same_requests_find_it_at_home(world: World):
    """What was looked for is there: on its own host, with its own cart, the other shop is shown what is its."""
    markers = world.markers()
    silent = {"robots.txt", ".well-known/holdfast-verification.txt", "<locale:locale>/<path:path>"}
    dumb = []
    for route, probe in PROBES.items():
        answers = [send(world.there.trade.host, ask, {}, world.there.cookie) for ask in probe(world)]
        if route not in silent and not any(answer.status_code < 300 for answer in answers):
            dumb.append((route, [answer.status_code for answer in answers]))
        if "GET" in {ask.method for ask in probe(world)} and route in {"api/cart", "api/catalog", "<locale:locale>/"}:
            assert any(shown(markers, answer) for answer in answers), route
    assert dumb == []


def test_a_cart_of_another_shop_reads_as_none(world: World):
    answer = send(world.here.trade.host, Ask("GET", "/api/cart"), {}, world.there.cookie)
    assert (answer.status_code, answer.json()["lines"]) == (200, [])

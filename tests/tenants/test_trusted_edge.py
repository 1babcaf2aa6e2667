"""Who may say for which shop a request is (T6): every internal header, with and without a token, on every kind of host
and route, against one literal table.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.errors import ShopConflict, ShopRequired
from tenants.identity import refuse_other_shop
from tenants.models import FrontDoorToken, Host, Shop
from tenants.tokens import issue_front_door_token, revoke_front_door_token
from tests.factories.tenants import HostFactory
from tests.fixtures.lines import Lines
from tests.fixtures.workers import issue as service_token

pytestmark = pytest.mark.django_db
STAFF = Actor("staff", "olga")

# What a request gets: the shop for which it reaches its view, `-` for a view without a shop, else the problem's code.
# `stranger`: no valid token, whatever its headers say, and with a token whatever headers other than X-Shop-Id say.
# Then a valid token with X-Shop-Id: acme (the shop of the host `shop`), victim (another), nobody (no such shop),
# gone (a closed shop). `no_token`: 401, as this route asks for a service token, which is the edge's to send along.
TABLE = """
host      route                      stranger      acme          victim         nobody         gone
shop      /healthz                   -             -             -              -              -
shop      /api/cart                  acme          acme          shop_conflict  shop_conflict  shop_conflict
shop      /api/inventory/validate    acme          acme          shop_conflict  shop_conflict  shop_conflict
shop      /api/inventory/holds/1     no_token      no_token      no_token       no_token       no_token
shop      /api/stripe-webhook        acme          acme          shop_conflict  shop_conflict  shop_conflict
shop      /en/page                acme          acme          shop_conflict  shop_conflict  shop_conflict
shop      /admin/                    not_found     not_found     not_found      not_found      not_found
platform  /healthz                   -             -             -              -              -
platform  /api/cart                  not_found     not_found     not_found      not_found      not_found
platform  /api/inventory/validate    -             acme          victim         shop_required  shop_expired
platform  /api/inventory/holds/1     no_token      no_token      no_token       no_token       no_token
platform  /api/stripe-webhook        not_found     not_found     not_found      not_found      not_found
platform  /en/page                not_found     not_found     not_found      not_found      not_found
platform  /admin/                    -             -             -              -              -
hooks     /healthz                   -             -             -              -              -
hooks     /api/cart                  not_found     not_found     not_found      not_found      not_found
hooks     /api/inventory/validate    not_found     not_found     not_found      not_found      not_found
hooks     /api/inventory/holds/1     not_found     not_found     not_found      not_found      not_found
hooks     /api/stripe-webhook        -             -             -              -              -
hooks     /en/page                not_found     not_found     not_found      not_found      not_found
hooks     /admin/                    not_found     not_found     not_found      not_found      not_found
unknown   /healthz                   -             -             -              -              -
unknown   /api/cart                  unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
unknown   /api/inventory/validate    unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
unknown   /api/inventory/holds/1     unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
unknown   /api/stripe-webhook        unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
unknown   /en/page                unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
unknown   /admin/                    unknown_host  unknown_host  unknown_host   unknown_host   unknown_host
"""
COLUMNS, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
NAMED = ("acme", "victim", "nobody", "gone")
TOKENS = ("none", "empty", "wrong", "revoked", "valid")
OTHER_HEADERS = ("X-Shop", "X-Shop-Context", "X-Front-Door-Shop", "X-Holdfast-Shop")
HOSTS = {
    "shop": "acme.localhost",
    "platform": "localhost",
    "hooks": "hooks.localhost",
    "unknown": "unknown.example",
}


HEADERS = (*(("X-Shop-Id", value) for value in NAMED), *((header, "victim") for header in OTHER_HEADERS))


def expected(row: list[str], token: str) -> dict[str, str]:
    """The row's cells for each header that a request with such a token may carry."""
    cell = dict(zip(COLUMNS, row, strict=True))
    return {
        f"{header}: {value}": cell[value if token == "valid" and header == "X-Shop-Id" else "stranger"]
        for header, value in HEADERS
    }


@pytest.fixture(autouse=True)
def edge(db: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.tenants.edge_urls"
    for shop_id in ("acme", "victim", "gone"):
        HostFactory(shop__id=shop_id)
    Shop.objects.filter(pk="gone").update(status=Shop.Status.CLOSED)
    HostFactory(shop=None, role=Host.Role.HOOKS, hostname="hooks.localhost")


def issue(label: str = "edge") -> str:
    return issue_front_door_token(label=label, reason="For a test", acting=STAFF).token


def revoke() -> None:
    token_id = FrontDoorToken.objects.get(slot__isnull=False).pk
    revoke_front_door_token(token_id=token_id, reason="For a test", acting=STAFF)


def sent_token(kind: str) -> dict[str, str]:
    if kind == "none":
        return {}
    real = issue()
    if kind == "revoked":
        revoke()
    flipped = real[:-1] + ("A" if real[-1] != "A" else "B")
    return {"X-Front-Door-Token": {"empty": "", "wrong": flipped}.get(kind, real)}


def outcome(answer: Any) -> str:
    body = answer.json()
    if answer.status_code == 401:
        return "no_token"
    if answer.status_code != 200:
        return str(body["code"])
    assert body["internal"] == [], "no internal header goes further, whoever sent it"
    return body["shop"] or "-"


def ask(client: Client, host: str, route: str, headers: dict[str, str]) -> Any:
    return client.get(route, headers={"Host": HOSTS[host], **headers})


@pytest.mark.parametrize("token", TOKENS)
def test_the_matrix(client: Client, token: str):
    carried = sent_token(token)
    for row in ROWS:
        asked = {f"{name}: {value}": ask(client, row[0], row[1], carried | {name: value}) for name, value in HEADERS}
        assert {name: outcome(answer) for name, answer in asked.items()} == expected(row, token), row[:2]


def test_the_table_is_whole():
    from tests.tenants.edge_urls import urlpatterns

    routes = {"/" + str(pattern.pattern).replace("<str:hold_id>", "1") for pattern in urlpatterns}
    assert {(row[0], row[1]) for row in ROWS} == set(product(HOSTS, routes))
    assert all(len(row) == len(COLUMNS) for row in ROWS)


class TestTheHeader:
    @pytest.mark.parametrize("value", ["acme,victim", "ACME", " acme.", "acme\x00", "%00", "a" * 64, "ácme", "../acme"])
    @pytest.mark.parametrize(("host", "code"), [("platform", "shop_required"), ("shop", "shop_conflict")])
    def test_what_can_not_be_a_shop(self, client: Client, host: str, code: str, value: str):
        answer = ask(client, host, "/api/inventory/validate", sent_token("valid") | {"X-Shop-Id": value})
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    @pytest.mark.parametrize(("host", "cell"), [("platform", "-"), ("shop", "acme")])
    def test_a_token_alone_or_with_an_empty_header_decides_nothing(self, client: Client, host: str, cell: str):
        token = sent_token("valid")
        assert outcome(ask(client, host, "/api/inventory/validate", token)) == cell
        assert outcome(ask(client, host, "/api/inventory/validate", token | {"X-Shop-Id": ""})) == cell

    def test_a_named_shop_is_the_one_of_its_own_host(self, client: Client):
        answer = ask(client, "platform", "/api/inventory/validate", sent_token("valid") | {"X-Shop-Id": "victim"})
        assert (answer.json()["shop"], answer.json()["host"]) == ("victim", "victim.localhost")

    @pytest.mark.parametrize("mode", ["landing_only", "expired"])
    def test_a_named_shop_is_closed_where_its_own_host_is(self, client: Client, mode: str):
        Host.objects.filter(hostname="acme.localhost").update(mode=mode)
        token = sent_token("valid") | {"X-Shop-Id": "acme"}
        assert outcome(ask(client, "platform", "/api/inventory/validate", token)) == "shop_expired"
        worker = {"Authorization": f"Bearer {service_token('acme')}"}
        assert outcome(ask(client, "platform", "/api/inventory/holds/1", worker)) == "acme", "settlement stays open"

    @pytest.mark.parametrize(
        ("origin", "status"),
        [("http://acme.localhost:8000", 200), ("http://localhost:8000", 403), ("http://victim.localhost:8000", 403)],
    )
    def test_a_browser_behind_the_edge_comes_from_the_named_shop(self, client: Client, origin: str, status: int):
        answer = client.post(
            "/api/inventory/validate", b"{}", content_type="application/json",
            headers={"Host": "localhost:8000", "Origin": origin, "X-Shop-Id": "acme"} | sent_token("valid"),
        )  # fmt: skip
        assert answer.status_code == status


class TestTheBody:
    """Header, host and body: whichever two differ, the request is refused."""

    @pytest.mark.parametrize(
        ("host", "header", "body", "answer"),
        [
            ("shop", None, None, "acme"),
            ("shop", None, "acme", "acme"),
            ("shop", None, "victim", "shop_conflict"),
            ("shop", None, "nobody", "shop_conflict"),
            ("shop", None, "", "shop_conflict"),
            ("shop", "acme", "acme", "acme"),
            ("shop", "acme", "victim", "shop_conflict"),
            ("shop", "victim", "acme", "shop_conflict"),
            ("shop", "victim", "victim", "shop_conflict"),
            ("platform", "acme", "acme", "acme"),
            ("platform", "acme", "victim", "shop_conflict"),
            ("platform", "victim", "victim", "victim"),
            ("platform", None, "victim", "shop_required"),
            ("platform", None, None, "shop_required"),
        ],
    )
    def test_three_ways(self, client: Client, host: str, header: str | None, body: str | None, answer: str):
        got = client.post(
            "/api/inventory/validate", {} if body is None else {"shopId": body}, content_type="application/json",
            headers={"Host": HOSTS[host]} | sent_token("valid") | ({"X-Shop-Id": header} if header else {}),
        )  # fmt: skip
        said = got.json()
        assert (got.status_code, said.get("shop", said.get("code"))) == (400 if "_" in answer else 200, answer)

    def test_without_a_request(self):
        with bind_shop(load_shop("acme")):
            refuse_other_shop(None)
            refuse_other_shop("acme")
            with pytest.raises(ShopConflict):
                refuse_other_shop("victim")
        with pytest.raises(ShopRequired):
            refuse_other_shop(None)


class TestAWrongToken:
    def test_is_counted_each_time_and_told_once_a_minute_without_what_was_sent(self, client: Client, log_lines: Lines):
        label = {"shop_id": "acme"}
        before = REGISTRY.get_sample_value("front_door_token_refused_total", label) or 0.0
        for n in range(5):
            ask(client, "shop", "/api/cart", {"X-Front-Door-Token": f"fdt_guess-{n}"})
        assert REGISTRY.get_sample_value("front_door_token_refused_total", label) == before + 5
        lines = [line for line in log_lines() if line["event"] == "front_door_token_refused"]
        assert [line["refused"] for line in lines] == [1]
        assert "guess" not in str(log_lines())

    def test_gets_the_answer_of_a_request_without_one(self, client: Client):
        same = {"X-Request-Id": "same-request", "X-Shop-Id": "victim"}
        honest = ask(client, "shop", "/api/cart", same)
        wrong = ask(client, "shop", "/api/cart", same | {"X-Front-Door-Token": issue() + "x"})
        assert (wrong.status_code, wrong.content, dict(wrong.items())) == (200, honest.content, dict(honest.items()))


class TestCost:
    def tokens_read(self, client: Client, headers: dict[str, str]) -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(client, "shop", "/api/cart", headers)
        return sum("tenants_frontdoortoken" in query["sql"] for query in captured)

    def test_the_steady_path_reads_no_table(self, client: Client, settings: Settings):
        settings.FRONT_DOOR_TOKEN_SECONDS = 60.0
        valid = sent_token("valid") | {"X-Shop-Id": "acme"}
        assert self.tokens_read(client, valid) == 2, "the copy, and the time of use"
        assert self.tokens_read(client, valid) == 0
        assert self.tokens_read(client, {"X-Front-Door-Token": "fdt_guess"}) == 0

    def test_no_token_and_no_likely_token_reads_none(self, client: Client):
        for header in ({}, {"X-Shop-Id": "acme"}, {"X-Front-Door-Token": "guess"}, {"X-Front-Door-Token": "fdt_" * 50}):
            assert self.tokens_read(client, header) == 0

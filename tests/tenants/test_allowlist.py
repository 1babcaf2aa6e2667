"""Every route of the URL configuration on every kind of host, and routes that nobody listed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tenants.allowlist import ANY_HOST, API, API_BELOW, HostRole, rule_for
from tenants.models import Host
from tests.factories.tenants import HostFactory

pytestmark = pytest.mark.django_db

HOSTS = {
    HostRole.SHOP: "acme.localhost",
    HostRole.HOOKS: "hooks.localhost",
    HostRole.PLATFORM: "localhost",
}

# The contract's table of endpoints: route → roles of the hosts that serve it.
SHOP, HOOKS, PLATFORM = HostRole.SHOP, HostRole.HOOKS, HostRole.PLATFORM
CONTRACT = {
    "/api/cart": {SHOP},
    "/api/catalog": {SHOP},
    "/api/capabilities": {SHOP},
    "/api/checkout-session": {SHOP},
    "/api/checkout/session": {SHOP},
    "/api/checkout-session/cs_1": {SHOP},
    "/api/order-status": {SHOP},
    "/api/inventory/availability": {SHOP},
    "/api/inventory/validate": {SHOP, PLATFORM},
    "/api/inventory/holds": {SHOP, PLATFORM},
    "/api/inventory/holds/0/release": {SHOP, PLATFORM},
    "/api/inventory/health": {SHOP, PLATFORM},
    "/api/stripe-webhook": {HOOKS, SHOP},
    "/api/billing/webhook": {HOOKS, SHOP},
    "/admin/": {PLATFORM},
    "/metrics": {PLATFORM},
    "/healthz": {SHOP, HOOKS, PLATFORM},
    "/readyz": {SHOP, HOOKS, PLATFORM},
}


@pytest.fixture(autouse=True)
def hosts(db: None) -> None:
    HostFactory(shop__id="acme")
    HostFactory(shop=None, role=Host.Role.HOOKS, hostname=HOSTS[HostRole.HOOKS])


def routes(patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "/") -> Iterator[str]:
    """An address for every route that is configured, with a stand-in for each parameter."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + re.sub(r"<[^>]+>", "0", str(entry.pattern)).replace("^", "").replace("$", "")
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, path)
        else:
            yield path


def roles_of(path: str) -> set[HostRole]:
    if path in ANY_HOST:
        return set(HostRole)
    rule = rule_for(path)
    return set(rule.roles) if rule else set()


def test_the_table_is_the_contracts():
    assert {path: roles_of(path) for path in CONTRACT} == CONTRACT


def test_no_route_is_configured_without_a_row():
    unlisted = [path for path in routes() if path.startswith("/api/") and not rule_for(path)]
    assert unlisted == []


def test_every_route_answers_on_its_hosts_alone():
    client = Client(raise_request_exception=False)
    # One decision for the whole folder of the back office.
    for path in sorted({"/admin/" if path.startswith("/admin/") else path for path in routes()}):
        for role, host in HOSTS.items():
            answer = client.get(path, headers={"Host": host, "Accept": "application/json"})
            refused = answer.status_code == 404 and answer.json()["detail"] == "There is nothing at this address."
            served = role in roles_of(path)
            if path == "/" and role is HostRole.PLATFORM:
                assert answer.status_code == 302
            elif not served:
                assert refused, f"{path} on {role}"
            elif not path.startswith("/api/"):
                continue  # a page may well not exist for this stand-in parameter
            else:
                assert not refused, f"{path} on {role}"


@pytest.mark.parametrize("host", HOSTS.values())
@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/unknown",
        "/api/cart/",
        "/api/cart/x",
        "/api/../admin/",
        "/api//cart",
        "/api/checkout-session/",
        "/api/inventory",
        "/api/inventory/holds/",
        "/api/schema",
        "/api/return/",
        "/api/v2/cart",
    ],
)
def test_every_other_api_path_is_a_404_problem_on_every_host(client: Client, host: str, path: str):
    for method in ("GET", "POST"):
        answer = client.generic(method, path, headers={"Host": host, "Accept": "text/html"})
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
        assert answer.json()["code"] == "not_found"


def test_every_row_names_roles_and_a_family():
    for rule in (*API.values(), *API_BELOW.values()):
        assert rule.roles
        assert re.fullmatch(r"[a-z_]+", rule.family)

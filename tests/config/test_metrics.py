from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from pytest_django import Settings

from tenants.metrics import database_registry, register_collector

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def scrape(client: Client, *, peer: str = "203.0.113.9", host: str = "localhost", **headers: str) -> int:
    sent = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.get("/metrics", REMOTE_ADDR=peer, headers=sent).status_code


def test_the_token_opens_from_anywhere(client: Client):
    assert scrape(client, Authorization=f"Bearer {TOKEN}") == 200
    assert scrape(client, Authorization=f"bearer {TOKEN}", X_Forwarded_For="203.0.113.9") == 200


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_anything_else_from_afar_is_refused(client: Client, sent: str):
    assert scrape(client, Authorization=sent) == 403


def test_without_a_token_set_no_token_opens(client: Client, settings: Settings):
    settings.METRICS_TOKEN = ""
    assert scrape(client, Authorization="Bearer ") == 403


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_this_machine_may_read_directly(client: Client, peer: str):
    assert scrape(client, peer=peer) == 200


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_Ip", "Via"])
def test_a_proxy_on_this_machine_is_not_this_machine(client: Client, header: str):
    assert scrape(client, peer="127.0.0.1", **{header: "127.0.0.1"}) == 403


def test_a_wrong_token_from_this_machine_is_refused(client: Client):
    assert scrape(client, peer="127.0.0.1", Authorization="Bearer wrong") == 403


def test_no_shops_host_has_it(client: Client, shop_host: str):
    assert scrape(client, peer="127.0.0.1", host=shop_host) == 404


class Gauges:
    def __init__(self, name: str, *, broken: bool = False) -> None:
        self.name = name
        self.broken = broken

    def collect(self) -> Iterator[Metric]:
        if self.broken:
            raise RuntimeError("the database is gone")
        yield GaugeMetricFamily(self.name, "For this test.", value=42)


def test_an_apps_gauges_are_shown_and_a_broken_one_hides_nobody(client: Client):
    known = set(database_registry._collector_to_names)
    register_collector(Gauges("broken_for_a_test", broken=True))
    register_collector(Gauges("shown_for_a_test"))
    try:
        text = client.get("/metrics", headers={"Host": "localhost"}).content.decode()
    finally:
        for collector in set(database_registry._collector_to_names) - known:
            database_registry.unregister(collector)
    assert "shown_for_a_test 42.0" in text
    assert "broken_for_a_test" not in text
    assert "http_requests_total{" in text

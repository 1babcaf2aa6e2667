"""The front door's mild limit, over HTTP: per shop and client, cheap, and never in the way of probes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.front_door_pace import SHARES, Pace, pace
from tenants.models import Host
from tenants.rate_windows import LocalWindows, SharedWindows
from tests.factories.tenants import HostFactory
from tests.fixtures.limits import Minutes, counted_keys, take_redis_away
from tests.fixtures.workers import Worker, issue
from tests.tenants.test_rate_windows import most_in_a_minute

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("probes")]

HERE = "192.0.2.1"
PLATFORM, NOWHERE, HOOKS = "localhost", "nowhere.example", "hooks.localhost"


# Requests per minute, a tenth of the smallest that can be configured: what is counted here are real requests.
LIMIT = 6
# Of so many that ask, all but three are let in: shares are of one request, the first of which is the process's own.
ASKING = LIMIT + 1 + 3


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.FRONT_DOOR_RATE_LIMIT_ENABLED = True
    settings.FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE = LIMIT


def ask(client: Client, path: str = "/api/cart", host: str = "acme.localhost", address: str = HERE) -> Any:
    return client.get(path, headers={"Host": host, "X-Forwarded-For": address})


def let_in(call: Callable[[], Any], times: int = ASKING) -> int:
    """How many of so many requests are answered otherwise than 429."""
    return sum(call().status_code != 429 for _ in range(times))


def refused_total(shop_id: str) -> float:
    return REGISTRY.get_sample_value("front_door_rate_limited_total", {"shop_id": shop_id}) or 0.0


class TestWhoIsCounted:
    def test_one_client_of_one_shop(self, client: Client, acme: Host):
        HostFactory(shop__id="other")
        before = refused_total("acme")
        assert let_in(lambda: ask(client)) == LIMIT + 1
        assert refused_total("acme") - before == 3
        assert ask(client, host="other.localhost").status_code == 200, "another shop's customers are not concerned"
        assert ask(client, address="192.0.2.2").status_code == 200, "nor is anybody else here"

    def test_the_answer_says_when_to_come_again(self, client: Client, acme: Host):
        let_in(lambda: ask(client))
        answer = ask(client)
        wait = answer.json()["retryAfterMs"]
        assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
        assert (answer.json()["code"], answer.json()["shopId"]) == ("rate_limited", "acme")
        assert 0 < wait <= 60_000
        assert answer["Retry-After"] == str(-(-wait // 1000))
        assert HERE not in answer.content.decode()

    def test_aliases_of_a_shop_are_one(self, client: Client, acme: Host):
        HostFactory(hostname="alias.localhost", shop=acme.shop, role=Host.Role.ALIAS)
        let_in(lambda: ask(client))
        assert ask(client, host="alias.localhost").status_code == 429

    def test_what_the_client_puts_before_the_proxys_word_changes_nothing(self, client: Client, acme: Host):
        numbers = iter(range(200))
        assert let_in(lambda: ask(client, address=f"198.51.100.{next(numbers)}, {HERE}")) == LIMIT + 1
        assert ask(client, address=f"{'1.2.3.4, ' * 60}{HERE}").status_code == 429, "nor does a long header"

    def test_addresses_of_one_ipv6_customer_are_one(self, client: Client, acme: Host):
        numbers = iter(range(200))
        assert let_in(lambda: ask(client, address=f"2001:db8:0:7::{next(numbers):x}")) == LIMIT + 1
        assert ask(client, address="2001:db8:0:8::1").status_code == 200

    def test_unknown_hosts_are_one_for_all_their_names(self, client: Client, acme: Host):
        numbers = iter(range(200))
        answers = [ask(client, host=f"x{next(numbers)}.example").status_code for _ in range(ASKING)]
        assert (answers.count(404), answers.count(429)) == (LIMIT + 1, 3)
        assert ask(client).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/admin/login/", "/nothing/here"])
    def test_the_platforms_own_pages(self, client: Client, settings: Settings, path: str):
        settings.ROOT_URLCONF = "config.urls"
        assert let_in(lambda: ask(client, path, host=PLATFORM)) == LIMIT + 1

    def test_sitemaps_and_pages_that_are_not_there(self, client: Client, acme: Host):
        assert let_in(lambda: ask(client, "/sitemap.xml")) == LIMIT + 1
        assert ask(client, "/static/none.css").status_code == 429


class TestWhoIsNot:
    @pytest.mark.parametrize(
        ("path", "host"), [("/healthz", NOWHERE), ("/readyz", "acme.localhost"), ("/metrics", PLATFORM)]
    )
    def test_probes_and_the_scraper(self, client: Client, acme: Host, path: str, host: str):
        assert let_in(lambda: ask(client, path, host=host), times=15) == 15
        assert counted_keys() == []

    @pytest.mark.parametrize(
        ("path", "host"), [("/api/stripe-webhook", "acme.localhost"), ("/api/billing/webhook", HOOKS)]
    )
    def test_stripe_may_ten_times_as_often_and_apart_from_pages(self, client: Client, acme: Host, path: str, host: str):
        HostFactory(hostname=HOOKS, role=Host.Role.HOOKS, shop=None)
        let_in(lambda: ask(client, host=host))
        assert let_in(lambda: ask(client, path, host=host), times=70) == 10 * LIMIT + 1
        assert ask(client, path, host=host).status_code == 429, "which Stripe repeats for three days"

    def test_it_can_be_switched_off(self, client: Client, acme: Host, settings: Settings):
        settings.FRONT_DOOR_RATE_LIMIT_ENABLED = False
        assert let_in(lambda: ask(client)) == ASKING


class TestServiceTokens:
    """Six a minute, times ten on the routes of programs, times ten for who is known."""

    def test_a_holder_has_a_larger_limit_of_its_own(self, client: Client, acme: Host, settings: Settings):
        settings.ROOT_URLCONF = "config.urls"
        worker = Worker(issue("acme"), host="acme.localhost", client=client)
        stranger = Worker(host="acme.localhost", client=client)
        assert let_in(lambda: worker.get("health"), times=70) == 70
        assert counted_keys() == [f"door:acme:token-{worker.token.split('_')[1]}:600"]
        assert let_in(lambda: stranger.get("health"), times=70) == 10 * LIMIT + 1
        assert worker.get("health").status_code != 429, "from the same address"

    def test_guesses_at_tokens_are_counted_by_their_address(self, client: Client, acme: Host, settings: Settings):
        settings.ROOT_URLCONF = "config.urls"
        guesser = Worker("hfs_0123456789abcdef_" + "x" * 43, host="acme.localhost", client=client)
        answers = [guesser.get("health").status_code for _ in range(70)]
        assert (answers.count(401), answers.count(429)) == (10 * LIMIT + 1, 9)

    def test_large_bodies_and_bad_addresses_too(self, client: Client, acme: Host):
        assert let_in(lambda: ask(client, "/api/cart?x=%00")) == LIMIT + 1


class TestWhatItCosts:
    def test_few_requests_never_ask_redis(self, client: Client, acme: Host, settings: Settings):
        settings.FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE = 600
        assert let_in(lambda: ask(client), times=600 // SHARES) == 15
        assert counted_keys() == []
        ask(client)
        assert counted_keys() == [f"door:acme:{HERE}:600"]

    def test_without_redis_each_process_bounds_by_itself(self, client: Client, acme: Host, settings: Settings):
        take_redis_away(settings)
        assert let_in(lambda: ask(client)) == LIMIT + 1

    def test_memory_is_bounded(self, minutes: Minutes):
        small = Pace(SharedWindows(), most=10)
        for number in range(100):
            small.wait("acme", str(number), limit=60, now=minutes.now)
        assert len(small) == 10


@pytest.mark.parametrize("seed", range(6))
def test_no_minute_has_more_than_the_limit_and_a_twentieth_per_process(minutes: Minutes, seed: int):
    random, limit, processes = Random(seed), 200, 3
    paces = [
        Pace(SharedWindows(now_ms=minutes.milliseconds, local=LocalWindows(clock=minutes.seconds)))
        for _ in range(processes)
    ]
    passed: list[float] = []
    for _ in range(1500):
        minutes.now += random.choice([0.0, 0.0, 0.05, 0.2, random.random() * 8])
        if random.choice(paces).wait("acme", HERE, limit=limit, now=minutes.now) == 0:
            passed.append(minutes.now)
    assert limit // 2 < most_in_a_minute(passed) <= limit + processes * limit // 20


def test_the_process_forgets_with_its_windows(client: Client, acme: Host):
    let_in(lambda: ask(client))
    pace.forget()
    assert ask(client).status_code == 200

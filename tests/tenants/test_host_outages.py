"""Host → shop through outages of PostgreSQL and Redis (T3). A second HostMap is a second process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from pytest_django import DjangoAssertNumQueries, Settings

from tenants.errors import HostsUnavailable
from tenants.host_cache import KEEP_SECONDS, Pause, Shared, Source, Tiers
from tenants.hosts import HostMap
from tenants.models import Host
from tests.fixtures.outages import postgresql_away
from tests.tenants.test_host_cache import NAME, shop_id_of

pytestmark = pytest.mark.django_db


def point_redis_at(settings: Settings, port: int) -> None:
    settings.CACHES = {"default": {**django_settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}}


@pytest.fixture
def redis_away(settings: Settings) -> None:
    """Nobody listens at Redis's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    point_redis_at(settings, port)


@pytest.fixture
def redis_silent(settings: Settings) -> Iterator[None]:
    """Redis's address takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        point_redis_at(settings, server.getsockname()[1])
        yield


@pytest.fixture
def long_lived(settings: Settings) -> None:
    """Nothing ends during the test: what is read again is read because somebody said so."""
    settings.HOST_MAP_SECONDS = 60.0


@pytest.mark.django_db(transaction=True)
class TestOutages:
    def test_known_hosts_are_served_without_postgresql_by_every_process(self, acme: Host, settings: Settings):
        settings.HOST_MAP_SECONDS = 0.1
        own, other = HostMap(), HostMap()
        assert own.find(NAME)
        assert own.find("nobody.example.com") is None
        with postgresql_away():
            time.sleep(0.1)
            assert shop_id_of(own) == "acme", "from memory"
            assert shop_id_of(other) == "acme", "from Redis"
            assert own.find("nobody.example.com") is None, "its slice is known"
            started = time.monotonic()
            assert all(own.find(NAME) for _ in range(200))
            assert time.monotonic() - started < 5, "an outage is not met at every request"
            with pytest.raises(HostsUnavailable):
                HostMap().find("never-asked-for.example.org")
        time.sleep(1.1)
        Host.objects.update(mode=Host.Mode.EXPIRED)
        entry = own.find(NAME)
        assert entry is not None
        assert entry.mode == "expired", "recovers by itself"

    @pytest.mark.usefixtures("redis_away")
    def test_without_both_memory_serves_for_a_minute_and_then_fails_closed(self, acme: Host):
        own = HostMap()
        assert own.find(NAME)
        with postgresql_away():
            assert shop_id_of(own) == "acme"
            kept = own._entries.memory.get(NAME)
            assert kept is not None
            own._entries.memory.put(NAME, replace(kept, read_at=kept.read_at - KEEP_SECONDS))
            with pytest.raises(HostsUnavailable):
                own.find(NAME)
            with pytest.raises(HostsUnavailable):
                HostMap().find(NAME)

    @pytest.mark.parametrize("kind", ["redis_away", "redis_silent"])
    def test_without_redis_each_process_reads_for_itself(
        self, acme: Host, kind: str, request: pytest.FixtureRequest, django_assert_num_queries: DjangoAssertNumQueries
    ):
        request.getfixturevalue(kind)
        request.getfixturevalue("long_lived")
        own, other = HostMap(), HostMap()
        started = time.monotonic()
        with django_assert_num_queries(2):
            assert (shop_id_of(own), shop_id_of(other)) == ("acme", "acme")
        with django_assert_num_queries(128):
            assert not any(own.find(f"scan-{n}.example.com") for n in range(10_000))
        assert time.monotonic() - started < 5, "asked once a second, a quarter of a second long"

    @pytest.mark.usefixtures("redis_away")
    def test_an_edit_is_saved_though_redis_cannot_be_told(self, acme: Host):
        HostMap().announce(names={NAME}, shop_ids={"acme"})

    def test_redis_is_asked_once_a_second_while_it_is_away(self, settings: Settings):
        with socket.create_server(("127.0.0.1", 0)) as server:
            point_redis_at(settings, server.getsockname()[1])
            shared = Shared()
            assert [shared.get("k") for _ in range(100)] == [None] * 100
            time.sleep(1.1)
            assert shared.get("k") is None
            server.settimeout(0.1)
            for _ in range(2):
                server.accept()[0].close()
            with pytest.raises(TimeoutError):
                server.accept()

    def test_a_failing_query_counts_as_an_outage(self, acme: Host, settings: Settings):
        settings.HOST_MAP_SECONDS = 0.0
        reads: list[str] = []

        def read(key: str) -> tuple[str, int]:
            reads.append(key)
            if len(reads) > 1:
                raise OperationalError("away")
            return "value", 1

        source = Source(kind="made-up", read=read, pack=str.encode, unpack=bytes.decode)
        tiers = Tiers(source, most=10, shared=Shared(), database=Pause())
        assert [tiers.find("key") for _ in range(5)] == ["value"] * 5
        assert len(reads) == 2

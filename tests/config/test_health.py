"""Probes: by any name, bounded when something hangs, well again by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings


@pytest.fixture
def database_gone(transactional_db: None) -> Iterator[None]:
    """No server behind the database's address, until the test ends."""
    real = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = "/nonexistent"
    yield
    connection.settings_dict["HOST"] = real
    connection.close()


@pytest.mark.parametrize("host", ["10.0.0.7", "[::1]:8000", "nobody.example", "rubbish host", ""])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db
def test_probes_come_by_any_name(client: Client, host: str, path: str):
    assert client.get(path, headers={"Host": host}).status_code == 200


@pytest.mark.django_db
def test_ready_names_its_checks(client: Client):
    answer = client.get("/readyz", headers={"X-Request-Id": "probe-0001"})
    assert answer.json() == {
        "type": "about:blank",
        "title": "Ready",
        "status": 200,
        "checks": {"database": "ok", "migrations": "ok", "redis": "ok"},
        "requestId": "probe-0001",
    }
    assert answer["Cache-Control"] == "no-store"


def test_without_a_database_it_is_alive_and_not_ready(client: Client, database_gone: None):
    assert client.get("/healthz").status_code == 200
    started = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - started < 4
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, "application/problem+json", "2")
    assert answer.json()["checks"] == {"database": "away", "migrations": "unknown", "redis": "ok"}
    assert "nonexistent" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_it_is_ready_again_once_the_database_is_back(client: Client):
    real = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = "/nonexistent"
    assert client.get("/readyz").status_code == 503
    connection.settings_dict["HOST"] = real
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_is_replaced(client: Client):
    assert client.get("/readyz").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        own = connection.connection
        connection.connection = None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    connection.close()
    connection.connection = own
    answers = [client.get("/readyz").status_code for _ in range(2)]
    assert answers[-1] == 200


@pytest.mark.django_db
def test_without_redis_it_is_not_ready(client: Client, settings: Settings):
    settings.REDIS_LIMITS_URL = "unix:///nonexistent/valkey.sock?db=15"
    started = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - started < 3
    assert (answer.status_code, answer.json()["checks"]["redis"]) == (503, "away")


@pytest.mark.django_db
def test_an_unapplied_migration_is_behind(client: Client):
    from config import health

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tenants'")
    health._migrated = False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (503, "behind")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_read_only(client: Client, path: str):
    assert client.post(path).status_code == 405

"""A connection that is kept is looked at before a request uses it, without asking the server each time."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from tenants.postgres import base

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept() -> Iterator[int]:
    """The server's process behind this thread's connection, which has just been asked whether it is well."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = int(cursor.fetchone()[0])
    assert connection.is_usable()
    yield pid
    connection.close()


@pytest.fixture
def other() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Somebody else at the same server."""
    options = connection.get_connection_params()
    with psycopg.connect(**{name: options[name] for name in ("dbname", "user", "host") if name in options}) as own:
        own.autocommit = True
        yield own


def last_statement(other: psycopg.Connection[tuple[object, ...]], pid: int) -> object:
    return (other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() or [None])[0]


def test_a_well_connection_is_not_asked(kept: int, other: psycopg.Connection[tuple[object, ...]]):
    connection.connection.execute("SELECT 42")
    assert connection.is_usable()
    assert last_statement(other, kept) == "SELECT 42"


def test_it_is_asked_once_in_a_while(
    kept: int, other: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(base, "ASKED_EVERY_SECONDS", 0)
    connection.connection.execute("SELECT 42")
    assert connection.is_usable()
    assert last_statement(other, kept) == "SELECT 1"


def test_a_connection_that_the_server_has_ended_is_known_at_once(
    kept: int, other: psycopg.Connection[tuple[object, ...]]
):
    assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [kept]).fetchone() == (True,)
    assert not connection.is_usable()


def test_the_next_request_takes_a_new_one(kept: int, other: psycopg.Connection[tuple[object, ...]]):
    other.execute("SELECT pg_terminate_backend(%s, 5000)", [kept])
    connection.health_check_enabled, connection.health_check_done = True, False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] != kept


def test_in_the_midst_of_a_transaction_it_is_asked(kept: int, other: psycopg.Connection[tuple[object, ...]]):
    connection.connection.execute("BEGIN")
    assert connection.is_usable()
    assert last_statement(other, kept) == "SELECT 1"

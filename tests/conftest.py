"""What every test runs on: a real PostgreSQL and Valkey, shared with other runs and therefore kept apart by name.

HOLDFAST_TEST_DB names the database (config/settings/test.py); xdist adds its worker's suffix to it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_migrate
from pytest_django.plugin import DjangoDbBlocker

from tests.fixtures.copying import copy_from_the_first
from tests.fixtures.emptying import empty_touched
from tests.fixtures.forgetting import forget_copies, forget_redis

pytest_plugins = [
    "tests.fixtures.groups",
    "tests.fixtures.hosts",
    "tests.fixtures.limits",
    "tests.fixtures.lines",
    "tests.fixtures.standin",
    "tests.fixtures.trade",
    "tests.fixtures.stack",
    "tests.fixtures.subscribers",
]


@pytest.fixture(scope="session")
def redis_clients() -> Iterator[list[redis.Redis]]:
    """One connection to each of the databases that a test may write to."""
    urls = (django_settings.CACHES["default"]["LOCATION"], django_settings.REDIS_LIMITS_URL)
    clients = [redis.Redis.from_url(url, socket_timeout=2) for url in urls]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(autouse=True)
def empty_redis(redis_clients: list[redis.Redis]) -> Iterator[None]:
    """Every test begins without cached values and without used-up rate limits."""
    forget_redis(redis_clients)
    yield
    cache.close()


@pytest.fixture(autouse=True)
def unread_hosts() -> None:
    """No test inherits another's copy of hosts, of tokens or of rate limits, nor an outage of them."""
    forget_copies()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest
) -> None:
    """Workers side by side copy one database: its migrations take longer than a hundred tests."""
    if hasattr(request.config, "workerinput"):
        with django_db_blocker.unblock():
            copy_from_the_first(run=request.config.workerinput["testrunuid"])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Transactional tests are followed by a deletion of what they left (tests/fixtures/emptying.py)."""
    setattr(connection.ops, "execute_sql_flush", empty_touched)  # noqa: B010 - to mypy an assignment is an override
    # Content types and permissions stay: nobody has to look after every test whether they are there.
    post_migrate.receivers.clear()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector needn't look at it again, which is a tenth of the run."""
    gc.collect()
    gc.freeze()

"""The two shops, built once for the tests of a module that roll back what they do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from commerce.gateway import client
from tests.fixtures.emptying import empty_touched
from tests.fixtures.forgetting import forget_copies, forget_redis
from tests.fixtures.standin import StandIn, spoken_to
from tests.isolation.sides import World
from tests.isolation.world import build


@pytest.fixture(scope="module")
def lasting_world(
    standin_process: StandIn,
    redis_clients: list[redis.Redis],
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    forget_redis(redis_clients)
    forget_copies()
    with django_db_blocker.unblock(), override_settings(**spoken_to(standin_process)):
        client._client.cache_clear()
        standin_process.forget()
        world = build(standin_process)
    yield world
    with django_db_blocker.unblock():
        empty_touched([])


@pytest.fixture
def world(lasting_world: World, db: None, known_standin: StandIn) -> World:
    """For tests that change nothing at Stripe: what they change in the database is rolled back."""
    return lasting_world

"""A release guard of the tests' own: inventory is tested without the checkout, as it is written without it."""

from __future__ import annotations

import pytest

from inventory.release_guard import release_guard
from tests.inventory.guards import RecordingGuard


@pytest.fixture(autouse=True)
def guard(settings):
    """The guard in force, which lets everything pass unless told otherwise."""
    settings.INVENTORY_RELEASE_GUARD = "tests.inventory.guards.RecordingGuard"
    release_guard.cache_clear()
    guard = release_guard()
    assert isinstance(guard, RecordingGuard)
    yield guard
    release_guard.cache_clear()

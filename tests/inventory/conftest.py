"""A release guard of the tests' own, as inventory is written and tested without the checkout; and staff."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User

from inventory.release_guard import release_guard
from tests.inventory.desk import visit
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


@pytest.fixture
def staff():
    return visit(User.objects.create_superuser("ada", password="not a secret"))


@pytest.fixture
def onlooker():
    """May see everything of this app and change nothing."""
    user = User.objects.create_user("bob", password="not a secret", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="inventory", codename__startswith="view_")
    )
    user.user_permissions.add(Permission.objects.get(codename="see_every_shop"))
    return visit(user)

"""System checks of this app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from inventory.bulk.catalog import known_keys
from inventory.release_guard import release_guard


def check_release_guard(**kwargs: Any) -> list[CheckMessage]:
    """Without its guard, inventory could give back stock that somebody is paying for."""
    try:
        release_guard()
    except (ImportError, TypeError, AttributeError) as error:
        return [
            Error(
                f"INVENTORY_RELEASE_GUARD names {settings.INVENTORY_RELEASE_GUARD!r}, which can't be used: {error}",
                hint="Name a class that implements inventory.release_guard.ReleaseGuard.",
                id="inventory.E001",
            )
        ]
    return []


def check_catalog(**kwargs: Any) -> list[CheckMessage]:
    """Without its catalog, an import couldn't tell a new variant from a slip of the pen."""
    try:
        known_keys()
    except (ImportError, TypeError, AttributeError) as error:
        return [
            Error(
                f"INVENTORY_CATALOG names {settings.INVENTORY_CATALOG!r}, which can't be used: {error}",
                hint="Name a function that implements inventory.bulk.catalog.KnownKeys.",
                id="inventory.E002",
            )
        ]
    return []

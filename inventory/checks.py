"""System checks of this app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

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

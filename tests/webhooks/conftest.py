from __future__ import annotations

import pytest

from tenants.models import Host


@pytest.fixture(autouse=True)
def hooks_host(request: pytest.FixtureRequest) -> None:
    """The host where the platform account's events arrive."""
    if "trade" in request.fixturenames:
        request.getfixturevalue("trade")
        Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)

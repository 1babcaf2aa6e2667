from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.factories.tenants import HostFactory


@pytest.fixture
def probes(settings: Settings) -> None:
    """Failing views instead of the real ones."""
    settings.ROOT_URLCONF = "tests.config.probe_urls"


@pytest.fixture
def shop_host(db: None) -> str:
    """A shop's host name."""
    return str(HostFactory(shop__id="acme").hostname)

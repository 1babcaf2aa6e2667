from __future__ import annotations

import pytest
from pytest_django import Settings

from tenants.models import Host, Shop
from tests.factories.tenants import HostFactory


@pytest.fixture
def probes(settings: Settings) -> None:
    """Views that tell what reached them, in place of the real ones."""
    settings.ROOT_URLCONF = "tests.config.probe_urls"


@pytest.fixture
def acme(db: None) -> Host:
    """The canonical host of an active shop."""
    host: Host = HostFactory(shop__id="acme")
    return host


@pytest.fixture
def acme_shop(acme: Host) -> Shop:
    assert acme.shop is not None
    return acme.shop


@pytest.fixture(autouse=True)
def _unwatched(unwatched_hosts: None) -> None:
    """How copies of hosts end is tested here."""

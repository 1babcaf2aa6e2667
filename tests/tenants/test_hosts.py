"""Host names and what they stand for. How they are kept is in test_host_cache and test_host_outages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from tenants.allowlist import HostRole
from tenants.context import load_shop
from tenants.errors import ShopRequired
from tenants.hosts import canonical_host_of, host_facts, host_map, is_own_host, normalise_host, public_url
from tenants.models import Host, Shop, ShopSettings
from tests.factories.tenants import HostFactory, ShopFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("shop.example.com", ("shop.example.com", None)),
        ("SHOP.Example.COM", ("shop.example.com", None)),
        ("shop.example.com.", ("shop.example.com", None)),
        ("shop.localhost:8000", ("shop.localhost", 8000)),
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example", None)),
        ("a" * 63 + ".example", ("a" * 63 + ".example", None)),
    ],
)
def test_host_names(raw: str, expected: tuple[str, int | None]):
    assert normalise_host(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        "..",
        "shop..example.com",
        "-shop.example.com",
        "shop-.example.com",
        "a" * 64 + ".example",
        "a." * 127 + "toolong",
        "shop.example.com:",
        "shop.example.com:0",
        "shop.example.com:65536",
        "shop.example.com:80:80",
        "[::1]",
        "[::1]:8000",
        "user@shop.example.com",
        "user:password@shop.example.com",
        "shop.example.com/admin",
        "shop.example.com, evil.example",
        "shop.example.com\x00",
        "shop.example.com\n",
        "shop example.com",
        "bücher.example",
        "shop_example.com",
        "%73hop.example.com",
    ],
)
def test_rubbish_names_no_host(raw: str):
    assert normalise_host(raw) is None


def test_a_shops_host_brings_its_shop(acme: Host):
    HostFactory(shop=acme.shop, role=Host.Role.ALIAS, hostname="alias.example.com")
    entry = host_map.find("alias.example.com")
    assert entry is not None
    assert entry.shop is not None
    assert (entry.role, entry.shop.shop_id, entry.shop.host, entry.shop.canonical_host) == (
        HostRole.SHOP,
        "acme",
        "alias.example.com",
        "acme.localhost",
    )


def test_other_roles_have_no_shop(db: None, settings: Settings):
    HostFactory(shop=None, role=Host.Role.HOOKS, hostname="hooks.localhost")
    HostFactory(shop=None, role=Host.Role.PLATFORM, hostname="staff.example.com")
    settings.PLATFORM_HOSTS = ("admin.example.com",)
    found = {name: host_map.find(name) for name in ("hooks.localhost", "staff.example.com", "admin.example.com")}
    assert {name: entry and (entry.role, entry.shop) for name, entry in found.items()} == {
        "hooks.localhost": (HostRole.HOOKS, None),
        "staff.example.com": (HostRole.PLATFORM, None),
        "admin.example.com": (HostRole.PLATFORM, None),
    }


@pytest.mark.parametrize("change", ["host", "shop", "settings", "delete", "raw"])
def test_every_kind_of_change_is_seen(acme: Host, change: str):
    before = host_map.find("acme.localhost")
    assert before is not None
    if change == "host":
        acme.mode = Host.Mode.EXPIRED
        acme.save()
    elif change == "shop":
        Shop.objects.update(status=Shop.Status.CLOSED)
    elif change == "settings":
        ShopSettings.objects.update(currency="CHF")
    elif change == "delete":
        acme.delete()
    else:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE tenants_host SET hostname = 'moved.localhost'")
    assert host_map.find("acme.localhost") != before


def test_a_host_of_a_shop_without_settings_is_unknown():
    shop = Shop.objects.create(id="bare", name="Bare")
    HostFactory(shop=shop, hostname="bare.localhost")
    assert host_map.find("bare.localhost") is None


@pytest.mark.parametrize(
    ("mode", "hours", "shown"),
    [
        ("active", None, "active"),
        ("active", 1, "active"),
        ("active", -1, "expired"),
        ("expired", None, "expired"),
        ("landing_only", 1, "landing_only"),
        ("landing_only", -1, "expired"),
    ],
)
def test_a_host_closes_by_mode_or_by_date(acme: Host, mode: str, hours: int | None, shown: str):
    now = timezone.now()
    acme.mode, acme.expires_at = mode, None if hours is None else now + timedelta(hours=hours)
    acme.save()
    entry = host_map.find("acme.localhost")
    assert entry is not None
    assert host_facts(entry, now).mode == shown


def test_public_addresses(acme: Host, settings: Settings):
    shop = load_shop("acme")
    settings.PUBLIC_SCHEME, settings.PUBLIC_PORT = "http", 8000
    assert public_url(shop, "/en/cart") == "http://acme.localhost:8000/en/cart"
    settings.PUBLIC_SCHEME, settings.PUBLIC_PORT = "https", 443
    assert public_url(shop, "/") == "https://acme.localhost/"
    assert canonical_host_of("acme") == "acme.localhost"


def test_a_shop_without_a_canonical_host_has_no_address():
    shop = ShopFactory(id="hostless")
    HostFactory(shop=shop, role=Host.Role.ALIAS, hostname="alias.localhost")
    with pytest.raises(ShopRequired, match="hostless"):
        public_url(load_shop("hostless"), "/")


@pytest.mark.parametrize(
    ("name", "own"),
    [("acme.localhost", True), ("ACME.localhost", True), ("other.localhost", False), ("nowhere", False), ("", False)],
)
def test_own_hosts(acme: Host, name: str, own: bool):
    HostFactory(shop__id="other")
    assert is_own_host("acme", name) is own

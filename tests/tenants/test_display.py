from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User

from tenants.display import badge, change_url, duration, follow, link_to, list_url, money, shop_time, time_left
from tenants.models import Host, Shop
from tests.factories.tenants import ShopFactory

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (11100, "3 h 5 min"),
        (86400, "1 d"),
        (180000, "2 d 2 h"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text


def test_time_left_says_both_ways_and_the_exact_time():
    assert time_left(None) == "–"
    assert ">in 12 min<" in time_left(NOW + timedelta(minutes=12), now=NOW)
    past = time_left(NOW - timedelta(seconds=90), now=NOW)
    assert ">1 min ago<" in past
    assert 'datetime="2026-11-21T11:58:30+00:00"' in past


def test_times_of_a_shop_name_their_zone():
    assert shop_time(NOW, "Europe/Berlin") == "2026-11-21 13:00 CET"
    assert shop_time(None) == "–"


def test_everything_is_escaped():
    hostile = "<script>alert(1)</script>"
    assert "<script>" not in badge(hostile, "bad")
    assert "<script>" not in link_to(Shop(id="x", name=hostile))


def test_money_is_formatted_by_whoever_may():
    shown: list[tuple[Any, ...]] = []

    def formatter(*given: Any) -> str:
        shown.append(given)
        return "12,34 €"

    column = money("order__total_amount", "order__currency", "Total", formatter=formatter, locale="de")
    row = SimpleNamespace(order=SimpleNamespace(total_amount=1234, currency="EUR"))
    assert column(None, row) == "12,34 €"
    assert shown == [(1234, "EUR", "de")]
    assert column(None, SimpleNamespace(order=None)) == "–"
    assert vars(column) == {"short_description": "Total", "admin_order_field": "order__total_amount"}


def test_following_a_path_stops_at_nothing():
    assert follow(SimpleNamespace(a=SimpleNamespace(b=1)), "a__b") == 1
    assert follow(SimpleNamespace(a=None), "a__b") is None


@pytest.mark.django_db
def test_links_lead_to_pages_that_exist():
    shop = ShopFactory(id="acme", name="Acme")
    assert change_url(shop) == "/admin/tenants/shop/acme/change/"
    assert 'href="/admin/tenants/shop/acme/change/"' in link_to(shop)
    assert link_to(None) == "–"
    assert link_to(shop.settings, "settings") == "settings", "its own page does not exist"
    assert list_url(Host, "mode__exact=active") == "/admin/tenants/host/?mode__exact=active"
    assert list_url(User) == "/admin/auth/user/"
    assert list_url(type(shop.settings)) is None

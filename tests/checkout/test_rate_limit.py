"""How many checkouts one caller may begin in a minute, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from prometheus_client import REGISTRY
from pytest_django import Settings

from tenants.models import ShopSettings
from tests.fixtures.limits import age_redis, take_redis_away
from tests.fixtures.lines import Lines
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, in_threads

HERE, THERE = "192.0.2.1", "192.0.2.2"
SESSIONS = "/v1/checkout/sessions"


@pytest.fixture(autouse=True)
def two_a_minute(settings: Settings) -> None:
    settings.CHECKOUT_RATE_LIMIT_ENABLED = True
    settings.CHECKOUT_RATE_LIMIT_REQUESTS_PER_MINUTE = 2


def begin(trade: Trade, address: str = HERE, path: str = "/api/checkout-session") -> HttpResponse:
    """A new customer's cart at this address goes to the checkout."""
    return again(trade.buyer_with_cart(), address, path)


def again(buyer: Buyer, address: str = HERE, path: str = "/api/checkout-session") -> HttpResponse:
    return buyer.call("POST", path, {}, X_Forwarded_For=address)


def limited_total(shop_id: str) -> float:
    return REGISTRY.get_sample_value("checkout_rate_limited_total", {"shop_id": shop_id}) or 0.0


def override(trade: Trade, **values: Any) -> None:
    ShopSettings.objects.filter(shop=trade.shop).update(**values)


class TestTheLimit:
    def test_one_more_is_refused_and_nothing_is_done(self, trade: Trade, standin: StandIn) -> None:
        assert [begin(trade).status_code for _ in range(2)] == [201, 201]
        before, counted = trade.facts(), limited_total("band")
        answer = begin(trade)
        body = answer.json()
        assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
        assert (body["code"], body["error"], body["shopId"]) == ("rate_limited", "rate_limited", "band")
        assert 0 < body["retryAfterMs"] <= 60_000
        assert answer["Retry-After"] == str(-(-body["retryAfterMs"] // 1000))
        assert (trade.facts(), len(standin.requests(SESSIONS))) == (before, 2)
        assert limited_total("band") - counted == 1

    def test_both_addresses_of_the_route_share_it(self, trade: Trade, standin: StandIn) -> None:
        assert begin(trade, path="/api/checkout/session").status_code == 201
        assert begin(trade).status_code == 201
        assert begin(trade, path="/api/checkout/session").status_code == 429
        assert begin(trade).status_code == 429

    def test_a_minute_later_it_is_open_again(self, trade: Trade, standin: StandIn) -> None:
        assert [begin(trade).status_code for _ in range(3)] == [201, 201, 429]
        age_redis(59)
        assert begin(trade).status_code == 429
        age_redis(2)
        assert begin(trade).status_code == 201

    def test_shops_and_clients_are_apart(self, trade: Trade, other_trade: Trade, standin: StandIn) -> None:
        assert [begin(trade).status_code for _ in range(3)] == [201, 201, 429]
        assert begin(other_trade).status_code == 201
        assert begin(trade, THERE).status_code == 201

    def test_what_the_client_puts_before_the_proxys_word_changes_nothing(self, trade: Trade, standin: StandIn) -> None:
        answers = [begin(trade, f"198.51.100.{number}, {HERE}").status_code for number in range(3)]
        assert answers == [201, 201, 429]

    def test_addresses_of_one_ipv6_customer_are_one(self, trade: Trade, standin: StandIn) -> None:
        answers = [begin(trade, f"2001:db8:0:7::{number}").status_code for number in range(3)]
        assert answers == [201, 201, 429]
        assert begin(trade, "2001:db8:0:8::1").status_code == 201

    def test_many_at_once(self, trade: Trade, standin: StandIn) -> None:
        buyers = [trade.buyer_with_cart() for _ in range(6)]
        answers = in_threads([lambda buyer=buyer: again(buyer) for buyer in buyers])
        assert sorted(answer.status_code for answer in answers) == [201, 201, 429, 429, 429, 429]


class TestWhatCounts:
    def test_a_repeat_does_not(self, trade: Trade, standin: StandIn) -> None:
        buyer = trade.buyer_with_cart()
        answers = [again(buyer) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [201] + [200] * 5
        assert len({answer.json()["sessionId"] for answer in answers}) == 1
        assert begin(trade).status_code == 201
        assert again(buyer).status_code == 200, "nor when the limit is used up"

    def test_a_repeat_of_an_unknown_outcome_does_not(self, trade: Trade, standin: StandIn) -> None:
        buyer = trade.buyer_with_cart()
        standin.fault(path=SESSIONS, kind="status", status=500, times=1)
        assert again(buyer).status_code == 503
        assert begin(trade).status_code == 201
        assert again(buyer).status_code in {200, 503}, "the same request reaches its own session"

    def test_an_empty_cart_does_not(self, trade: Trade, standin: StandIn) -> None:
        assert [again(trade.buyer()).status_code for _ in range(4)] == [400] * 4
        assert begin(trade).status_code == 201

    def test_who_is_refused_keeps_the_session_that_is_open(self, trade: Trade, standin: StandIn) -> None:
        buyer = trade.buyer_with_cart()
        session = again(buyer).json()["sessionId"]
        assert begin(trade).status_code == 201
        buyer.add(trade.variant, 1)  # another cart, which would supersede it
        assert again(buyer).status_code == 429
        assert standin.session(session)["status"] == "open"

    def test_a_checkout_that_supersedes_counts_once(self, trade: Trade, standin: StandIn) -> None:
        buyer = trade.buyer_with_cart()
        assert again(buyer).status_code == 201
        buyer.add(trade.variant, 1)
        assert again(buyer).status_code == 201
        assert begin(trade).status_code == 429


class TestWhoSays:
    def test_a_shop_has_its_own_limit(self, trade: Trade, other_trade: Trade, standin: StandIn) -> None:
        override(trade, checkout_rate_limit_per_minute=1)
        assert [begin(trade).status_code for _ in range(2)] == [201, 429]
        assert [begin(other_trade).status_code for _ in range(3)] == [201, 201, 429]

    def test_a_shop_switches_it_off(self, trade: Trade, standin: StandIn) -> None:
        override(trade, checkout_rate_limit_enabled=False)
        assert [begin(trade).status_code for _ in range(4)] == [201] * 4

    def test_a_shop_switches_it_on(self, trade: Trade, settings: Settings, standin: StandIn) -> None:
        settings.CHECKOUT_RATE_LIMIT_ENABLED = False
        assert [begin(trade).status_code for _ in range(3)] == [201] * 3
        override(trade, checkout_rate_limit_enabled=True)
        assert [begin(trade).status_code for _ in range(3)] == [201, 201, 429]

    @pytest.mark.parametrize("number", [0, 10_001])
    def test_nonsense_is_refused_by_form_and_database(self, trade: Trade, number: int) -> None:
        row = trade.shop.settings
        row.checkout_rate_limit_per_minute = number
        with pytest.raises(ValidationError, match="checkout_rate_limit_per_minute"):
            row.full_clean()
        with pytest.raises(IntegrityError, match="shop_checkout_limit_bounds"), transaction.atomic():
            row.save()


class TestWithoutRedis:
    def test_it_goes_away_in_the_middle(
        self, trade: Trade, settings: Settings, standin: StandIn, log_lines: Lines
    ) -> None:
        assert begin(trade).status_code == 201
        take_redis_away(settings)
        before = REGISTRY.get_sample_value("rate_limits_local_total", {"shop_id": "band"}) or 0.0
        assert [begin(trade).status_code for _ in range(2)] == [201, 429], "what it had counted counts here too"
        assert (REGISTRY.get_sample_value("rate_limits_local_total", {"shop_id": "band"}) or 0.0) - before == 1
        assert "rate_limits_without_redis" in [line.get("event") for line in log_lines()]

"""A domain moves from one shop to another while customers use it: every answer is wholly one shop's (T2, T3).

Real threads on connections of their own, real commits, the real front door, and the promised two seconds.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from checkout.models import CheckoutAttempt
from commerce.models import Cart, Order
from inventory.models import Hold
from tenants.hosts import HostMap, host_map
from tenants.models import Host
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Buyer, Trade, in_threads

pytestmark = pytest.mark.django_db(transaction=True)

DOMAIN = "moving.example.com"
PROMISED_SECONDS = 2.0


@pytest.fixture(autouse=True)
def as_in_production(settings: Settings) -> None:
    settings.HOST_MAP_SECONDS = PROMISED_SECONDS


@pytest.fixture
def domain(trade: Trade, other_trade: Trade) -> Host:
    """An alias-like canonical host: both shops sell under names of their own too, this one moves."""
    Host.objects.filter(shop=trade.shop).update(role=Host.Role.ALIAS)
    Host.objects.filter(shop=other_trade.shop).update(role=Host.Role.ALIAS)
    return Host.objects.create(hostname=DOMAIN, role=Host.Role.CANONICAL, shop=trade.shop)


@dataclass(frozen=True)
class Answer:
    asked: float
    answered: float
    status: int
    shop: str | None


def visit(client: Client, path: str) -> Answer:
    asked = time.monotonic()
    response = client.get(path, headers={"Host": DOMAIN})
    return Answer(asked, time.monotonic(), response.status_code, shop_named_by(response))


def shop_named_by(response: Any) -> str | None:
    """Every answer of the API names its shop; problems do too."""
    return response.json().get("shopId") if response["Content-Type"].startswith("application/") else None


def test_every_answer_is_one_of_the_two_shops_and_soon_only_the_new_one(
    trade: Trade, other_trade: Trade, domain: Host
) -> None:
    over = threading.Event()
    answers: list[Answer] = []

    def customer() -> None:
        client = Client()
        try:
            while not over.is_set():
                answers.append(visit(client, "/api/inventory/availability?sku=BAND"))
                time.sleep(0.005)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=customer) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.6)
    moving = time.monotonic()
    Host.objects.filter(pk=domain.pk).update(shop=other_trade.shop)
    moved = time.monotonic()
    time.sleep(PROMISED_SECONDS + 0.8)
    over.set()
    for thread in threads:
        thread.join(20)

    assert {(answer.status, answer.shop) for answer in answers} == {(200, "band"), (200, "other")}
    assert {answer.shop for answer in answers if answer.answered < moving} == {"band"}
    late = [answer for answer in answers if answer.asked >= moved + PROMISED_SECONDS]
    assert len(late) > 10
    assert {answer.shop for answer in late} == {"other"}
    # One process turns once: nobody sees the new shop and then the old one again.
    first_new = min(answer.answered for answer in answers if answer.shop == "other")
    assert {answer.shop for answer in answers if answer.asked > first_new} == {"other"}


def test_pages_lead_nowhere_else_meanwhile(trade: Trade, other_trade: Trade, domain: Host) -> None:
    client = Client()
    seen = set()
    started = time.monotonic()
    moved = False
    while time.monotonic() < started + PROMISED_SECONDS + 1.0:
        if not moved and time.monotonic() > started + 0.3:
            Host.objects.filter(pk=domain.pk).update(shop=other_trade.shop)
            moved = True
        response = client.get("/en/", headers={"Host": DOMAIN})
        seen.add((response.status_code, response.headers.get("Location")))
        time.sleep(0.02)
    assert seen == {(200, None)}


def test_a_checkout_under_the_old_shop_is_refused_by_its_transaction(
    trade: Trade, other_trade: Trade, domain: Host, standin: StandIn
) -> None:
    buyer = Buyer(DOMAIN)
    buyer.add(trade.variant)
    assert host_map.find(DOMAIN)
    Host.objects.filter(pk=domain.pk).update(shop=other_trade.shop)
    # This process still takes the host for the old shop's; PostgreSQL knows better.
    refused = buyer.checkout()
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_host")
    for each in (trade, other_trade):
        assert (each.facts()["held"], each.facts()["orders"], each.facts()["attempts"]) == (0, [], [])
    assert standin.requests("/v1/checkout/sessions") == []
    host_map.announce(names={DOMAIN}, shop_ids=())
    # The cart was the other shop's; under the new one the customer begins anew.
    assert buyer.call("GET", "/api/cart").json()["lines"] == []


def test_checkouts_in_flight_belong_wholly_to_one_shop(
    trade: Trade, other_trade: Trade, domain: Host, standin: StandIn
) -> None:
    buyers = [Buyer(DOMAIN) for _ in range(8)]
    for buyer in buyers:
        buyer.add(trade.variant)
    assert HostMap().find(DOMAIN)

    def move() -> None:
        time.sleep(0.05)
        Host.objects.filter(pk=domain.pk).update(shop=other_trade.shop)

    answers = in_threads([*(buyer.checkout for buyer in buyers), move])[:-1]
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert {answer.status_code for answer in answers} <= {201, 404}
    started = [answer.json()["orderId"] for answer in answers if answer.status_code == 201]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 404} <= {"unknown_host"}

    orders = {str(order.pk): order for order in Order.objects.all()}
    assert sorted(orders) == sorted(started), "what was refused left nothing"
    for attempt in CheckoutAttempt.objects.all():
        shops = {
            attempt.shop_id,
            orders[str(attempt.order_id)].shop_id,
            Hold.objects.get(pk=attempt.hold_id).shop_id,
            Cart.objects.get(pk=attempt.cart_id).shop_id,
            standin.session(attempt.session_id)["metadata"]["shop_id"],
        }
        assert shops == {"band"}
    assert trade.facts()["held"] == len(started)
    assert other_trade.facts()["held"] == 0

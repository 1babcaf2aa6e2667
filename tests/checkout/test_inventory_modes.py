"""Checkouts that hold nothing (I11): a shop that only validates, and the emergency bypass."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from checkout import resolver
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.models import Order
from inventory import reaper
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.bypass import set_inventory_bypass
from tenants.context import load_shop
from tenants.errors import NotFound, WrongState
from tenants.models import AuditEntry, ShopSettings
from tests.commerce.backoffice import TOKEN
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

OLGA = Actor("staff", "olga")


def validate_only(trade: Trade) -> None:
    trade.shop.settings.inventory_mode = "validate_only"
    trade.shop.settings.save()


def bypass(trade: Trade) -> None:
    set_inventory_bypass(shop_id="band", on=True, reason="Counters are wrong", acting=OLGA)


def unchecked() -> float:
    return REGISTRY.get_sample_value("inventory_validation_skipped_total", {"shop_id": "band"}) or 0


HOLDLESS = pytest.mark.parametrize("mode", [validate_only, bypass])


@HOLDLESS
def test_without_a_hold_a_newer_cart_supersedes_the_older_session(trade: Trade, standin: StandIn, mode) -> None:
    mode(trade)
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()
    buyer.add(trade.variant, 1)
    second = buyer.checkout().json()
    assert second["sessionId"] != first["sessionId"]
    assert standin.session(first["sessionId"])["status"] == "expired"
    assert (second["inventoryReservationId"], trade.facts()["holds"]) == (None, [])
    assert trade.facts()["orders"] == ["canceled", "pending"]


@HOLDLESS
def test_without_a_hold_a_session_expires_and_the_reaper_has_nothing_to_do(
    trade: Trade, standin: StandIn, mode
) -> None:
    mode(trade)
    session_id = trade.buyer_with_cart(3).checkout().json()["sessionId"]
    report = reaper.run_once(now=timezone.now() + timedelta(days=1), pause_seconds=0)
    assert (report.found, report.healthy, trade.facts()["orders"]) == (0, True, ["pending"])
    standin.call(f"sessions/{session_id}/expire", {})
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert trade.facts() == {
        "on_hand": 10, "held": 0, "orders": ["canceled"], "holds": [], "attempts": [("closed", "expired")],
        "sales": 0, "captured": 0,
    }  # fmt: skip


@HOLDLESS
def test_without_a_hold_a_lost_answer_is_resolved(trade: Trade, standin: StandIn, mode) -> None:
    mode(trade)
    standin.fault(path="/v1/checkout/sessions", kind="drop_after")
    assert trade.buyer_with_cart().checkout().json()["code"] == "payment_unknown"
    resolver.run_once(now=timezone.now() + timedelta(minutes=1))
    attempt = CheckoutAttempt.objects.get()
    assert (attempt.state, attempt.hold_id, bool(attempt.session_id)) == ("open", None, True)


@HOLDLESS
def test_two_pay_for_the_last_units_and_one_goes_to_review(trade: Trade, standin: StandIn, mode) -> None:
    mode(trade)
    sessions = [trade.buyer_with_cart(6).checkout().json()["sessionId"] for _ in range(2)]
    for session_id in sessions:
        standin.pay(session_id)
        settle_session(shop=load_shop("band"), session_id=session_id)
        settle_session(shop=load_shop("band"), session_id=session_id)
    assert trade.facts() == {
        "on_hand": 4, "held": 0, "orders": ["confirmed", "review"], "holds": [], "sales": 1, "captured": 30000,
        "attempts": [("closed", "completed"), ("closed", "completed")],
    }  # fmt: skip
    assert Order.objects.get(status="review").review_reason == "Paid without a hold, and its stock can't be taken"
    assert verify_stock().clean


def test_only_the_bypass_sells_what_is_not_there(trade: Trade, standin: StandIn) -> None:
    assert trade.buyer_with_cart(11).checkout().status_code == 409
    before = unchecked()
    bypass(trade)
    started = trade.buyer_with_cart(11).checkout()
    assert (started.status_code, started.json()["inventoryReservationId"]) == (201, None)
    assert "inventory_reservation_id" not in standin.session(started.json()["sessionId"])["metadata"]
    assert unchecked() == before + 1
    standin.pay(started.json()["sessionId"])
    settle_session(shop=load_shop("band"), session_id=started.json()["sessionId"])
    assert (trade.facts()["orders"], trade.facts()["on_hand"]) == (["review"], 10)


@pytest.mark.parametrize(
    ("environment", "own", "sells"), [(True, None, True), (True, False, False), (False, True, True)]
)
def test_the_shop_has_the_last_word_on_the_bypass(
    trade: Trade, standin: StandIn, settings: Settings, environment: bool, own: bool | None, sells: bool
) -> None:
    settings.SKIP_INVENTORY_VALIDATION = environment
    ShopSettings.objects.filter(shop=trade.shop).update(skip_inventory_validation=own)
    assert trade.buyer_with_cart(11).checkout().status_code == (201 if sells else 409)


def test_who_turned_it_on_is_kept_and_twice_is_refused(trade: Trade) -> None:
    bypass(trade)
    with pytest.raises(WrongState):
        bypass(trade)
    set_inventory_bypass(shop_id="band", on=False, reason="Counted again", acting=Actor("staff", "ada"))
    with pytest.raises(NotFound):
        set_inventory_bypass(shop_id="nobody", on=True, reason="x", acting=OLGA)
    entries = AuditEntry.objects.filter(action__startswith="shop.inventory_bypass").order_by("pk")
    assert list(entries.values_list("shop_id", "actor_name", "action", "reason")) == [
        ("band", "olga", "shop.inventory_bypass_on", "Counters are wrong"),
        ("band", "ada", "shop.inventory_bypass_off", "Counted again"),
    ]


BANNER = "Emergency bypass"


def test_staff_turn_it_on_and_every_page_says_so(trade: Trade, other_trade: Trade) -> None:
    owner = Client(headers={"Host": "localhost"})
    owner.force_login(User.objects.create_superuser("owner", "", "x"))
    pages = ["/admin/", "/admin/inventory/hold/", "/admin/tenants/shop/band/change/"]
    assert all(BANNER not in owner.get(page).content.decode() for page in pages)
    asked = owner.get("/admin/tenants/shop/band/act-bypass/").content.decode()
    assert "what turns out to be missing" in asked
    found = TOKEN.search(asked)
    assert found
    refused = owner.post("/admin/tenants/shop/act/bypass/", {"token": found.group(1), "reason": ""})
    assert "This field is required" in refused.content.decode()
    owner.post("/admin/tenants/shop/act/bypass/", {"token": found.group(1), "reason": "Counters are wrong"})
    assert AuditEntry.objects.get(action="shop.inventory_bypass_on").actor_name == "owner"
    for page in pages:
        text = owner.get(page).content.decode()
        assert BANNER in text, page
        assert "at Band." in text, "which shop, and no other"

"""What never arrived is found in Stripe's list, per account, and handled; the map is filled from stored rows."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from commerce.gateway.onboarding import connect_account, use_own_keys
from commerce.models import Dispute
from tenants.audit import Actor
from tenants.models import StripeObject
from tests.commerce.backoffice import desk, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, open_trade
from tests.webhooks.deliver import deliver
from tests.webhooks.test_receive import CONFIRMED, paid_session
from webhooks import catch_up, inbox
from webhooks.models import EventCursor, EventDelivery, StripeEvent

WHY: dict[str, Any] = {"reason": "Contract", "acting": Actor("staff", "olga")}


def later(minutes: int = 2) -> Any:
    """When what was made just now isn't on its way any more."""
    return timezone.now() + timedelta(minutes=minutes)


def test_a_purchase_that_nobody_told_of_is_completed(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    assert trade.facts()["orders"] == ["pending"]
    report = catch_up.run_once(now=later())
    assert (report.accounts, report.failed, report.missed >= 2) == (1, (), True)
    assert set(EventDelivery.objects.values_list("host", "outcome")) == {("events.list", "caught_up")}
    inbox.sweep_once(now=later())
    assert trade.facts() == CONFIRMED
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"processed"}


def test_what_arrived_is_not_stored_again(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    sent = {row["id"]: row for row in standin.read("/v1/events?limit=100")["data"]}
    for payload in sent.values():
        deliver(payload)
    before = list(StripeEvent.objects.order_by("pk").values())
    report = catch_up.run_once(now=later())
    assert (report.listed, report.missed) == (len(sent), 0)
    assert list(StripeEvent.objects.order_by("pk").values()) == before
    # And again, because the last hour is read at every look.
    assert catch_up.run_once(now=later(5)).listed == len(sent)


def test_what_is_younger_than_a_minute_is_on_its_way(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    assert catch_up.run_once(now=timezone.now()).listed == 0
    assert catch_up.run_once(now=later()).missed > 0


def test_two_looks_at_once_are_one(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    now = later()
    assert [catch_up.run_once(now=now).accounts for _ in range(2)] == [1, 0]


def test_a_look_that_is_cut_short_is_gone_on_with(trade: Trade, standin: StandIn, monkeypatch: Any) -> None:
    """More events than a page; the time is up after each."""
    for _ in range(9):
        paid_session(trade, standin)
    assert len(standin.read("/v1/events?limit=100")["data"]) > 40
    monkeypatch.setattr("commerce.gateway.listing.PAGE", 20)
    monkeypatch.setattr(catch_up, "RUN_FOR", 0.0)
    now, runs = later(), 0
    while catch_up.run_once(now=now + timedelta(minutes=2 * runs)).accounts == 0:
        runs += 1
        assert runs < 40
    cursor = EventCursor.objects.get()
    assert (cursor.page_after, cursor.reading_until) == ("", None)
    assert cursor.missed == StripeEvent.objects.count() > 20
    inbox.sweep_once(now=later(60))
    assert trade.facts()["orders"] == ["confirmed"] * 9


def test_each_account_is_read_with_its_own_key(trade: Trade, standin: StandIn) -> None:
    own, joined = open_trade("owner"), open_trade("joined")
    use_own_keys(shop_id="owner", secret_key="sk_test_owner", **WHY)
    connect_account(shop_id="joined", account="acct_joined", **WHY)
    for shop in (trade, own, joined):
        standin.pay(shop.buyer_with_cart().checkout().json()["sessionId"])
    assert catch_up.run_once(now=later()).accounts == 3
    inbox.sweep_once(now=later())
    for shop in (trade, own, joined):
        assert shop.facts() == CONFIRMED, shop.shop.pk
    assert set(StripeEvent.objects.values_list("account", "shop_id")) == {
        ("acct_standin", "band"), ("acct_owner", "owner"), ("acct_joined", "joined"),
    }  # fmt: skip


def test_an_account_that_cannot_be_read_keeps_no_other_waiting(trade: Trade, standin: StandIn) -> None:
    own = open_trade("owner")
    use_own_keys(shop_id="owner", secret_key="sk_test_owner", **WHY)
    standin.pay(own.buyer_with_cart().checkout().json()["sessionId"])
    standin.fault(path="/v1/events", method="GET", kind="drop_before")
    report = catch_up.run_once(now=later())
    assert (report.accounts, report.failed) == (1, ("acct_standin",))
    shown = text(desk().list(EventCursor))
    assert "can't be read" in shown and "up to date" in shown
    assert catch_up.run_once(now=later(5)).failed == ()
    assert set(EventCursor.objects.values_list("error", flat=True)) == {""}


def test_the_command_looks_back_as_far_as_told(trade: Trade, standin: StandIn) -> None:
    paid_session(trade, standin)
    out = StringIO()
    for wrong in (0, 721):
        with pytest.raises(CommandError, match="1 to 720"):
            call_command("catch_up_events", hours=wrong)
    call_command("catch_up_events", hours=24, stdout=out)
    assert "1 accounts read" in out.getvalue()
    standin.fault(path="/v1/events", method="GET", kind="status", status=500)
    EventCursor.objects.update(checked_at=None)
    with pytest.raises(CommandError, match="acct_standin"):
        call_command("catch_up_events")


# ---------------------------------------------------------------- the map
def test_the_map_is_filled_from_what_is_stored(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    for shop in (trade, other_trade):
        session = paid_session(shop, standin)
        deliver({**standin.read("/v1/events?limit=100")["data"][0], "type": "checkout.session.completed",
                 "data": {"object": session}})  # fmt: skip
    now = timezone.now()
    Dispute.objects.create(
        shop=trade.shop, stripe_account="acct_standin", dispute_id="du_1", charge_id="ch_of_du", status="won",
        currency="EUR", amount=1, read_stamp=0, read_at=now, created_at=now,
    )  # fmt: skip
    known = set(StripeObject.objects.filter(kind__in=["checkout.session", "payment_intent"]).values_list(
        "shop_id", "account", "object_id"))  # fmt: skip
    StripeObject.objects.all().delete()
    out = StringIO()
    call_command("backfill_ownership", shop="band", batch=1, stdout=out)
    assert "orders: 1 of 1 (100 %)" in out.getvalue() and "disputes: 1 of 1" in out.getvalue()
    assert set(StripeObject.objects.values_list("shop_id", flat=True)) == {"band"}
    call_command("backfill_ownership", stdout=out)
    found = set(StripeObject.objects.values_list("shop_id", "account", "object_id"))
    assert known | {("band", "acct_standin", "du_1"), ("band", "acct_standin", "ch_of_du")} <= found
    before = StripeObject.objects.count()
    out = StringIO()
    call_command("backfill_ownership", stdout=out)
    assert "Done: 0 objects" in out.getvalue() and StripeObject.objects.count() == before
    for wrong in ({"shop": "nowhere"}, {"batch": 0}):
        with pytest.raises(CommandError):
            call_command("backfill_ownership", **wrong)

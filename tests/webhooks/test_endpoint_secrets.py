"""Whose secret signed an event decides whose event it may be. Forgeries over HTTP, each of which gets nowhere."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from commerce.gateway.client import platform_scope
from commerce.gateway.onboarding import connect_account, use_own_keys
from tenants import credentials, webhook_secrets
from tenants.audit import Actor
from tenants.models import StripeObject, WebhookSecret
from tenants.staff import EVERY_SHOP
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event, signature
from webhooks import inbox
from webhooks.models import StripeEvent

COMPLETED = "checkout.session.completed"
OLGA = Actor("staff", "olga")
WHY = {"reason": "Contract", "acting": OLGA}
MINE, THEIRS, CONNECT = "whsec_band_0123456789", "whsec_other_0123456789", "whsec_connect_0123456789"
NEXT = "whsec_next_0123456789"
CONFIRMED = ["confirmed"]


@pytest.fixture
def own(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    """Two shops with accounts and endpoints of their own; `band` is the one attacked, `other` signs."""
    for shop, secret in (("band", MINE), ("other", THEIRS)):
        use_own_keys(shop_id=shop, secret_key=f"sk_test_{shop}", **WHY)
        webhook_secrets.add_shop_secret(shop_id=shop, secret=secret, **WHY)


@pytest.fixture
def connected(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    connect_account(shop_id="band", account="acct_conn", **WHY)
    webhook_secrets.add_platform_secret(scope=platform_scope(), connect=True, secret=CONNECT, **WHY)


def paid(trade: Trade, standin: StandIn, account: str) -> dict[str, Any]:
    """A paid session as Stripe's event about it shows it."""
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    call = next(c for c in reversed(standin.requests("/v1/checkout/sessions")) if c["answer"].get("id") == session_id)
    assert call["account"] == account
    return dict(call["answer"])


def send(payload: dict[str, Any], secret: str, host: str) -> HttpResponse:
    body = json.dumps(payload).encode()
    return deliver(body, host=host, signed=signature(body, secret=secret))


def told(answer: HttpResponse) -> tuple[int, str]:
    document = answer.json()
    return answer.status_code, document.get("code") or document["outcome"]


def events() -> list[tuple[str, str, str | None]]:
    return list(StripeEvent.objects.order_by("pk").values_list("account", "status", "shop_id"))


def swept() -> None:
    for hours in range(1, 4):
        inbox.sweep_once(now=timezone.now() + timedelta(hours=hours))


class TestOwnAccount:
    def test_its_events_confirm_its_orders(self, own: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band")
        assert told(send(event(COMPLETED, session), MINE, "band.localhost")) == (200, "processed")
        assert trade.facts()["orders"] == CONFIRMED
        assert events() == [("acct_band", "processed", "band")]
        assert set(StripeObject.objects.values_list("account", flat=True)) == {"acct_band"}
        assert WebhookSecret.objects.get(shop_id="band").last_used_at is not None

    def test_without_metadata_the_account_names_the_shop(self, own: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band") | {"metadata": {}}
        StripeObject.objects.all().delete()
        assert told(send(event(COMPLETED, session), MINE, "band.localhost")) == (200, "processed")
        assert StripeEvent.objects.get().resolved_by == "account"

    @pytest.mark.parametrize("host", ["other.localhost", "hooks.localhost"])
    def test_its_secret_works_on_its_own_hosts_alone(self, own: None, trade: Trade, standin: StandIn, host: str):
        session = paid(trade, standin, "acct_band")
        assert told(send(event(COMPLETED, session), MINE, host)) == (400, "webhook_signature")
        assert events() == []

    def test_the_platforms_endpoint_still_settles_what_began_there(self, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_standin")
        use_own_keys(shop_id="band", secret_key="sk_test_band", **WHY)
        assert told(deliver(event(COMPLETED, session))) == (200, "processed")
        assert trade.facts()["orders"] == CONFIRMED

    def test_a_former_account_settles_what_began_there(self, own: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band")
        credentials.return_to_platform(shop_id="band", **WHY)
        assert told(send(event(COMPLETED, session), MINE, "band.localhost")) == (200, "processed")
        assert trade.facts()["orders"] == CONFIRMED


class TestForgery:
    """`other` signs with its own, valid secret, on its own host."""

    def test_the_victims_metadata(self, own: None, trade: Trade, other_trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band")
        before = trade.facts()
        assert told(send(event(COMPLETED, session), THEIRS, "other.localhost")) == (403, "tenant_mismatch")
        swept()
        assert events() == [("acct_other", "dead", None)]
        assert (trade.facts(), other_trade.facts()["orders"]) == (before, [])

    def test_the_victims_objects_without_metadata(self, own: None, trade: Trade, other_trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band") | {"metadata": {}}
        before = trade.facts()
        assert told(send(event(COMPLETED, session), THEIRS, "other.localhost")) == (200, "deferred")
        swept()
        # It is the forger's own event, about an object that the forger's account doesn't have.
        assert [(account, shop) for account, _, shop in events()] == [("acct_other", "other")]
        assert (trade.facts(), other_trade.facts()["orders"]) == (before, [])
        # And the victim's own event is none the worse for it.
        assert told(send(event(COMPLETED, session), MINE, "band.localhost")) == (200, "processed")
        assert trade.facts()["orders"] == CONFIRMED

    def test_the_victims_account_by_name(self, own: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band")
        before = trade.facts()
        for account in ("acct_band", "acct_standin"):
            payload = event(COMPLETED, session, event_id=f"evt_{account}", account=account)
            assert told(send(payload, THEIRS, "other.localhost")) == (403, "tenant_mismatch")
        swept()
        assert [row[:2] for row in events()] == [("acct_other", "dead")] * 2
        assert trade.facts() == before

    def test_the_victims_event_id_does_not_take_its_place(self, own: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_band")
        send(event(COMPLETED, session, event_id="evt_same"), THEIRS, "other.localhost")
        genuine = send(event(COMPLETED, session, event_id="evt_same"), MINE, "band.localhost")
        assert told(genuine) == (200, "processed")

    @pytest.mark.parametrize("host", ["band.localhost", "hooks.localhost"])
    def test_on_the_victims_host_it_is_not_even_tried(self, own: None, trade: Trade, standin: StandIn, host: str):
        session = paid(trade, standin, "acct_band")
        assert told(send(event(COMPLETED, session), THEIRS, host)) == (400, "webhook_signature")
        assert events() == []

    def test_a_platform_shops_order_by_an_own_key_shop(self, trade: Trade, other_trade: Trade, standin: StandIn):
        use_own_keys(shop_id="other", secret_key="sk_test_other", **WHY)
        webhook_secrets.add_shop_secret(shop_id="other", secret=THEIRS, **WHY)
        session = paid(trade, standin, "acct_standin")
        before = trade.facts()
        assert told(send(event(COMPLETED, session), THEIRS, "other.localhost")) == (403, "tenant_mismatch")
        swept()
        assert trade.facts() == before


class TestConnect:
    def test_an_event_is_its_accounts(self, connected: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_conn")
        answer = send(event(COMPLETED, session, account="acct_conn"), CONNECT, "hooks.localhost")
        assert told(answer) == (200, "processed")
        assert trade.facts()["orders"] == CONFIRMED
        assert events() == [("acct_conn", "processed", "band")]

    def test_an_unknown_account_is_a_dead_letter_whatever_it_says(
        self, connected: None, trade: Trade, standin: StandIn
    ):
        session = paid(trade, standin, "acct_conn")
        before = trade.facts()
        for number, account in enumerate(("acct_stranger", "", "nonsense", "x" * 500, 7, None)):
            payload = event(COMPLETED, session, event_id=f"evt_{number}", account=account)
            assert told(send(payload, CONNECT, "hooks.localhost")) == (503, "tenant_unresolvable")
        swept()
        assert {row[1:] for row in events()} == {("dead", None)}
        assert {row[0] for row in events()} == {"acct_stranger", ""}
        assert trade.facts() == before

    def test_an_account_speaks_for_its_own_shop_alone(
        self, connected: None, trade: Trade, other_trade: Trade, standin: StandIn
    ):
        session = paid(trade, standin, "acct_conn")
        connect_account(shop_id="other", account="acct_two", **WHY)
        before = trade.facts()
        answer = send(event(COMPLETED, session, account="acct_two"), CONNECT, "hooks.localhost")
        assert told(answer) == (403, "tenant_mismatch")
        swept()
        assert trade.facts() == before

    def test_the_accounts_word_counts_under_a_connect_secret_alone(
        self, connected: None, trade: Trade, standin: StandIn
    ):
        session = paid(trade, standin, "acct_conn")
        before = trade.facts()
        assert told(deliver(event(COMPLETED, session, account="acct_conn"))) == (403, "tenant_mismatch")
        swept()
        assert events() == [("acct_standin", "dead", None)]
        assert trade.facts() == before

    def test_not_on_a_shops_host(self, connected: None, trade: Trade, standin: StandIn):
        session = paid(trade, standin, "acct_conn")
        answer = send(event(COMPLETED, session, account="acct_conn"), CONNECT, "band.localhost")
        assert told(answer) == (400, "webhook_signature")

    def test_platform_rows_stand_beside_the_settings(self, trade: Trade, standin: StandIn):
        webhook_secrets.add_platform_secret(scope=platform_scope(), connect=False, secret=NEXT, **WHY)
        for number, secret in enumerate((NEXT, "whsec_test")):
            payload = event("customer.created", {"id": "cus_1"}, event_id=f"evt_{number}")
            assert told(send(payload, secret, "hooks.localhost")) == (200, "ignored")
        assert {row[0] for row in events()} == {"acct_standin"}


class TestRolling:
    def ping(self, secret: str, number: int) -> int:
        payload = event("customer.created", {"id": "cus_1"}, event_id=f"evt_{number}")
        return send(payload, secret, "band.localhost").status_code

    def test_both_work_until_the_old_one_ends(self, own: None):
        old = WebhookSecret.objects.get(shop_id="band")
        webhook_secrets.roll_secret(secret_id=old.pk, scope=EVERY_SHOP, secret=NEXT, overlap_hours=24, **WHY)
        assert [self.ping(secret, number) for number, secret in enumerate((MINE, NEXT))] == [200, 200]
        WebhookSecret.objects.filter(pk=old.pk).update(active_until=timezone.now())
        assert [self.ping(secret, number) for number, secret in enumerate((MINE, NEXT))] == [400, 200]

    def test_a_removed_one_is_refused_at_once(self, own: None):
        assert self.ping(MINE, 1) == 200
        webhook_secrets.remove_secret(secret_id=WebhookSecret.objects.get(shop_id="band").pk, scope=EVERY_SHOP, **WHY)
        assert self.ping(MINE, 2) == 400

    def test_one_that_can_not_be_opened_does_not_stop_the_others(self, own: None):
        webhook_secrets.add_shop_secret(shop_id="band", secret=NEXT, **WHY)
        WebhookSecret.objects.filter(last_four=NEXT[-4:], shop_id="band").order_by("-pk").update(sealed="damaged")
        webhook_secrets.add_shop_secret(shop_id="band", secret="whsec_third_0123456789", **WHY)
        assert self.ping("whsec_third_0123456789", 1) == 200
        assert self.ping(NEXT, 2) == 400

    def test_the_other_modes_secrets_are_not_tried(self, own: None):
        WebhookSecret.objects.update(livemode=True)
        assert self.ping(MINE, 1) == 400

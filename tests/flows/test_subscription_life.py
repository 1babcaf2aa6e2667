"""A subscription from its first payment to its last day: begun, upgraded, refused, recovered, canceled. Over HTTP, with
Stripe's clock and every event of Stripe's delivered as it comes (P3, P4).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from commerce.ledger.tie_out import tie_out
from commerce.models import Invoice, Subscription, SubscriptionOperation
from commerce.subscriptions.access import Why, access_of
from tenants.context import bind_shop, load_shop
from tests.factories.plans import make_plan
from tests.fixtures.subscribers import Club
from tests.fixtures.workers import issue

HOUR = 3_600
PAYS_ONCE = "4000000000000341"


class Life:
    """One subscriber of the club, and Stripe's clock."""

    def __init__(self, club: Club) -> None:
        self.club = club
        self.token = issue(club.trade.shop.pk, "payments:write")
        session_id = club.subscribe().json()["sessionId"]
        club.pay(session_id, PAYS_ONCE)
        club.tell()
        self.subscription_id = str(club.standin.session(session_id)["subscription"])

    def row(self) -> Subscription:
        return Subscription.objects.get(subscription_id=self.subscription_id)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.club.standin.call("clock")["now"], UTC)

    def access(self) -> tuple[bool, Why]:
        found = access_of(self.row(), now=self.now(), grace_days=7)
        return found.allowed, found.why

    def to_the_end_of_the_period(self, and_then: int = 0) -> list[str]:
        """Moves Stripe's clock to the end of the paid period, and so many seconds further. Returns what was told."""
        end = self.row().current_period_end
        assert end is not None
        self.club.standin.advance(int((end - self.now()).total_seconds()) + and_then)
        return self.club.tell()

    def send(self, what: str, **body: Any) -> HttpResponse:
        headers = {"Host": "localhost", "Authorization": f"Bearer {self.token}"}
        raw = json.dumps({"subscriptionId": self.subscription_id, **body}).encode()
        return Client().generic(
            "POST", f"/api/subscription/{what}", raw, content_type="application/json", headers=headers
        )


@pytest.fixture
def life(club: Club) -> Life:
    make_plan(club.trade.shop, "plus", 1990)
    return Life(club)


def test_a_subscriptions_life(club: Club, life: Life) -> None:
    assert (life.row().status, life.access()) == ("active", (True, Why.PAID))

    club.standin.advance(10 * 24 * HOUR)
    upgrade = {"planId": "plus", "prorate": "invoice_now", "idempotencyKey": "up"}
    shown = life.send("change", **upgrade, preview=True).json()
    done = life.send("change", **upgrade)
    assert done.status_code == 200, done.content
    assert abs(done.json()["prorationAmount"] - shown["prorationAmount"]) <= 1
    assert {"invoice.paid", "customer.subscription.updated"} <= set(club.tell())
    assert life.row().version.plan.code == "plus"

    # The renewal is refused, and a later one would be too: the subscriber has the days of grace.
    told = life.to_the_end_of_the_period(HOUR)
    assert {"invoice.created", "invoice.payment_failed"} <= set(told)
    assert (life.row().status, life.access()) == ("past_due", (True, Why.GRACE))
    failing = Invoice.objects.get(status="open")
    assert (failing.amount_remaining, failing.attempt_count, failing.billing_reason) == (1990, 1, "subscription_cycle")
    club.standin.advance(8 * 24 * HOUR)
    club.tell()
    assert life.access() == (False, Why.UNPAID)
    failing.refresh_from_db()
    assert failing.attempt_count == 5

    # Another card on the invoice's page, and all is well again.
    paid = club.standin.call(f"invoices/{failing.invoice_id}/pay", {"card": "4242424242424242"})
    assert paid["state"] == "complete"
    club.tell()
    assert (life.row().status, life.access()) == ("active", (True, Why.PAID))
    assert not Invoice.objects.filter(status="open").exists()
    assert "invoice.paid" in life.to_the_end_of_the_period(HOUR)

    told_end = life.send("cancel", atPeriodEnd=True, reason="Moves away", idempotencyKey="bye").json()
    assert (told_end["status"], told_end["cancelAtPeriodEnd"]) == ("active", True)
    assert life.access() == (True, Why.ENDING)
    assert "customer.subscription.deleted" in life.to_the_end_of_the_period()
    assert (life.row().status, life.access()) == ("canceled", (False, Why.ENDED))
    club.standin.advance(60 * 24 * HOUR)
    assert club.tell() == []

    assert list(SubscriptionOperation.objects.order_by("id").values_list("kind", "state")) == [
        ("change", "done"), ("cancel_at_end", "done")]  # fmt: skip
    charged = club.standin.call("balance")["accounts"]["acct_standin"]["eur"]["charged"]
    assert sum(Invoice.objects.values_list("amount_paid", flat=True)) == charged
    assert charged == 990 + done.json()["prorationAmount"] + 2 * 1990
    shop = load_shop(club.trade.shop.pk)
    with bind_shop(shop):
        (books,) = tie_out(shop=shop, since=timezone.now() - timedelta(days=1), until=life.now())
    assert (books.clean, books.differences) == (True, [])
    assert books.compared == 4


def test_who_never_pays_again_is_canceled_in_the_end(club: Club, life: Life) -> None:
    life.to_the_end_of_the_period(HOUR)
    club.standin.advance(14 * 24 * HOUR)
    told = club.tell()
    assert told.count("invoice.payment_failed") == 7
    assert told[-1] == "customer.subscription.deleted"
    assert (life.row().status, life.access()) == ("canceled", (False, Why.ENDED))
    open_one = Invoice.objects.get(status="open")
    assert (open_one.attempt_count, open_one.next_attempt_at) == (8, None)

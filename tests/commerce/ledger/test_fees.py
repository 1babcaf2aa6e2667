"""Stripe's fees reach the journal once: by the event, by the sweep, by both at the same moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checkout.settle import settle_session
from commerce.ledger import fees
from commerce.ledger.fees import FeeReport
from commerce.models import JournalEntry, JournalLine, Order
from commerce.tasks import post_fees
from tenants.context import load_shop
from tenants.models import Host
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads
from tests.webhooks.deliver import deliver, event

# 2.9 % of 25.00 rounded half up, and 30: what the stand-in takes of every charge.
FEE = 103


def buy(trade: Trade, standin: StandIn) -> Order:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
    return Order.objects.get(session_id=session_id)


def posted() -> list[tuple[str, str, int]]:
    lines = JournalLine.objects.order_by("entry_id", "account")
    return list(lines.values_list("entry__kind", "account", "amount"))


CAPTURED = [("capture", "revenue", -2500), ("capture", "stripe_clearing", 2500)]
WITH_FEE = [*CAPTURED, ("fee", "stripe_clearing", -FEE), ("fee", "stripe_fees", FEE)]


def test_the_sweep_posts_the_fee_once(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin)
    assert posted() == CAPTURED
    assert fees.run_once(now=timezone.now()) == FeeReport(found=1, posted=1, failed=0)
    assert posted() == WITH_FEE
    order.refresh_from_db()
    assert (order.charge_id[:3], order.balance_transaction_id[:4]) == ("ch_", "txn_")
    assert set(JournalEntry.objects.values_list("source", flat=True)) == {order.charge_id}
    post_fees()
    assert fees.run_once(now=timezone.now()) == FeeReport(found=0, posted=0, failed=0)
    assert posted() == WITH_FEE


def test_side_by_side_it_is_posted_once(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin)
    shop = load_shop(trade.shop.pk)
    answers = in_threads([lambda: fees.post_fee(shop=shop, order_id=order.pk, now=timezone.now()) for _ in range(5)])
    assert answers == [True] * 5
    assert posted() == WITH_FEE


def test_the_event_posts_it_and_may_come_before_the_order_is_settled(trade: Trade, standin: StandIn) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    paid = standin.pay(session_id)
    charge: dict[str, Any] = {
        "id": paid["paymentIntent"]["latest_charge"], "object": "charge", "payment_intent": paid["paymentIntent"]["id"],
        "metadata": paid["paymentIntent"]["metadata"],
    }  # fmt: skip
    early = deliver(event("charge.updated", charge, event_id="evt_early"))
    assert (early.status_code, early.json()["outcome"], posted()) == (200, "processed", [])
    settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
    for name in ("evt_late", "evt_later"):
        assert deliver(event("charge.updated", charge, event_id=name)).json()["outcome"] == "processed"
    assert posted() == WITH_FEE


def test_an_account_that_cannot_be_read_waits_and_stops_nobody(
    trade: Trade, other_trade: Trade, standin: StandIn
) -> None:
    first, second = buy(trade, standin), buy(other_trade, standin)
    Order.objects.filter(pk=first.pk).update(stripe_account="acct_of_nobody")
    now = timezone.now()
    assert fees.run_once(now=now) == FeeReport(found=2, posted=1, failed=1)
    assert fees.run_once(now=now + timedelta(minutes=5)).found == 0
    Order.objects.filter(pk=first.pk).update(stripe_account=second.stripe_account)
    assert fees.run_once(now=now + timedelta(minutes=11)) == FeeReport(found=1, posted=1, failed=0)
    assert posted() == [*CAPTURED, *CAPTURED, *WITH_FEE[2:], *WITH_FEE[2:]]


def test_a_fault_writes_nothing(trade: Trade, standin: StandIn) -> None:
    buy(trade, standin)
    standin.fault(path="/v1/payment_intents/*", kind="status", status=500, method="GET")
    assert fees.run_once(now=timezone.now()) == FeeReport(found=1, posted=0, failed=1)
    assert posted() == CAPTURED


@pytest.mark.parametrize("status", ["pending", "canceled", "failed", "processing"])
def test_an_unpaid_order_is_not_asked_about(trade: Trade, standin: StandIn, status: str) -> None:
    trade.buyer_with_cart().checkout()
    Order.objects.update(status=status, payment_intent_id="pi_x")
    assert fees.run_once(now=timezone.now()).found == 0

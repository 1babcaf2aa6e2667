"""Refunds as Stripe's events tell them: late, twice, in disorder, before our own answer, and made in the dashboard."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from itertools import permutations
from typing import Any

import pytest

from commerce.models import JournalEntry, Order, Refund
from commerce.returns.claiming import ReturnCommand
from commerce.returns.errors import RefundUnknown
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.models import AuditEntry, Host
from tests.fixtures.payments import at_stripe, balances, paid_order, refunds_of
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from webhooks.models import StripeEvent


@pytest.fixture(autouse=True)
def hooks(trade: Trade) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)


def at_the_dashboard(standin: StandIn, order: Order, amount: int) -> dict[str, Any]:
    """Somebody refunds in Stripe's own pages: nothing of it is ours."""
    body = urllib.parse.urlencode({"payment_intent": order.payment_intent_id, "amount": amount}).encode()
    request = urllib.request.Request(
        f"{standin.url}/v1/refunds", data=body, headers={"Authorization": "Bearer sk_test_standin"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def events_of(standin: StandIn, *kinds: str) -> list[dict[str, Any]]:
    """What the stand-in has announced, as it would send it, the oldest first."""
    request = urllib.request.Request(
        f"{standin.url}/v1/events?limit=100", headers={"Authorization": "Bearer sk_test_standin"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)["data"]
    return [told for told in reversed(found) if told["type"] in kinds]


def ask(order: Order, **asked: Any) -> Any:
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        command = ReturnCommand(order_id=order.pk, reason="A test", key="k-1", **asked)
        return return_order(shop=shop, command=command, acting=Actor("staff", "olga"))


KINDS = ("refund.created", "refund.updated", "refund.failed", "charge.refunded")


def test_a_refund_of_the_dashboard_is_mirrored(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2, deposit=1000)
    at_the_dashboard(standin, order, 3500)
    for told in events_of(standin, *KINDS) * 2:
        assert deliver(told).status_code == 200
    assert refunds_of(order) == [("succeeded", 3500, 500)], "goods first, then the deposit"
    order.refresh_from_db()
    assert (order.status, order.refunded_amount, order.deposit_refunded_amount) == ("confirmed", 3500, 500)
    assert JournalEntry.objects.filter(kind="refund").count() == 1
    assert at_stripe(standin) == balances("band")["stripe_clearing"]
    assert balances("band")["deposits_held"] == -1500
    assert AuditEntry.objects.filter(action="refund.mirrored").count() == 1
    at_the_dashboard(standin, order, 1500)
    deliver(events_of(standin, "charge.refunded")[-1])
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 5000)
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


@pytest.mark.parametrize("order_of_arrival", list(permutations(range(4)))[::5])
def test_in_any_order_the_newest_reading_counts(
    trade: Trade, standin: StandIn, order_of_arrival: tuple[int, ...]
) -> None:
    order = paid_order(trade, standin, 2)
    made = at_the_dashboard(standin, order, 2000)
    standin.call(f"refunds/{made['id']}/fail", {})
    told = events_of(standin, *KINDS)
    assert [event["type"] for event in told] == ["refund.created", "charge.refunded", "refund.updated", "refund.failed"]
    for index in order_of_arrival:
        assert deliver(told[index]).status_code == 200
    assert refunds_of(order) == [("failed", 2000, 0)]
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("confirmed", 0)
    assert set(JournalEntry.objects.values_list("kind", flat=True)) == {
        "capture", "fee", "refund", "refund_reversal",
    }  # fmt: skip
    assert at_stripe(standin) == balances("band")["stripe_clearing"] == 5000 - 175


@pytest.mark.parametrize("seen_in_between", [True, False])
@pytest.mark.parametrize("was", ["confirmed", "review"])
def test_an_order_is_refunded_while_its_refunds_are(
    trade: Trade, standin: StandIn, was: str, *, seen_in_between: bool
) -> None:
    """Whether anybody looked between success and failure is chance: the end is the same."""
    order = paid_order(trade, standin, 2)
    if was == "review":  # paid, and its stock was never taken
        Order.objects.update(status="review", confirmed_at=None)
    made = at_the_dashboard(standin, order, 5000)
    if seen_in_between:
        for told in events_of(standin, *KINDS):
            deliver(told)
        order.refresh_from_db()
        assert (order.status, order.refunded_amount) == ("refunded", 5000)
    standin.call(f"refunds/{made['id']}/fail", {})
    for told in events_of(standin, *KINDS):
        deliver(told)
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == (was, 0)
    back = AuditEntry.objects.filter(action="order.refund_came_back", object_id=str(order.pk))
    assert back.count() == (1 if seen_in_between else 0)
    at_the_dashboard(standin, order, 5000)
    deliver(events_of(standin, "charge.refunded")[-1])
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 5000)
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


def test_a_refund_that_is_told_of_before_its_payment(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    deliver(events_of(standin, "checkout.session.completed")[-1])
    order = Order.objects.get()
    assert order.status == "processing"
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "succeeded"})
    at_the_dashboard(standin, order, 2500)
    deliver(events_of(standin, "refund.created")[-1])
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("processing", 2500)
    deliver(events_of(standin, "checkout.session.async_payment_succeeded")[-1])
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 2500)
    assert set(JournalEntry.objects.values_list("kind", flat=True)) == {"capture", "refund"}


def test_an_event_before_our_own_answer_adopts_the_row(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    standin.fault(path="/v1/refunds", kind="drop_after")
    with pytest.raises(RefundUnknown):
        ask(order, amount=2000)
    row = Refund.objects.get()
    for told in events_of(standin, "refund.created"):
        assert deliver(told).json()["outcome"] == "processed"
    assert list(Refund.objects.values_list("pk", "status")) == [(row.pk, "succeeded")]
    assert ask(order, amount=2000).refunded == 2000
    assert len(standin.requests("/v1/refunds")) == 1


def test_a_late_reading_changes_nothing(trade: Trade, standin: StandIn) -> None:
    """Stamped before the row's own: whoever was slow between reading and writing."""
    from commerce.gateway.client import access_for_account
    from commerce.gateway.refunds import read_refund
    from commerce.gateway.stamps import take_stamp
    from commerce.returns.mirror import apply_refund, mirror_refund

    order = paid_order(trade, standin, 2)
    ask(order, amount=2000)
    row, shop = Refund.objects.get(), load_shop("band")
    with bind_shop(shop):
        access = access_for_account(shop, order.stripe_account)
        early = take_stamp()
        seen = read_refund(access, str(row.refund_id))
        standin.call(f"refunds/{row.refund_id}/fail", {})
        mirror_refund(shop=shop, account=order.stripe_account, refund_id=str(row.refund_id))
        apply_refund(shop=shop, access=access, facts=seen, stamp=early)
    assert refunds_of(order) == [("failed", 2000, 0)]
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


def test_a_refund_of_no_order_is_kept_with_its_reason(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    made = at_the_dashboard(standin, order, 2000)
    Order.objects.update(payment_intent_id="pi_of_another")
    shown = {**made, "metadata": {"shop_id": "band"}}
    assert deliver(event("refund.created", shown)).json()["outcome"] == "deferred"
    kept = StripeEvent.objects.get()
    assert (kept.status, "no order" in kept.error) == ("failed", True)
    assert not Refund.objects.exists()


def test_while_our_refund_reserves_the_money_the_dashboards_waits(trade: Trade, standin: StandIn) -> None:
    """Both want all of it. Stripe has said yes to the dashboard's: ours fails, and then the other one is counted."""
    order = paid_order(trade, standin, 2)
    standin.fault(path="/v1/refunds", kind="drop_before")
    with pytest.raises(RefundUnknown):
        ask(order, amount=5000)
    at_the_dashboard(standin, order, 5000)
    (told,) = events_of(standin, "refund.created")
    assert deliver(told).json()["outcome"] == "deferred"
    with pytest.raises(RefundUnknown):
        ask(order, amount=5000)  # refused now, but one send was never answered
    from django.utils import timezone

    from commerce.returns import resolver

    Refund.objects.update(created_at=timezone.now().replace(year=2020))
    resolver.run_once(now=timezone.now())
    assert deliver(told).json()["outcome"] == "processed"
    assert refunds_of(order) == [("failed", 5000, 0), ("succeeded", 5000, 0)]
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", 5000)
    assert at_stripe(standin) == balances("band")["stripe_clearing"]

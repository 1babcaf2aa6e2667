"""What each type of event does, over HTTP: its object is read anew, and order, number and age don't matter."""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import pytest
from django.db.models import Sum

from commerce.models import Dispute, Invoice, JournalLine, Order, Subscription
from tenants.models import AuditEntry, StripeObject
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver, event
from webhooks.dispatch import HANDLERS
from webhooks.models import StripeEvent

COMPLETED = "checkout.session.completed"
DISPUTED = "charge.dispute."


def buy(trade: Trade, standin: StandIn, **how: Any) -> dict[str, Any]:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id, **how)
    return standin.session(session_id)


def charge_of(standin: StandIn, session: dict[str, Any]) -> str:
    return str(standin.read(f"/v1/payment_intents/{session['payment_intent']}")["latest_charge"])


def tell(type_: str, found: dict[str, Any], event_id: str) -> str:
    answer = deliver(event(type_, found, event_id=event_id))
    assert answer.status_code == 200, answer.content
    return str(answer.json()["outcome"])


def dispute_facts() -> tuple[Any, ...]:
    row = Dispute.objects.get()
    return row.shop_id, row.status, row.amount, row.currency, row.withdrawn_amount, row.fee_amount, row.refundable


def booked() -> dict[str, int]:
    """What disputes have posted, by account."""
    lines = JournalLine.objects.filter(entry__kind__startswith="dispute").values_list("account").annotate(Sum("amount"))
    return dict(lines.order_by("account"))


# ---------------------------------------------------------------- payments
@pytest.mark.parametrize("outcome", ["failed", "succeeded"])
def test_a_bank_debit_is_settled_by_its_payments_event_alone(trade: Trade, standin: StandIn, outcome: str) -> None:
    """The session's own event is lost; nothing else comes."""
    session = buy(trade, standin, method="bank_debit")
    tell(COMPLETED, session, "evt_1")
    assert trade.facts()["orders"] == ["processing"]
    standin.call(f"sessions/{session['id']}/settle_async", {"outcome": outcome})
    intent = standin.read(f"/v1/payment_intents/{session['payment_intent']}")
    type_ = "payment_intent.succeeded" if outcome == "succeeded" else "payment_intent.payment_failed"
    assert tell(type_, intent, "evt_2") == "processed"
    assert trade.facts()["orders"] == ["confirmed" if outcome == "succeeded" else "failed"]
    assert trade.facts()["held"] == 0


def test_a_declined_card_ends_nothing(trade: Trade, standin: StandIn) -> None:
    session = buy(trade, standin, card="4000000000000002")
    intent = standin.read(f"/v1/payment_intents/{session['payment_intent']}")
    assert tell("payment_intent.payment_failed", intent, "evt_1") == "processed"
    facts = trade.facts()
    assert (facts["orders"], facts["held"], facts["attempts"]) == (["pending"], 1, [("open", "")])


@pytest.mark.parametrize("metadata", [None, {}, {"order_id": "x"}, {"order_id": None}, "text"])
def test_a_payment_of_somebody_elses_is_left_alone(trade: Trade, standin: StandIn, metadata: Any) -> None:
    buy(trade, standin)
    for number, type_ in enumerate(("payment_intent.canceled", "payment_intent.payment_failed", "charge.expired")):
        StripeObject.objects.create(
            livemode=False, account="acct_standin", object_id=f"x_{number}", kind="x", shop=trade.shop, source="staff"
        )
        assert tell(type_, {"id": f"x_{number}", "object": "charge", "metadata": metadata}, f"evt_{number}")
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"processed"}
    assert trade.facts()["orders"] == ["pending"]


# ---------------------------------------------------------------- disputes
def test_a_disputes_life_flags_its_order(trade: Trade, standin: StandIn) -> None:
    session = buy(trade, standin)
    tell(COMPLETED, session, "evt_1")
    begun = standin.call(f"charges/{charge_of(standin, session)}/dispute", {"reason": "fraudulent"})["dispute"]
    assert tell(f"{DISPUTED}created", begun, "evt_2") == "processed"
    assert dispute_facts() == ("band", "needs_response", 2500, "EUR", 2500, 1500, False)
    assert booked() == {"dispute_fees": 1500, "disputes": 2500, "stripe_clearing": -4000}
    order = Order.objects.get()
    assert (order.disputed, order.status, Dispute.objects.get().order_id) == (True, "confirmed", order.pk)
    closed = standin.call(f"disputes/{begun['id']}/close", {"outcome": "won"})["dispute"]
    assert tell(f"{DISPUTED}closed", closed, "evt_3") == "processed"
    assert dispute_facts() == ("band", "won", 2500, "EUR", 0, 1500, False)
    assert booked() == {"dispute_fees": 1500, "disputes": 0, "stripe_clearing": -1500}
    order.refresh_from_db()
    assert (order.disputed, order.status) == (False, "confirmed")
    assert list(AuditEntry.objects.filter(object_type="dispute").values_list("action", flat=True)[::-1]) == [
        "dispute.needs_response", "dispute.won",
    ]  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(["created", "funds_withdrawn", "closed"])), ids="-".join)
def test_a_disputes_events_in_any_order_end_in_one_state(trade: Trade, standin: StandIn, order: Any) -> None:
    session = buy(trade, standin)
    tell(COMPLETED, session, "evt_1")
    early = standin.call(f"charges/{charge_of(standin, session)}/dispute", {})["dispute"]
    standin.call(f"disputes/{early['id']}/close", {"outcome": "lost"})
    for number, name in enumerate(order):
        for again in range(2):
            tell(f"{DISPUTED}{name}", early, f"evt_{number}_{again}")
    assert dispute_facts() == ("band", "lost", 2500, "EUR", 2500, 1500, False)
    assert booked() == {"dispute_fees": 1500, "disputes": 2500, "stripe_clearing": -4000}
    assert Order.objects.get().disputed is False


def test_a_dispute_before_its_session_was_settled_finds_its_order(trade: Trade, standin: StandIn) -> None:
    session = buy(trade, standin)
    begun = standin.call(f"charges/{charge_of(standin, session)}/dispute", {"inquiry": True})["dispute"]
    assert deliver(event(f"{DISPUTED}created", begun, event_id="evt_1")).status_code == 503
    tell(COMPLETED, session, "evt_2")
    assert tell(f"{DISPUTED}created", begun, "evt_1") == "processed"
    assert dispute_facts() == ("band", "warning_needs_response", 2500, "EUR", 0, 0, True)
    assert Order.objects.get().disputed


def test_a_dispute_that_names_another_shops_payment_is_no_ones(
    trade: Trade, other_trade: Trade, standin: StandIn
) -> None:
    session = buy(trade, standin)
    tell(COMPLETED, session, "evt_1")
    begun = standin.call(f"charges/{charge_of(standin, session)}/dispute", {})["dispute"]
    forged = {**begun, "metadata": {"shop_id": "other"}}
    assert deliver(event(f"{DISPUTED}created", forged, event_id="evt_2")).status_code == 403
    assert not Dispute.objects.exists()


# ---------------------------------------------------------------- subscriptions and invoices
def subscription(standin: StandIn, status: str, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    item = {"id": "si_1", "price": {"id": "price_1"}, "quantity": 2, "current_period_start": now,
            "current_period_end": now + 86400 * 30}  # fmt: skip
    placed = {
        "id": "sub_1", "object": "subscription", "status": status, "created": now, "customer": "cus_1",
        "currency": "eur", "items": {"object": "list", "data": [item]}, "cancel_at_period_end": False,
        "latest_invoice": "in_1", "metadata": {"shop_id": "band"}, **more,
    }  # fmt: skip
    return dict(standin.call("objects", {"object": placed})["object"])


def invoice(standin: StandIn, status: str, paid: int) -> dict[str, Any]:
    parent = {"type": "subscription_details",
              "subscription_details": {"subscription": "sub_1", "metadata": {"shop_id": "band"}}}  # fmt: skip
    placed = {
        "id": "in_1", "object": "invoice", "status": status, "created": int(time.time()), "currency": "eur",
        "amount_due": 1900, "amount_paid": paid, "amount_remaining": 1900 - paid, "attempt_count": 1,
        "customer": "cus_1", "parent": parent, "number": "A-1", "metadata": {},
    }  # fmt: skip
    return dict(standin.call("objects", {"object": placed})["object"])


def test_a_subscription_follows_the_newest_read(trade: Trade, standin: StandIn) -> None:
    early = subscription(standin, "trialing")
    now = subscription(standin, "active", cancel_at_period_end=True)
    for number, type_ in enumerate(name for name in HANDLERS if name.startswith("customer.subscription.")):
        assert tell(type_, early if number % 2 else now, f"evt_{number}") == "processed"
    row = Subscription.objects.get()
    assert (row.shop_id, row.status, row.cancel_at_period_end, row.items, row.latest_invoice_id) == (
        "band", "active", True, [{"id": "si_1", "price": "price_1", "quantity": 2}], "in_1",
    )  # fmt: skip
    assert row.current_period_end is not None
    assert set(StripeObject.objects.values_list("kind", "object_id")) == {
        ("subscription", "sub_1"),
        ("invoice", "in_1"),
        ("customer", "cus_1"),
    }


@pytest.mark.parametrize(
    "names", list(permutations(["paid", "payment_failed", "payment_action_required"])), ids="-".join
)
def test_an_invoice_and_its_subscription_in_any_order(trade: Trade, standin: StandIn, names: Any) -> None:
    """The shop is found by what the invoice says of its subscription."""
    subscription(standin, "past_due")
    early = invoice(standin, "open", 0)
    subscription(standin, "active")
    invoice(standin, "paid", 1900)
    for number, name in enumerate(names):
        assert tell(f"invoice.{name}", early, f"evt_{number}") == "processed"
    row = Invoice.objects.get()
    assert (row.shop_id, row.status, row.amount_paid, row.subscription_id, row.number) == (
        "band", "paid", 1900, "sub_1", "A-1",
    )  # fmt: skip
    assert Subscription.objects.get().status == "active"


def test_a_renewal_is_known_by_the_map_alone(trade: Trade, standin: StandIn) -> None:
    tell("customer.subscription.created", subscription(standin, "active"), "evt_1")
    bare = invoice(standin, "paid", 1900)
    bare["parent"]["subscription_details"]["metadata"] = {}
    bare["id"] = "in_1"
    assert tell("invoice.paid", bare, "evt_2") == "processed"
    assert StripeEvent.objects.get(event_id="evt_2").resolved_by == "object"


def test_an_object_that_stripe_does_not_have_is_tried_again(trade: Trade, standin: StandIn) -> None:
    gone = {"id": "sub_gone", "object": "subscription", "metadata": {"shop_id": "band"}}
    assert tell("customer.subscription.updated", gone, "evt_1") == "deferred"
    assert StripeEvent.objects.get().status == "failed" and not Subscription.objects.exists()

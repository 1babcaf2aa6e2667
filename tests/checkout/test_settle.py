"""How checkouts end: the closed table, late payments, supersede against payment, the reaper's word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from checkout import resolver
from checkout.attempts import CLOCK_MARGIN
from checkout.closing import close_checkout
from checkout.models import CheckoutAttempt
from checkout.settle import SessionVerdict, judge_session, settle_session
from commerce.models import JournalEntry, JournalLine, Order
from inventory import reaper
from inventory.errors import HoldInCheckout
from inventory.holds import release_hold
from inventory.models import Hold
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import load_shop
from tests.checkout.sessions import facts_of
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads

SESSIONS = "/v1/checkout/sessions"
STAFF = Actor("staff", "ada")

PAID = {
    "on_hand": 9, "held": 0, "orders": ["confirmed"], "holds": ["committed"], "attempts": [("closed", "completed")],
    "sales": 1, "captured": 2500,
}  # fmt: skip
GIVEN_BACK = {
    "on_hand": 10, "held": 0, "orders": ["canceled"], "holds": ["expired"], "attempts": [("closed", "expired")],
    "sales": 0, "captured": 0,
}  # fmt: skip


def settle(session_id: str) -> Any:
    return settle_session(shop=load_shop("band"), session_id=session_id)


def a_minute_later() -> datetime:
    """When a checkout that was just looked at is due for its next look."""
    return timezone.now() + timedelta(minutes=1)


def overdue() -> None:
    Hold.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("status", "payment_status", "intent_status", "verdict"),
    [
        ("open", "unpaid", "", SessionVerdict.OPEN),
        ("complete", "paid", "succeeded", SessionVerdict.PAID),
        ("complete", "no_payment_required", "", SessionVerdict.PAID),
        ("complete", "unpaid", "processing", SessionVerdict.PROCESSING),
        ("complete", "unpaid", "", SessionVerdict.PROCESSING),
        ("complete", "unpaid", "requires_capture", SessionVerdict.PROCESSING),
        ("complete", "unpaid", "something_new", SessionVerdict.PROCESSING),
        ("complete", "unpaid", "requires_payment_method", SessionVerdict.PAYMENT_FAILED),
        ("complete", "unpaid", "canceled", SessionVerdict.PAYMENT_FAILED),
        ("expired", "unpaid", "", SessionVerdict.EXPIRED),
        ("expired", "paid", "succeeded", SessionVerdict.PAID),
        ("expired", "unpaid", "succeeded", SessionVerdict.PAID),
        ("something_new", "unpaid", "", SessionVerdict.OPEN),
        ("something_new", "paid", "", SessionVerdict.OPEN),
    ],
)
def test_the_closed_table(status: str, payment_status: str, intent_status: str, verdict: SessionVerdict) -> None:
    facts = facts_of(status=status, payment_status=payment_status, intent_status=intent_status)
    assert judge_session(facts) is verdict


def test_paid_once_however_often_it_is_settled(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    results = in_threads([lambda: settle(session_id) for _ in range(6)])
    assert {r.order_status for r in results} == {"confirmed"}
    assert trade.facts() == PAID
    assert trade.cart_quantity() == 0
    order = Order.objects.get()
    assert (order.email, order.session_id, order.total_amount, order.amount_differs) == (
        "ada@example.test", session_id, 2500, False,
    )  # fmt: skip
    assert dict(JournalLine.objects.values_list("account", "amount")) == {"stripe_clearing": 2500, "revenue": -2500}
    assert verify_stock().clean


def test_a_repost_after_payment_answers_the_order(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()
    standin.pay(first["sessionId"])
    unsettled = buyer.checkout()
    assert (unsettled.status_code, unsettled.json()["orderId"]) == (200, first["orderId"])
    assert "url" not in unsettled.json()
    settled = buyer.checkout()
    assert (settled.status_code, settled.json()["orderId"]) == (200, first["orderId"])
    assert len(standin.requests(SESSIONS)) == 1
    assert trade.facts() == PAID


def test_a_changed_cart_after_payment_keeps_what_was_not_bought(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    session_id = buyer.checkout().json()["sessionId"]
    buyer.add(trade.variant, 3)
    standin.pay(session_id)
    settle(session_id)
    assert trade.cart_quantity() == 3
    second = buyer.checkout()
    assert (second.status_code, second.json()["amounts"]["total"]) == (201, 7500)


def test_a_supersede_of_a_paid_session_settles_it(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart(1)
    first = buyer.checkout().json()
    standin.pay(first["sessionId"])
    buyer.add(trade.variant, 1)
    second = buyer.checkout()
    assert second.status_code == 201
    facts = trade.facts()
    assert (facts["orders"], facts["on_hand"], facts["held"]) == (["confirmed", "pending"], 9, 1)
    assert second.json()["amounts"]["total"] == 2500


def test_the_reaper_expires_at_stripe_first(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    session_id = buyer.checkout().json()["sessionId"]
    overdue()
    reaper.run_once(now=timezone.now())
    assert standin.session(session_id)["status"] == "expired"
    assert trade.facts() == GIVEN_BACK
    assert trade.cart_quantity() == 1
    assert buyer.checkout().status_code == 201


def test_the_reaper_commits_what_was_paid(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    overdue()
    reaper.run_once(now=timezone.now())
    assert trade.facts() == PAID


def test_the_reaper_frees_nothing_while_stripe_is_away(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart().checkout()
    overdue()
    standin.fault(path=SESSIONS, kind="drop_before", times=10)
    reaper.run_once(now=timezone.now())
    facts = trade.facts()
    assert (facts["held"], facts["attempts"]) == (1, [("closing", "")])
    standin.call("faults", method="DELETE")
    assert resolver.run_once(now=a_minute_later()).resolved == 1
    assert trade.facts() == GIVEN_BACK


def test_the_reaper_leaves_an_unknown_outcome_to_the_resolver(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=SESSIONS, kind="drop_after")
    trade.buyer_with_cart().checkout()
    overdue()
    reaper.run_once(now=timezone.now())
    assert trade.facts()["held"] == 1
    resolver.run_once(now=timezone.now())
    reaper.run_once(now=a_minute_later())
    assert trade.facts() == GIVEN_BACK


def test_unknown_ends_by_the_clock_when_nobody_was_shown_a_session(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=SESSIONS, kind="drop_before", times=50)
    trade.buyer_with_cart().checkout()
    late = CheckoutAttempt.objects.get().session_expires_at + CLOCK_MARGIN
    assert resolver.run_once(now=late - timedelta(minutes=2)).resolved == 0
    assert trade.facts()["held"] == 1
    assert resolver.run_once(now=late).resolved == 1
    facts = trade.facts()
    assert (facts["held"], facts["orders"], facts["attempts"]) == (0, ["canceled"], [("closed", "never_made")])


def test_a_refused_expiry_long_after_proves_that_no_session_was_made(trade: Trade, standin: StandIn) -> None:
    standin.fault(path=SESSIONS, kind="drop_before")
    buyer = trade.buyer_with_cart()
    buyer.checkout()
    standin.advance(45 * 60)
    attempt = CheckoutAttempt.objects.get()
    params = attempt.stripe_params
    CheckoutAttempt.objects.update(session_expires_at=attempt.session_expires_at - timedelta(minutes=45))
    assert params["expires_at"] == int(attempt.session_expires_at.timestamp())
    again = buyer.checkout()
    assert again.status_code in {201, 502}
    assert ("closed", "never_made") in trade.facts()["attempts"]


def test_a_delayed_payment_holds_stock_and_takes_the_cart(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    assert settle(session_id).order_status == "processing"
    overdue()
    reaper.run_once(now=timezone.now())
    facts = trade.facts()
    assert (facts["held"], facts["orders"], trade.cart_quantity()) == (1, ["processing"], 0)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "succeeded"})
    assert settle(session_id).order_status == "confirmed"
    assert trade.facts() == PAID


@pytest.mark.parametrize("seen_processing", [True, False])
def test_a_failed_delayed_payment_gives_back_stock_and_cart(
    trade: Trade, standin: StandIn, seen_processing: bool
) -> None:
    buyer = trade.buyer_with_cart(2)
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id, method="bank_debit")
    if seen_processing:
        settle(session_id)
    standin.call(f"sessions/{session_id}/settle_async", {"outcome": "failed"})
    assert settle(session_id).order_status == "failed"
    assert trade.facts() == {
        "on_hand": 10, "held": 0, "orders": ["failed"], "holds": ["released"],
        "attempts": [("closed", "completed")], "sales": 0, "captured": 0,
    }  # fmt: skip
    assert trade.cart_quantity() == 2
    assert buyer.checkout().status_code == 201


def pay_late(trade: Trade, standin: StandIn) -> str:
    """A payment that was under way when its session expired, and landed after its stock had been given back."""
    session_id = str(trade.buyer_with_cart().checkout().json()["sessionId"])
    standin.pay(session_id, card="4000002760003184", threeDS="abandon")
    overdue()
    reaper.run_once(now=timezone.now())
    assert trade.facts() == GIVEN_BACK
    standin.call(f"sessions/{session_id}/late_pay", {})
    return session_id


def test_paid_after_the_hold_was_gone_takes_stock_again(trade: Trade, standin: StandIn) -> None:
    session_id = pay_late(trade, standin)
    assert settle(session_id).order_status == "confirmed"
    assert trade.facts() == PAID | {"holds": ["expired"]}
    assert verify_stock().clean


def test_paid_after_the_stock_was_sold_goes_to_review(trade: Trade, standin: StandIn) -> None:
    session_id = pay_late(trade, standin)
    sold_out = trade.buyer_with_cart(10).checkout().json()["sessionId"]
    standin.pay(sold_out)
    settle(sold_out)
    assert settle(session_id).order_status == "review"
    facts = trade.facts()
    assert (facts["on_hand"], facts["held"], facts["orders"]) == (0, 0, ["confirmed", "review"])
    # The money is in the journal all the same: nothing received is lost.
    assert facts["captured"] == 27500
    assert verify_stock().clean


def test_a_late_payment_ends_the_carts_other_session(trade: Trade, standin: StandIn) -> None:
    buyer = trade.buyer_with_cart()
    first = buyer.checkout().json()["sessionId"]
    standin.pay(first, card="4000002760003184", threeDS="abandon")
    overdue()
    reaper.run_once(now=timezone.now())
    second = buyer.checkout().json()["sessionId"]
    standin.call(f"sessions/{first}/late_pay", {})
    settle(first)
    assert standin.session(second)["status"] == "expired"
    facts = trade.facts()
    assert (facts["on_hand"], facts["held"], facts["orders"]) == (9, 0, ["canceled", "confirmed"])


def test_the_event_may_come_before_the_answer(trade: Trade, standin: StandIn) -> None:
    """Paid while our own record of the session is still missing: the session's reference finds the attempt."""
    buyer = trade.buyer_with_cart()
    standin.fault(path=SESSIONS, kind="drop_after")
    buyer.checkout()
    session_id = standin.requests(SESSIONS)[-1]["answer"]["id"]
    standin.pay(session_id)
    assert settle(session_id).order_status == "confirmed"
    assert trade.facts() == PAID
    assert buyer.checkout().json()["sessionId"] == session_id


def test_staff_cancel_a_checkout_but_never_its_hold(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    attempt = CheckoutAttempt.objects.get()
    with pytest.raises(HoldInCheckout):
        release_hold(shop_id="band", hold_id=attempt.hold_id, reason="because", acting=STAFF)
    assert trade.facts()["held"] == 1
    close_checkout(shop=load_shop("band"), attempt_id=attempt.pk, reason="Customer called", acting=STAFF)
    assert standin.session(session_id)["status"] == "expired"
    assert trade.facts() == GIVEN_BACK


def test_stripes_amounts_win_and_the_difference_is_flagged(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    Order.objects.update(subtotal_amount=2400, total_amount=2400, expected_total_amount=2400)
    standin.pay(session_id)
    settle(session_id)
    order = Order.objects.get()
    assert (order.total_amount, order.expected_total_amount, order.amount_differs) == (2500, 2400, True)


def test_an_address_too_long_for_mail_loses_no_payment(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout({"email": "ada@example.test"}).json()["sessionId"]
    standin.call(f"sessions/{session_id}/pay", {"card": "4242424242424242", "email": "a" * 250 + "@b.test"})
    settle(session_id)
    order = Order.objects.get()
    assert (order.status, order.email) == ("confirmed", "ada@example.test")


def test_the_journal_refuses_what_does_not_balance(trade: Trade, standin: StandIn) -> None:
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    settle(session_id)
    entry = JournalEntry.objects.get()
    with pytest.raises(Exception, match="does not balance"):
        JournalLine.objects.create(shop_id="band", entry=entry, account="revenue", amount=1)
    for attack in ("UPDATE commerce_journalline SET amount = amount", "DELETE FROM commerce_journalentry"):
        with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
            cursor.execute(attack)
    assert JournalLine.objects.count() == 2

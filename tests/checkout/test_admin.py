"""Checkout attempts in the back office: found, read, asked about, and canceled with a reason."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from checkout.models import CheckoutAttempt
from commerce.models import Order
from tenants.models import AuditEntry
from tests.commerce.backoffice import address, desk, html, queries, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

FREE = {
    "on_hand": 10, "held": 0, "orders": ["canceled"], "holds": ["expired"], "attempts": [("closed", "expired")],
    "sales": 0, "captured": 0,
}  # fmt: skip
SOLD = {
    "on_hand": 9, "held": 0, "orders": ["confirmed"], "holds": ["committed"], "attempts": [("closed", "completed")],
    "sales": 1, "captured": 2500,
}  # fmt: skip


def start(trade: Trade, **headers: str) -> CheckoutAttempt:
    answer = trade.buyer_with_cart().checkout(None, **headers)
    return CheckoutAttempt.objects.get(session_id=answer.json()["sessionId"])


def test_pages_need_as_many_queries_for_three_rows_as_for_one(trade: Trade, standin: StandIn) -> None:
    owner, attempt = desk(), start(trade)
    visits = (lambda: owner.list(CheckoutAttempt), lambda: owner.page(attempt))
    once = [queries(visit) for visit in visits]
    start(trade)
    start(trade)
    assert (once, [queries(visit) for visit in visits]) == ([7, 6], [7, 6])


def test_an_attempt_is_found_by_each_of_its_keys(trade: Trade, standin: StandIn) -> None:
    start(trade)
    attempt = start(trade, Idempotency_Key="visit-77")
    owner = desk()
    keys = (attempt.session_id, str(attempt.pk), str(attempt.order_id), str(attempt.hold_id), "visit-77", " visit-77 ")
    for key in keys:
        answer = owner.list(CheckoutAttempt, q=key)
        assert [row.pk for row in answer.context["cl"].result_list] == [attempt.pk], key
    assert list(owner.list(CheckoutAttempt, q="visit").context["cl"].result_list) == []


def test_lists_are_filtered(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    mine, others = start(trade), start(other_trade)
    CheckoutAttempt.objects.filter(pk=others.pk).update(state="unknown")
    owner = desk()

    def listed(**query: str) -> list[CheckoutAttempt]:
        return list(owner.list(CheckoutAttempt, **query).context["cl"].result_list)

    assert listed() == [others, mine]
    assert listed(state__exact="open") == [mine]
    assert listed(shop__id__exact="other") == [others]
    assert listed(outcome__exact="expired") == []
    doubt = owner.client.get("/admin/checkout/checkoutattempt/view-unknown/", follow=True)
    assert list(doubt.context["cl"].result_list) == [others]


def test_the_page_shows_what_was_sent_and_amounts_in_major_units(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    changes = [{"sku": "BAND", "variantKey": "BAND#size:M", "was": 2000, "now": 2500}]
    CheckoutAttempt.objects.filter(pk=attempt.pk).update(changes=changes)
    page = desk().page(attempt)
    shown = text(page)
    assert "BAND#size:M €20.00 €25.00" in shown
    assert f'"client_reference_id": "{attempt.pk}"' in shown and "sk_test" not in html(page)
    # What was sent to Stripe is shown as sent; everything else is money as people read it.
    assert not re.search(r"\b2500\b", shown.partition("Request to Stripe")[0])
    assert "€25.00" in text(desk("checkout.view_checkoutattempt").list(CheckoutAttempt))


def test_cancel_asks_first_and_says_what_it_will_do(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    before = trade.facts()
    asked = text(desk().ask(CheckoutAttempt, "cancel", attempt))
    assert (
        "The session is expired at Stripe first, then 1 × BAND#size:M go back to stock and order "
        f"{attempt.order.number} is canceled. If the customer has paid by then, the order is confirmed instead."
    ) in asked
    assert trade.facts() == before and standin.session(str(attempt.session_id))["status"] == "open"


@pytest.mark.parametrize("reason", ["", "  ", "no"])
def test_cancel_refuses_without_a_reason(trade: Trade, standin: StandIn, reason: str) -> None:
    attempt = start(trade)
    before = trade.facts()
    desk().do(CheckoutAttempt, "cancel", attempt, reason=reason)
    assert trade.facts() == before
    assert standin.session(str(attempt.session_id))["status"] == "open"
    assert not AuditEntry.objects.filter(action="checkout.cancel").exists()


def test_cancel_expires_at_stripe_gives_back_and_is_audited(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    outcome = desk().do(CheckoutAttempt, "cancel", attempt, reason="Customer rang, wants to begin anew")
    assert f"Session expired. Order {attempt.order.number}: canceled. Its stock is free again." in outcome
    assert trade.facts() == FREE
    assert standin.session(str(attempt.session_id))["status"] == "expired"
    entry = AuditEntry.objects.get(action="checkout.cancel")
    assert (entry.actor_kind, entry.actor_name, entry.object_id, entry.shop_id, entry.reason) == (
        "staff", "owner", str(attempt.pk), "band", "Customer rang, wants to begin anew",
    )  # fmt: skip


def test_a_customer_who_paid_first_keeps_the_order(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    standin.pay(str(attempt.session_id))
    outcome = desk().do(CheckoutAttempt, "cancel", attempt, reason="Too late")
    assert "The customer had completed the session first." in outcome and "confirmed" in outcome
    assert trade.facts() == SOLD


def test_a_closed_attempt_is_not_canceled(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    owner = desk()
    owner.do(CheckoutAttempt, "cancel", attempt, reason="First time")
    assert "It is closed already: session expired." in text(owner.ask(CheckoutAttempt, "cancel", attempt))
    assert AuditEntry.objects.filter(action="checkout.cancel").count() == 1


def test_cancel_with_a_silent_stripe_gives_nothing_back(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    standin.fault(path="/v1/checkout/sessions", kind="status", status=500)
    outcome = desk().do(CheckoutAttempt, "cancel", attempt, reason="Stripe is away")
    assert "It is tried again by itself." in outcome
    facts = trade.facts()
    assert (facts["held"], facts["holds"], facts["attempts"]) == (1, ["active"], [("closing", "")])
    # Asking once Stripe is back finishes what was begun.
    assert "Session expired." in desk_again(attempt)
    assert trade.facts() == FREE


def desk_again(attempt: CheckoutAttempt) -> str:
    return desk("checkout.view_checkoutattempt", "checkout.change_checkoutattempt").do(CheckoutAttempt, "ask", attempt)


def test_several_are_canceled_at_once_each_on_its_own(trade: Trade, standin: StandIn) -> None:
    first, second = start(trade), start(trade)
    standin.pay(str(second.session_id))
    outcome = desk().do(CheckoutAttempt, "cancel", first, second, reason="Closing the till")
    assert "2 done" in outcome
    assert trade.facts()["orders"] == ["canceled", "confirmed"]


def test_staff_without_the_permission_cancel_nothing(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    clerk = desk("checkout.view_checkoutattempt")
    assert "Cancel checkout" not in text(clerk.page(attempt))
    assert clerk.client.get(f"/admin/checkout/checkoutattempt/{attempt.pk}/act-cancel/").status_code == 403
    assert clerk.client.post(address(CheckoutAttempt, "act", "cancel"), {"reason": "Because"}).status_code == 403
    assert trade.facts()["held"] == 1


def test_strangers_see_nothing(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    clerk = desk("commerce.view_order")
    assert (clerk.list(CheckoutAttempt).status_code, clerk.page(attempt).status_code) == (403, 403)


def test_asking_settles_what_was_paid(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    standin.pay(str(attempt.session_id))
    assert "Stripe says it is paid. The order is confirmed." in desk().do(CheckoutAttempt, "ask", attempt)
    assert trade.facts() == SOLD


def test_asking_about_an_unknown_outcome_finds_the_session(trade: Trade, standin: StandIn) -> None:
    standin.fault(path="/v1/checkout/sessions", kind="drop_after")
    assert trade.buyer_with_cart().checkout().status_code == 503
    attempt = CheckoutAttempt.objects.get()
    assert (attempt.state, attempt.session_id) == ("unknown", None)
    owner = desk()
    assert "sent again under its key" in text(owner.ask(CheckoutAttempt, "ask", attempt))
    assert "Its session is known now, and open." in owner.do(CheckoutAttempt, "ask", attempt)
    attempt.refresh_from_db()
    assert attempt.state == "open" and attempt.session_id


def test_asking_about_what_never_was(trade: Trade, standin: StandIn) -> None:
    attempt = start(trade)
    CheckoutAttempt.objects.filter(pk=attempt.pk).update(
        state="unknown", session_id=None, url_answered=False, session_expires_at=timezone.now() - timedelta(hours=1)
    )
    Order.objects.filter(pk=attempt.order_id).update(session_id=None)
    owner = desk()
    assert "No session was ever made." in owner.do(CheckoutAttempt, "ask", attempt)
    assert "there is nothing to ask about" in text(owner.ask(CheckoutAttempt, "ask", attempt))
    assert trade.facts()["held"] == 0

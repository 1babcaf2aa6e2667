"""What is owed beyond the price: off the deposit, off the hold, off the saved card; once, whatever gets lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from commerce.charges import resolver
from commerce.models import Charge, ChargeLink, Order
from tenants.models import Host
from tests.commerce.charges.rented import (
    DECLINES_LATER,
    MASTERCARD,
    WANTS_CUSTOMER,
    charges_of,
    hold,
    intents,
    owe,
    rent,
    tell_all,
    ties_out,
)
from tests.fixtures.payments import balances
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade

INTENTS = "/v1/payment_intents"


@pytest.fixture(autouse=True)
def hooks_host(rental_trade: RentalTrade) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)


def work(minutes: int = 5) -> None:
    resolver.run_once(now=timezone.now() + timedelta(minutes=minutes))


def test_the_session_of_a_rental_keeps_the_card_where_the_shop_wants_it(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    kept = rent(rental_trade, standin)
    assert kept.customer_id.startswith("cus_") and kept.payment_method_id.startswith("pm_")
    assert (kept.deposit_amount, kept.deposit_authorised_amount, kept.total_amount) == (9000, 0, 14000)
    without = rent(rental_trade, standin, keeps=False)
    assert (without.customer_id, without.payment_method_id) == ("", "")


def test_an_authorised_deposit_is_no_part_of_the_total(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised", keeps=False)
    assert (order.deposit_amount, order.deposit_authorised_amount, order.total_amount) == (0, 9000, 5000)
    assert (order.amount_differs, order.payment_method_id != "") == (False, True)
    session = standin.session(str(order.session_id))
    assert (session["amount_total"], session["metadata"]["depositTotal"]) == (5000, "9000")
    summary = rental_trade.buyer().call("GET", f"/api/checkout-session/{order.session_id}").json()["amounts"]
    assert (summary["deposit"], summary["depositAuthorised"], summary["total"]) == (0, 9000, 5000)


def test_owed_is_taken_from_the_deposit_then_from_the_card_once(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin)
    [made] = owe(order, 10_000)
    assert (made.from_deposit, made.from_hold, made.from_card) == (9000, 0, 1000)
    assert owe(order, 10_000) == []
    assert charges_of(order) == [("late_fee", "succeeded", 1000, 1000)]
    [intent] = intents(standin)
    assert (intent["amount"], intent["customer"], intent["status"]) == (1000, order.customer_id, "succeeded")
    found = balances("band")
    assert (found["deposits_kept"], found["late_fees"]) == (-9000, -1000)
    assert "deposits_held" not in found
    tell_all(standin)
    assert charges_of(order) == [("late_fee", "succeeded", 1000, 1000)]
    ties_out(standin)


def test_a_hold_is_taken_in_part_and_is_no_money_before(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    before = balances("band")
    held = hold(order)
    assert (held.status, held.capture_before is not None, balances("band")) == ("requires_capture", True, before)
    owe(order, 2000, 1500)
    assert charges_of(order) == [("deposit_hold", "succeeded", 9000, 3500)]
    assert balances("band")["deposits_kept"] == -3500
    owe(order, 700, key="later")
    assert charges_of(order)[1:] == [("late_fee", "succeeded", 700, 700)]
    tell_all(standin)
    ties_out(standin)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "html"])
def test_a_lost_answer_never_makes_a_second_intent(rental_trade: RentalTrade, standin: StandIn, kind: str) -> None:
    order = rent(rental_trade, standin)
    standin.fault(path=INTENTS, kind=kind)
    owe(order, 9700)
    assert charges_of(order) == [("late_fee", "unknown", 700, 0)]
    work()
    assert charges_of(order) == [("late_fee", "succeeded", 700, 700)]
    assert len(intents(standin)) == 1
    tell_all(standin)
    ties_out(standin)


def test_a_lost_capture_is_found_out(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    hold(order)
    standin.fault(path=f"{INTENTS}/*/capture", kind="drop_after")
    owe(order, 2000)
    assert charges_of(order) == [("deposit_hold", "requires_capture", 9000, 0)]
    work()
    assert charges_of(order) == [("deposit_hold", "succeeded", 9000, 2000)]
    ties_out(standin)


def test_a_declined_card_stays_owed(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, card=DECLINES_LATER)
    owe(order, 9700)
    row = Charge.objects.get()
    assert (row.status, row.error_code, ChargeLink.objects.count()) == ("declined", "generic_decline", 0)
    tell_all(standin)
    work(120)
    assert (charges_of(order), len(intents(standin))) == ([("late_fee", "declined", 700, 0)], 1)
    ties_out(standin)


def test_a_bank_that_wants_its_customer_gets_them_by_mail(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, card=WANTS_CUSTOMER)
    owe(order, 9700)
    assert charges_of(order) == [("late_fee", "authentication_required", 700, 0)]
    link = ChargeLink.objects.get()
    assert (link.status, link.mailed_at is not None) == ("open", True)
    [message] = mail.outbox
    assert (message.to, link.url in message.body, "€7.00" in message.body) == (["ada@example.test"], True, True)
    work(120)
    assert (len(mail.outbox), ChargeLink.objects.count()) == (1, 1)
    standin.pay(str(link.session_id), card=MASTERCARD)
    tell_all(standin)
    link.refresh_from_db()
    assert (link.status, charges_of(order)) == ("paid", [("late_fee", "succeeded", 700, 700)])
    assert {intent["status"] for intent in intents(standin)} == {"canceled", "succeeded"}
    work(200)
    ties_out(standin)


def test_a_link_that_had_its_day_is_followed_by_another_three_times(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    order = rent(rental_trade, standin, card=WANTS_CUSTOMER)
    owe(order, 9700)
    for number in range(1, 5):
        standin.call(f"sessions/{ChargeLink.objects.latest('pk').session_id}/expire", {}) if number < 4 else None
        work(130 * number)
        work(130 * number + 60)
    assert list(ChargeLink.objects.order_by("pk").values_list("status", flat=True)) == ["expired"] * 3
    assert charges_of(order) == [("late_fee", "authentication_required", 700, 0)]
    assert len(mail.outbox) == 3


def test_an_authorisation_that_lapses_is_seen_and_what_was_to_be_taken_stays_owed(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    hold(order)
    standin.fault(path=f"{INTENTS}/*/capture", kind="drop_before")
    owe(order, 2000)
    standin.advance(5 * 86_400)
    tell_all(standin)
    assert charges_of(order) == [("deposit_hold", "expired", 9000, 0), ("late_fee", "sending", 2000, 0)]
    work()
    assert charges_of(order)[1] == ("late_fee", "succeeded", 2000, 2000)
    work(120)
    ties_out(standin)


def test_without_a_card_there_is_a_link_at_once(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, keeps=False)
    owe(order, 9700, purpose="damage")
    assert charges_of(order) == [("damage", "authentication_required", 700, 0)]
    standin.pay(str(ChargeLink.objects.get().session_id))
    tell_all(standin)
    assert charges_of(order) == [("damage", "succeeded", 700, 700)]
    assert balances("band")["damages"] == -700
    ties_out(standin)


def test_a_refusal_is_no_intent(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin)
    Order.objects.filter(pk=order.pk).update(payment_method_id="pm_unknown")
    order.refresh_from_db()
    owe(order, 9700)
    row = Charge.objects.get()
    assert (row.status, row.payment_intent_id, intents(standin)) == ("declined", None, [])

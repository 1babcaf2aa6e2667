"""The back office's pages of charges, collections and policies, as a browser uses them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from commerce.models import Charge, ChargeLink, ChargePolicy, Collection, Order
from tenants.models import AuditEntry, Host
from tests.commerce.backoffice import address, desk, text
from tests.commerce.charges.rented import DECLINES_LATER, charges_of, hold, intents, owe, policy, rent
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade


@pytest.fixture(autouse=True)
def hooks_host(rental_trade: RentalTrade) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)


def test_staff_take_a_part_of_what_is_held(rental_trade: RentalTrade, standin: StandIn) -> None:
    order, office = rent(rental_trade, standin, deposits="authorised"), desk()
    held = hold(order)
    assert "A part of the €90.00 that are held becomes the shop's." in text(office.ask(Charge, "capture", held))
    for amount, said in (
        ("90.01", "No more than what is held"),
        ("x", "Expected a plain decimal number"),
        ("0", "No more than what is held"),
    ):
        told = office.do(Charge, "capture", held, amount=amount, reason="Torn seam")
        assert said in told, told
    assert charges_of(order) == [("deposit_hold", "requires_capture", 9000, 0)]
    assert "collected" in office.do(Charge, "capture", held, amount="12.50", reason="Torn seam")
    assert charges_of(order) == [("deposit_hold", "succeeded", 9000, 1250)]
    assert "or decided already" in text(office.ask(Charge, "capture", held))
    assert "or decided already" in text(office.ask(Charge, "release", held))
    assert AuditEntry.objects.get(action="charge.capture_wanted").reason == "Torn seam"
    assert "Torn seam" in text(office.page(order)) and "Off the card" in text(office.page(order))


def test_staff_let_go_of_what_is_held(rental_trade: RentalTrade, standin: StandIn) -> None:
    order, office = rent(rental_trade, standin, deposits="authorised"), desk()
    held = hold(order)
    assert "€90.00 are the customer's again." in text(office.ask(Charge, "release", held))
    office.do(Charge, "release", held, reason="A regular")
    assert charges_of(order) == [("deposit_hold", "canceled", 9000, 0)]


def test_a_declined_card_is_tried_again_then_a_link_is_sent(rental_trade: RentalTrade, standin: StandIn) -> None:
    order, office = rent(rental_trade, standin, card=DECLINES_LATER), desk()
    owe(order, 9700)
    row = Charge.objects.get()
    assert "generic_decline" in text(office.list(Charge, desk="owed"))
    assert "Declined." in office.do(Charge, "again", row, reason="They called")
    assert (len(intents(standin)), Charge.objects.get().tries) == (1, 2)
    assert "Sent." in office.do(Charge, "link", row, reason="They called")
    assert len(mail.outbox) == 1
    assert "has a payment link already" in text(office.ask(Charge, "link", row))
    assert "could charge them twice" in office.do(Charge, "again", row, reason="Again")
    assert "wait until it has had its day" in office.do(Charge, "release", row, reason="Never mind")
    assert ChargeLink.objects.get().url in text(office.page(row))


def test_what_is_owed_is_given_up(rental_trade: RentalTrade, standin: StandIn) -> None:
    order, office = rent(rental_trade, standin, card=DECLINES_LATER), desk()
    owe(order, 9700)
    assert "€7.00 are given up" in text(office.ask(Charge, "release", Charge.objects.get()))
    office.do(Charge, "release", Charge.objects.get(), reason="Not worth it")
    assert charges_of(order) == [("late_fee", "canceled", 700, 0)]
    assert intents(standin)[0]["status"] == "canceled"


def test_nobody_without_the_right_does_any_of_it(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    held, clerk = hold(order), desk("commerce.view_charge")
    assert clerk.page(held).status_code == 200
    for action in ("capture", "release", "again", "link"):
        assert 'name="token"' not in clerk.ask(Charge, action, held).content.decode()
    assert charges_of(order) == [("deposit_hold", "requires_capture", 9000, 0)]


def test_the_lists(rental_trade: RentalTrade, standin: StandIn, django_assert_num_queries: Any) -> None:
    order, office = rent(rental_trade, standin, deposits="authorised"), desk()
    held = hold(order)
    Charge.objects.update(capture_before=timezone.now() + timedelta(hours=5))
    assert order.number in text(office.list(Charge, desk="lapsing"))
    assert order.number not in text(office.list(Charge, desk="owed"))
    for term in (held.payment_intent_id, str(held.pk), str(order.pk), order.number):
        assert order.number in text(office.list(Charge, q=term))
    owe(order, 500)
    [row] = Collection.objects.all()
    assert "€5.00" in text(office.list(Collection, q=order.number))
    assert "Came back late" in text(office.page(row))


FORM = {
    "shop": "band", "late_fee": "amount", "fee": "7.50", "share": "", "grace_days": "1", "cap": "deposit",
    "cap_typed": "", "holidays_typed": "2027-12-26, 2027-12-25", "inspection_days": "1", "release_days": "2",
    "charges_damage": "on", "reason_for_change": "As agreed",
}  # fmt: skip


def test_a_shops_policy_is_written_as_people_write(rental_trade: RentalTrade) -> None:
    office = desk()
    answer = office.client.post(address(ChargePolicy, "add"), FORM)
    assert answer.status_code == 302, text(answer)
    made = ChargePolicy.objects.get()
    assert (made.late_fee_amount, [str(day) for day in made.holidays]) == (750, ["2027-12-25", "2027-12-26"])
    assert "€7.50 per unit and day" in text(office.list(ChargePolicy))
    share = {**FORM, "late_fee": "share", "share": "12.5", "reason_for_change": "Another way"}
    assert office.client.post(address(ChargePolicy, "change", "band"), share).status_code == 302
    assert ChargePolicy.objects.get().late_fee_per_mille == 125
    assert "12.5 % of a day's price" in text(office.list(ChargePolicy))
    assert AuditEntry.objects.filter(action__startswith="charge_policy").count() == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fee": ""}, "Say how much."),
        ({"fee": "7.505"}, ""),
        ({"fee": "-1"}, ""),
        ({"late_fee": "share"}, "Say how much."),
        ({"late_fee": "share", "share": "1.25"}, "A percentage"),
        ({"late_fee": "share", "share": "2000"}, "At most 1000"),
        ({"cap": "amount"}, "Say how much."),
        ({"holidays_typed": "Christmas"}, "written like"),
        ({"reason_for_change": ""}, ""),
    ],
)
def test_a_policy_that_says_nothing_is_refused(rental_trade: RentalTrade, wrong: dict[str, str], said: str) -> None:
    answer = desk().client.post(address(ChargePolicy, "add"), {**FORM, **wrong})
    assert said in text(answer)
    assert not ChargePolicy.objects.exists()


def test_a_policy_page_shows_what_was_set(rental_trade: RentalTrade) -> None:
    policy(late_fee_amount=750, cap="amount", cap_amount=5000)
    page = desk().client.get(address(ChargePolicy, "change", "band")).content.decode()
    assert 'value="7.50"' in page and 'value="50.00"' in page
    assert Order.objects.count() == 0

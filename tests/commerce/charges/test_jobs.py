"""Deposits held, late fees charged, deposits given back: by tasks and commands, once, whatever crashes."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from commerce.charges import resolver
from commerce.models import Charge, ChargePolicy, Collection, Rental, RentalClearing
from commerce.tasks import (
    charge_late_fees_of_shop,
    hold_deposits_of_shop,
    release_deposits_of_shop,
    work_on_rentals_money,
)
from config.celery import app
from tenants.errors import ShopRequired
from tenants.models import Host
from tests.commerce.charges.rented import (
    DECLINES_LATER,
    came_back,
    charges_of,
    days_after,
    intents,
    policy,
    rent,
    tell_all,
    ties_out,
)
from tests.fixtures.payments import balances, refunds_of
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade

INTENTS = "/v1/payment_intents"


@pytest.fixture(autouse=True)
def hooks_host(rental_trade: RentalTrade) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)


def at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=True)


def run(*tasks: Any) -> None:
    for task in tasks:
        task(shop_id="band")


def collected() -> list[tuple[str, int, int, int, int]]:
    rows = Collection.objects.order_by("id")
    return list(rows.values_list("purpose", "amount", "from_deposit", "from_hold", "from_card"))


def told(job: str, *options: str) -> str:
    out = StringIO()
    call_command(job, "--shop", "band", *options, stdout=out)
    return out.getvalue()


def test_a_late_return_costs_the_deposit_and_the_rest_goes_back_once(
    rental_trade: RentalTrade, standin: StandIn, tmp_path: Path
) -> None:
    policy()
    order = rent(rental_trade, standin, quantity=2)
    rental = came_back(order, late=3)
    with at(days_after(rental, 3)):
        dry = told("charge_late_fees", "--dry-run", "--json", str(tmp_path / "dry.json"))
        assert "would be charged, late fee €30.00, from the deposit €30.00" in dry
        assert (collected(), RentalClearing.objects.count()) == ([], 0)
        [report] = json.loads((tmp_path / "dry.json").read_text())
        assert (report["dryRun"], report["rows"][0]["basis"]["lines"][0]["days"]) == (True, 3)
        for _ in range(2):
            run(charge_late_fees_of_shop, release_deposits_of_shop)
        assert "0 rentals" in told("charge_late_fees")
    assert collected() == [("late_fee", 3000, 3000, 0, 0)]
    assert refunds_of(order) == [("succeeded", 15_000, 15_000)]
    found = balances("band")
    assert (found["deposits_kept"], "deposits_held" in found) == (-3000, False)
    tell_all(standin)
    ties_out(standin)


def test_an_authorised_deposit_is_held_before_the_pick_up_taken_in_part_and_let_go(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    policy(cap="none")
    order = rent(rental_trade, standin, deposits="authorised")
    rental = Rental.objects.get(order=order)
    with at(days_after(rental, -4)):
        run(hold_deposits_of_shop)
        assert "not yet" in told("hold_deposits", "--dry-run")
    assert charges_of(order) == []
    with at(days_after(rental, -2)):
        assert "would be held, deposit €90.00" in told("hold_deposits", "--dry-run")
        run(hold_deposits_of_shop, hold_deposits_of_shop)
    assert charges_of(order) == [("deposit_hold", "requires_capture", 9000, 0)]
    came_back(order, late=2)
    with at(days_after(rental, 2)):
        for _ in range(2):
            run(charge_late_fees_of_shop, release_deposits_of_shop)
    assert (collected(), charges_of(order)) == (
        [("late_fee", 1000, 0, 1000, 0)],
        [("deposit_hold", "succeeded", 9000, 1000)],
    )
    assert (len(intents(standin)), refunds_of(order)) == (1, [])
    tell_all(standin)
    ties_out(standin)


def test_a_hold_of_which_nothing_is_owed_is_let_go_and_was_never_money(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    policy()
    order = rent(rental_trade, standin, deposits="authorised")
    rental = Rental.objects.get(order=order)
    with at(days_after(rental, -1)):
        run(hold_deposits_of_shop)
    before = balances("band")
    came_back(order)
    with at(days_after(rental, 1)):
        run(charge_late_fees_of_shop, release_deposits_of_shop)
    assert (charges_of(order), balances("band")) == ([("deposit_hold", "canceled", 9000, 0)], before)
    assert intents(standin)[0]["status"] == "canceled"
    tell_all(standin)
    ties_out(standin)


def test_a_rental_that_outlives_authorisations_has_its_card_kept(rental_trade: RentalTrade, standin: StandIn) -> None:
    policy(cap="none")
    order = rent(rental_trade, standin, deposits="authorised", days=8)
    rental = Rental.objects.get(order=order)
    with at(days_after(rental, -8)):
        assert "longer than an authorisation lives" in told("hold_deposits", "--dry-run")
        run(hold_deposits_of_shop)
    came_back(order, late=1)
    with at(days_after(rental, 1)):
        run(charge_late_fees_of_shop, release_deposits_of_shop)
    assert charges_of(order) == [("late_fee", "succeeded", 500, 500)]
    assert balances("band")["late_fees"] == -500
    tell_all(standin)
    ties_out(standin)


def test_damage_beyond_the_deposit_is_charged_as_it_grows(rental_trade: RentalTrade, standin: StandIn) -> None:
    policy(late_fee="none")
    order = rent(rental_trade, standin, deposits="authorised")
    rental = came_back(order, damage=4000)
    with at(days_after(rental, 1)):
        run(charge_late_fees_of_shop, charge_late_fees_of_shop)
        Rental.objects.filter(pk=rental.pk).update(owed_amount=4600)
        run(charge_late_fees_of_shop, charge_late_fees_of_shop)
    assert [(purpose, amount) for purpose, amount, *_ in collected()] == [("damage", 4000), ("damage", 600)]
    assert balances("band")["damages"] == -4600


def test_what_is_held_is_used_before_its_time_is_up(rental_trade: RentalTrade, standin: StandIn) -> None:
    policy(cap="none", inspection_days=30)
    order = rent(rental_trade, standin, deposits="authorised")
    rental = Rental.objects.get(order=order)
    ChargePolicy.objects.update(inspection_days=0)
    with at(days_after(rental, -1)):
        run(hold_deposits_of_shop)
    ChargePolicy.objects.update(inspection_days=30)
    came_back(order, late=1, inspected=False)
    with at(days_after(rental, 1)):
        Charge.objects.update(capture_before=timezone.now() + timedelta(hours=13))
        run(charge_late_fees_of_shop)
        assert collected() == []
        Charge.objects.update(capture_before=timezone.now() + timedelta(hours=11))
        run(charge_late_fees_of_shop)
    assert collected() == [("late_fee", 500, 0, 500, 0)]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("path", [INTENTS, "/v1/refunds"])
def test_whatever_gets_lost_it_happens_once(rental_trade: RentalTrade, standin: StandIn, kind: str, path: str) -> None:
    policy(cap="amount", cap_amount=9400)
    order = rent(rental_trade, standin, quantity=1)
    ChargePolicy.objects.update(late_fee_amount=9400 if path == INTENTS else 400)
    rental = came_back(order, late=1)
    standin.fault(path=path, kind=kind)
    with at(days_after(rental, 1)):
        for _ in range(2):
            run(charge_late_fees_of_shop, release_deposits_of_shop)
            resolver.run_once(now=timezone.now() + timedelta(minutes=5))
    if path == INTENTS:
        assert charges_of(order) == [("late_fee", "succeeded", 400, 400)]
        assert len(intents(standin)) == 1
    else:
        assert refunds_of(order) == [("succeeded", 8600, 8600)]
    tell_all(standin)
    ties_out(standin)


class Killed(BaseException):
    """A process that ends here."""


# Off deposit and card it takes five steps, off the deposit alone, whose rest goes back, six.
EVERY_STEP = [(9700, after) for after in range(1, 6)] + [(400, after) for after in range(1, 7)]
STEPS = EVERY_STEP if os.environ.get("HOLDFAST_EVERY_STEP") else [(9700, 2), (9700, 4), (400, 3), (400, 5)]


@pytest.mark.parametrize(("fee", "after"), STEPS)
def test_killed_at_any_step_it_happens_once(
    rental_trade: RentalTrade, standin: StandIn, fee: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of Stripe's answers is used and after each commit: whoever comes next goes on."""
    policy(cap="none", late_fee_amount=fee)
    order = rent(rental_trade, standin)
    rental = came_back(order, late=1)
    left = {"steps": after}

    def step() -> None:
        left["steps"] -= 1
        if left["steps"] == 0:
            raise Killed

    dies_around_transactions(monkeypatch, step)
    with at(days_after(rental, 1)), pytest.raises(Killed):
        run(charge_late_fees_of_shop, release_deposits_of_shop)
    for minutes in (1, 5):
        with at(days_after(rental, 1) + timedelta(minutes=minutes)):
            run(charge_late_fees_of_shop, release_deposits_of_shop)
            resolver.run_once(now=timezone.now() + timedelta(minutes=5))
    card = max(0, fee - 9000)
    assert collected() == [("late_fee", fee, fee - card, 0, card)]
    assert charges_of(order) == ([("late_fee", "succeeded", card, card)] if card else [])
    assert refunds_of(order) == ([] if card else [("succeeded", 9000 - fee, 9000 - fee)])
    assert len(intents(standin)) == len(charges_of(order))
    tell_all(standin)
    ties_out(standin)


def dies_around_transactions(monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
    """`step` before and after each transaction of an order: network calls lie between them."""
    from django.db import transaction

    real = transaction.Atomic.__exit__

    def leave(self: Any, *failure: Any) -> Any:
        answer = real(self, *failure)
        if failure[0] is None and not transaction.get_connection().in_atomic_block:
            step()
        return answer

    monkeypatch.setattr(transaction.Atomic, "__exit__", leave)


def test_what_a_declined_card_owes_is_asked_for_once(rental_trade: RentalTrade, standin: StandIn) -> None:
    policy(cap="none", late_fee_amount=9700)
    order = rent(rental_trade, standin, card=DECLINES_LATER)
    rental = came_back(order, late=1)
    with at(days_after(rental, 1)):
        for _ in range(3):
            run(charge_late_fees_of_shop)
            resolver.run_once(now=timezone.now() + timedelta(hours=1))
    assert (charges_of(order), len(intents(standin))) == ([("late_fee", "declined", 700, 0)], 1)


def test_what_came_back_before_the_policy_is_left_alone(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin)
    rental = came_back(order, late=2)
    with at(days_after(rental, 3)):
        run(charge_late_fees_of_shop, release_deposits_of_shop)
        policy(since=timezone.now())
        run(charge_late_fees_of_shop, release_deposits_of_shop)
    assert (collected(), refunds_of(order), RentalClearing.objects.count()) == ([], [], 0)


def test_a_hold_of_what_was_called_off_goes(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    rental = Rental.objects.get(order=order)
    with at(days_after(rental, -1)):
        run(hold_deposits_of_shop)
        Rental.objects.update(status="canceled", next_out_on=None)
        assert "would be let go: called off" in told("release_deposits", "--dry-run")
        run(release_deposits_of_shop, hold_deposits_of_shop)
    assert charges_of(order) == [("deposit_hold", "canceled", 9000, 0)]


def test_the_platforms_turn_sends_each_shop_its_own(rental_trade: RentalTrade, standin: StandIn) -> None:
    policy()
    order = rent(rental_trade, standin)
    rental = came_back(order, late=1)
    app.conf.task_always_eager = True
    try:
        with at(days_after(rental, 1)):
            work_on_rentals_money()
    finally:
        app.conf.task_always_eager = False
    assert (collected(), len(refunds_of(order))) == ([("late_fee", 500, 500, 0, 0)], 1)


def test_bad_input(rental_trade: RentalTrade) -> None:
    with pytest.raises(CommandError, match="no shop"):
        call_command("charge_late_fees", "--shop", "nobody")
    for task in (charge_late_fees_of_shop, release_deposits_of_shop, hold_deposits_of_shop):
        with pytest.raises(ShopRequired):
            task()

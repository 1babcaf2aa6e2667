"""What was charged to a saved card and given back in Stripe's dashboard: off what was collected, and tied out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from commerce.models import Charge, JournalEntry, Order
from tenants.audit import Actor
from tenants.models import AuditEntry, Host
from tenants.staff import EVERY_SHOP
from tests.commerce.backoffice import desk, text
from tests.commerce.charges.rented import hold, owe, rent, tell_all, ties_out
from tests.fixtures.payments import balances
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade
from tests.webhooks.deliver import deliver
from webhooks.findings import fix_finding
from webhooks.models import Finding, StripeEvent
from webhooks.reconcile import run_once


@pytest.fixture(autouse=True)
def hooks_host(rental_trade: RentalTrade) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)


def at_the_dashboard(standin: StandIn, charge: Charge, amount: int) -> str:
    """Somebody gives it back in Stripe's own pages: nothing of it is ours."""
    form = {"payment_intent": str(charge.payment_intent_id), "amount": str(amount)}
    return str(standin.post("/v1/refunds", form)["id"])


def kept(order: Order) -> tuple[list[Any], dict[str, int]]:
    rows = order.charges.order_by("id").values_list("purpose", "status", "captured_amount", "refunded_amount")
    accounts = balances("band")
    return list(rows), {name: accounts[name] for name in ("late_fees", "deposits_kept") if name in accounts}


def test_a_late_fee_that_was_given_back_was_not_collected(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin)
    owe(order, 10_000)
    charge = order.charges.get()
    refund_id = at_the_dashboard(standin, charge, 400)
    tell_all(standin)
    tell_all(standin)
    assert kept(order) == ([("late_fee", "succeeded", 1000, 400)], {"late_fees": -600, "deposits_kept": -9000})
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("confirmed", 0), "the order's own money is as it was"
    assert "€10.00, of which €4.00 went back" in text(desk().page(order))
    ties_out(standin)
    standin.call(f"refunds/{refund_id}/fail", {})
    tell_all(standin)
    assert kept(order) == ([("late_fee", "succeeded", 1000, 0)], {"late_fees": -1000, "deposits_kept": -9000})
    ties_out(standin)
    assert list(AuditEntry.objects.filter(action__contains="refund", object_id=order.pk).values_list("action")) == [
        ("charge.refund_came_back",), ("charge.refunded",),
    ]  # fmt: skip
    assert not StripeEvent.objects.exclude(status__in=["processed", "ignored"]).exists()


def test_so_is_a_deposit_that_was_taken(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin, deposits="authorised")
    hold(order)
    owe(order, 2500)
    at_the_dashboard(standin, order.charges.get(), 2500)
    told = [event for event in standin.events() if event["type"] == "charge.refunded"]
    assert [deliver(event).status_code for event in told] == [200] * len(told)
    assert kept(order) == ([("deposit_hold", "succeeded", 2500, 2500)], {})
    ties_out(standin)


def test_one_that_nobody_told_of_is_found_at_night_and_booked(rental_trade: RentalTrade, standin: StandIn) -> None:
    order = rent(rental_trade, standin)
    owe(order, 10_000)
    refund_id = at_the_dashboard(standin, order.charges.get(), 1000)
    run_once(now=timezone.now() + timedelta(hours=3))
    found = Finding.objects.get(kind=Finding.Kind.REFUND_UNKNOWN)
    assert (found.object_id, found.order_number, found.amount) == (refund_id, order.number, 1000)
    assert JournalEntry.objects.filter(kind="refund").count() == 0
    said = fix_finding(finding_id=found.pk, scope=EVERY_SHOP, reason="It was us", acting=Actor("staff", "olga"))
    assert (said, balances("band").get("late_fees")) == ("The refund is booked.", None)
    ties_out(standin)
    assert run_once(now=timezone.now() + timedelta(hours=3)).new == 0

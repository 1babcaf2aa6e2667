"""However many refund one order at once: never more than was paid, and every key at most once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from commerce.models import Order, Refund, Return
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tests.fixtures.payments import at_stripe, balances, paid_order
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade, in_threads

ROBOT = Actor("system", "test")


def refund(order: Order, key: str, **asked: Any) -> Any:
    shop = load_shop(order.shop_id)
    with bind_shop(shop):
        command = ReturnCommand(order_id=order.pk, reason="A test", key=key, **asked)
        return return_order(shop=shop, command=command, acting=ROBOT)


def test_twenty_processes_never_refund_more_than_was_paid(trade: Trade, standin: StandIn) -> None:
    """50.00 were paid, each of twenty wants 9.99: five can have it, however they meet."""
    order = paid_order(trade, standin, 2)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.commerce.returns.workers", "20", "band", str(order.pk), "999"],
        env={
            **os.environ,
            "HOLDFAST_TEST_DB": str(connection.settings_dict["NAME"]),
            "STRIPE_API_BASE": standin.url,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    answers = [tuple(json.loads(line)) for line in ran.stdout.splitlines()]
    assert Counter(answers) == {
        ("succeeded", "succeeded"): 5,
        ("refund_exceeds_payment", "refund_exceeds_payment"): 15,
    }, ran.stderr
    order.refresh_from_db()
    assert (order.refunded_amount, Refund.objects.count(), Return.objects.count()) == (4995, 5, 5)
    assert len(standin.requests("/v1/refunds")) == 5
    assert at_stripe(standin) == balances("band")["stripe_clearing"]


def test_one_key_pressed_by_many_is_one_refund(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin, 2)
    answers = in_threads([lambda: refund(order, "same", amount=1000) for _ in range(8)])
    # Who comes while the first is at Stripe is told to come again; nobody sends a second one.
    codes = {getattr(answer, "code", "answered") for answer in answers}
    assert "answered" in codes
    assert codes <= {"answered", "payment_unknown"}
    assert refund(order, "same", amount=1000).refunded == 1000
    assert len(standin.requests("/v1/refunds")) == 1
    assert Return.objects.count() == 1


def test_the_same_unit_is_not_returned_twice(trade: Trade, standin: StandIn) -> None:
    from commerce.returns.claiming import LineReturned

    order = paid_order(trade, standin, 3)
    line = LineReturned(order.lines.get().pk, 2, restock=True)
    answers = in_threads([lambda n=n: refund(order, f"k-{n}", lines=(line,)) for n in range(4)])
    codes = Counter(getattr(answer, "code", "answered") for answer in answers)
    assert codes == {"answered": 1, "wrong_state": 3}
    trade.stock.refresh_from_db()
    assert trade.stock.on_hand == 9


def test_the_database_refuses_a_refund_that_the_order_does_not_count(trade: Trade, standin: StandIn) -> None:
    order = paid_order(trade, standin)
    refund(order, "k", amount=1000)
    row = Refund.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Refund.objects.filter(pk=row.pk).update(amount=900)
    with pytest.raises(IntegrityError), transaction.atomic():
        Refund.objects.filter(pk=row.pk).update(status="failed")
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(refunded_amount=0)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(refunded_amount=2501)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(deposit_kept_amount=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        order.lines.update(returned_quantity=2)
    order.refresh_from_db()
    assert (order.refunded_amount, order.lines.get().returned_quantity) == (1000, 0)

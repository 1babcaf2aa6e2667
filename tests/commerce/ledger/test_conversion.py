"""Stripe settles in another currency than the charge's: what moves is converted in the journal as it is at Stripe."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.db.models import Sum
from django.utils import timezone

from commerce.ledger.statements import Period, as_csv, statement, totals
from commerce.ledger.tie_out import tie_out
from commerce.models import Dispute, JournalEntry, JournalLine, Order, Variant
from commerce.returns.claiming import ReturnCommand
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.models import Host
from tests.fixtures.payments import at_stripe, paid_order
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade
from tests.webhooks.deliver import deliver


def sums(account: str) -> dict[str, int]:
    """One account of the shop by currency."""
    lines = JournalLine.objects.filter(account=account).values_list("entry__currency").annotate(total=Sum("amount"))
    return {currency: total for currency, total in lines.order_by() if total}


def sells_in(trade: Trade, currency: str, price: int) -> None:
    trade.shop.settings.currency = currency
    trade.shop.settings.save()
    Variant.objects.update(currency=currency, price_amount=price)


def give_back(order: Order, amount: int) -> None:
    shop = load_shop(order.shop_id)
    command = ReturnCommand(order_id=order.pk, reason="A test", key=f"k-{amount}", amount=amount)
    with bind_shop(shop):
        return_order(shop=shop, command=command, acting=Actor("staff", "olga"))


def everything_told(standin: StandIn) -> None:
    for told in reversed(standin.events()):
        assert deliver(told).status_code == 200


@pytest.mark.parametrize(
    ("charged", "price", "back", "settled", "rate", "gross", "refunded"),
    [
        ("EUR", 2500, 500, "USD", "1.0002", 2500, 500),  # 2500.5, half to even
        ("JPY", 5000, 1999, "EUR", "0.0061", 3050, 1219),  # no decimals → two
        ("KWD", 10_010, 5_000, "EUR", "3.0001", 3003, 1500),  # three → two
        ("EUR", 2500, 1000, "JPY", "164.5", 4112, 1645),  # two → none: 4112.5
        ("EUR", 2500, 1000, "KWD", "0.3333", 8332, 3333),  # two → three: 8332.5
        ("ISK", 4000, 1000, "EUR", "0.0069", 2760, 690),  # charged ×100, in whole units
    ],
)
def test_sale_fee_refund_and_dispute_are_converted(
    trade: Trade, standin: StandIn, charged: str, price: int, back: int, settled: str, rate: str, gross: int,
    refunded: int,
) -> None:  # fmt: skip
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    sells_in(trade, charged, price)
    standin.call("settlements", {"currency": settled.lower(), "rates": {charged.lower(): rate}})
    order = paid_order(trade, standin)
    fee = (2 * gross * 29 + 1000) // 2000 + 30
    assert sums("stripe_clearing") == {settled: gross - fee}
    assert sums("currency_exchange") == {charged: price, settled: -gross}
    assert (sums("revenue"), sums("stripe_fees")) == ({charged: -price}, {settled: fee})
    give_back(order, back)
    assert sums("stripe_clearing") == {settled: gross - fee - refunded}
    assert sums("currency_exchange") == {charged: price - back, settled: refunded - gross}
    assert sums("sales_returns") == {charged: back}
    begun = standin.call(f"charges/{order.charge_id}/dispute", {})["dispute"]
    everything_told(standin)
    assert sums("stripe_clearing") == {settled: gross - fee - refunded - gross - 1500}
    dispute = Dispute.objects.get()
    assert (dispute.currency, dispute.amount) == (charged, price)
    assert (dispute.balance_currency, dispute.withdrawn_amount, dispute.fee_amount) == (settled, gross, 1500)
    standin.call(f"disputes/{begun['id']}/close", {"outcome": "won"})
    everything_told(standin)
    assert sums("stripe_clearing") == {settled: at_stripe(standin, currency=settled.lower())}
    assert (sums("disputes"), sums("dispute_fees")) == ({}, {settled: 1500})
    since, until = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    (report,) = tie_out(shop=load_shop("band"), since=since, until=until)
    assert (report.differences, report.unowned, report.compared) == ([], [], 3)
    assert report.at_stripe == report.in_journal == sums("stripe_clearing")


def test_a_refund_that_comes_back_at_another_rate_leaves_the_difference_in_the_exchange(
    trade: Trade, standin: StandIn
) -> None:
    Host.objects.create(hostname="hooks.localhost", role=Host.Role.HOOKS)
    standin.call("settlements", {"currency": "usd", "rates": {"eur": "1.1"}})
    order = paid_order(trade, standin)
    give_back(order, 1000)
    standin.call("settlements", {"currency": "usd", "rates": {"eur": "1.2"}})
    refund = order.refunds.get()
    standin.call(f"refunds/{refund.refund_id}/fail", {})
    everything_told(standin)
    assert (sums("sales_returns"), sums("revenue")) == ({}, {"EUR": -2500})
    assert sums("currency_exchange") == {"EUR": 2500, "USD": -2750 - 100}
    assert sums("stripe_clearing") == {"USD": at_stripe(standin, currency="usd")}
    converted = JournalEntry.objects.filter(kind="conversion", reference__endswith=":in").order_by("pk")
    assert list(converted.values_list("memo", flat=True)) == [
        "€25.00 as $27.50", "€10.00 as $11.00", "€10.00 as $12.00",
    ]  # fmt: skip


def test_statement_and_trial_balance_are_kept_by_currency(trade: Trade, standin: StandIn) -> None:
    standin.call("settlements", {"currency": "jpy", "rates": {"eur": "160"}})
    paid_order(trade, standin)
    lines = statement(shop_id="band", period=Period(None, timezone.now() + timedelta(days=1)))
    assert [(line.account, line.currency, line.closing) for line in lines] == [
        ("stripe_clearing", "EUR", 0), ("currency_exchange", "EUR", 2500), ("revenue", "EUR", -2500),
        ("stripe_clearing", "JPY", 3854), ("currency_exchange", "JPY", -4000), ("stripe_fees", "JPY", 146),
    ]  # fmt: skip
    assert [(total.currency, total.closing) for total in totals(lines)] == [("EUR", 0), ("JPY", 0)]
    written = [(row["account"], row["currency"], row["closing"]) for row in csv.DictReader(StringIO(as_csv(lines)))]
    assert ("currency_exchange", "EUR", "25.00") in written
    assert ("currency_exchange", "JPY", "-4000") in written


def test_a_currency_that_changes_midway_ties_out(trade: Trade, standin: StandIn) -> None:
    """The bank account is another one from today on: yesterday's charge is refunded from today's balance."""
    order = paid_order(trade, standin, 2)
    standin.call("settlements", {"currency": "usd", "rates": {"eur": "1.1"}})
    give_back(order, 1000)
    assert sums("stripe_clearing") == {"EUR": 4825, "USD": -1100}
    since, until = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    (report,) = tie_out(shop=load_shop("band"), since=since, until=until)
    assert (report.differences, report.at_stripe) == ([], {"EUR": 4825, "USD": -1100})

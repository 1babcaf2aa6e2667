"""A subscription's money in the journal: paid invoices, fees, what goes back, disputes; and it ties out (O4)."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from checkout.models import SubscribeAttempt
from commerce.ledger import accounts
from commerce.ledger.tie_out import tie_out
from commerce.models import Dispute, Invoice, JournalEntry, JournalLine, Subscription, TaxRate
from commerce.tasks import post_fees
from tenants.context import bind_shop, load_shop
from tenants.models import ShopSettings
from tests.factories.plans import make_plan
from tests.fixtures.subscribers import Club

MONTH = 31 * 86400


def balances() -> dict[str, int]:
    lines = JournalLine.objects.values_list("account").annotate(found=Sum("amount")).order_by("account")
    return {account: int(total) for account, total in lines if total}


def ties_out(club: Club) -> None:
    """The journal is what Stripe's own books are, object by object."""
    shop = load_shop(club.trade.shop.pk)
    with bind_shop(shop):
        now = timezone.now()
        (found,) = tie_out(shop=shop, since=now - timedelta(days=30), until=now + timedelta(days=400))
    assert (found.clean, found.differences, found.unowned) == (True, [], [])
    assert found.compared > 0


def payment_of(club: Club, invoice: Invoice) -> tuple[str, str]:
    intent = club.standin.read(f"/v1/payment_intents/{invoice.payment_intent_id}")
    return str(intent["id"]), str(intent["latest_charge"])


def test_each_paid_invoice_is_booked_once_with_its_fee(club: Club) -> None:
    club.begin()
    invoice = Invoice.objects.get()
    # 2.9 % and 30 cents, as the stand-in takes.
    assert balances() == {accounts.CLEARING: 990 - 59, accounts.REVENUE: -990, accounts.FEES: 59}
    assert invoice.charge_id and invoice.balance_transaction_id
    assert set(JournalEntry.objects.values_list("kind", "invoice_id")) == {
        ("invoice", invoice.pk), ("fee", invoice.pk),
    }  # fmt: skip
    club.standin.advance(MONTH)
    club.standin.advance(2 * 3600)
    club.tell()
    assert Invoice.objects.filter(status="paid").count() == 2
    assert balances() == {accounts.CLEARING: 2 * (990 - 59), accounts.REVENUE: -1980, accounts.FEES: 118}
    ties_out(club)


def test_tax_is_set_apart(club: Club) -> None:
    ShopSettings.objects.update(tax_mode="static", tax_country="DE")
    TaxRate.objects.create(
        shop=club.trade.shop, country="DE", name="VAT", percentage=19, inclusive=True, valid_from="2020-01-01"
    )
    club.begin()
    invoice = Invoice.objects.get()
    assert (invoice.amount_paid, invoice.tax_amount) == (990, 158)
    found = balances()
    assert (found[accounts.TAX], found[accounts.REVENUE]) == (-158, -832)
    ties_out(club)


def test_a_trial_moves_no_money(club: Club) -> None:
    make_plan(club.trade.shop, "tried", trial_days=14)
    answer = club.subscribe(planId="tried")
    club.pay(answer.json()["sessionId"])
    club.tell()
    assert Subscription.objects.get().status == "trialing"
    assert balances() == {}


def test_a_fee_that_no_event_told_of_is_found(club: Club) -> None:
    session_id = club.subscribe().json()["sessionId"]
    club.pay(session_id)
    club.tell()
    Invoice.objects.update(balance_transaction_id="")
    post_fees()
    assert Invoice.objects.get().balance_transaction_id != ""
    assert balances()[accounts.FEES] == 59


def test_refunds_made_at_stripe_are_booked_with_their_tax_and_come_back_whole(club: Club) -> None:
    ShopSettings.objects.update(tax_mode="static", tax_country="DE")
    TaxRate.objects.create(
        shop=club.trade.shop, country="DE", name="VAT", percentage=19, inclusive=True, valid_from="2020-01-01"
    )
    club.begin()
    intent, _ = payment_of(club, Invoice.objects.get())
    club.standin.post("/v1/refunds", {"payment_intent": intent, "amount": "500"})
    rest = club.standin.post("/v1/refunds", {"payment_intent": intent})["id"]
    club.tell()
    found = balances()
    assert accounts.TAX not in found
    assert (found[accounts.RETURNS], found[accounts.REVENUE]) == (832, -832)
    assert Invoice.objects.get().refunded_amount == 990
    club.standin.call(f"refunds/{rest}/fail", {})
    club.tell()
    assert Invoice.objects.get().refunded_amount == 500
    assert balances()[accounts.RETURNS] == 500 - 79
    ties_out(club)


def test_a_dispute_of_a_subscriptions_payment_is_booked(club: Club) -> None:
    club.begin()
    _, charge = payment_of(club, Invoice.objects.get())
    club.standin.call(f"charges/{charge}/dispute", {})
    club.tell()
    assert Dispute.objects.get().withdrawn_amount == 990
    found = balances()
    assert (found[accounts.DISPUTES], found[accounts.DISPUTE_FEES]) == (990, 1500)
    ties_out(club)


def state() -> tuple[Any, ...]:
    """Everything that billing's events bring about, without ids and moments of our own."""
    return (
        list(Subscription.objects.values_list("status", "version_id", "email", "current_period_end", "ended_at")),
        sorted(Invoice.objects.values_list("invoice_id", "status", "amount_paid", "attempt_count", "refunded_amount")),
        sorted(JournalEntry.objects.values_list("kind", "reference", "invoice__invoice_id")),
        balances(),
    )


def test_events_in_any_order_twice_and_lost_end_in_the_same_state(club: Club) -> None:
    """A month with a failed and a recovered payment, a refund and an end; told shuffled, doubled, some not at all."""
    session_id = club.subscribe().json()["sessionId"]
    club.standin.pay(session_id, "4000000000000341")
    club.standin.advance(MONTH)
    club.standin.advance(2 * 3600)
    (open_one,) = club.standin.read("/v1/invoices?status=open")["data"]
    club.standin.call(f"invoices/{open_one['id']}/pay", {"card": "4242424242424242"})
    subscription_id = str(club.standin.session(session_id)["subscription"])
    paid = club.standin.read(f"/v1/invoices/{open_one['id']}?expand[]=payments")["payments"]["data"]
    intent = next(payment["payment"]["payment_intent"] for payment in paid if payment["status"] == "paid")
    club.standin.post("/v1/refunds", {"payment_intent": intent, "amount": "300"})
    club.standin.post(f"/v1/subscriptions/{subscription_id}", {"metadata[touched]": "1"})
    events = club.untold()
    club.deliver(events)
    clean = state()
    assert clean[0][0][0] == "active" and clean[3][accounts.RETURNS] == 300
    for seed in range(int(os.environ.get("HOLDFAST_BILLING_ORDERS", "3"))):
        forget()
        chance = random.Random(seed)
        told = [event for event in events if event["type"] not in NEEDED and chance.random() < 0.7]
        told += [event for event in events if event["type"] in NEEDED]
        told *= 2
        chance.shuffle(told)
        club.deliver(told)
        assert state() == clean, seed


# Nothing else tells of what these are about: without them the nightly look at Stripe's list of events does.
NEEDED = {"checkout.session.completed", "invoice.paid", "charge.refunded"}


def forget() -> None:
    """As if no event had come yet: rows that they bring about, and the events themselves."""
    tables = (
        "commerce_journalline", "commerce_journalentry", "commerce_subscriptionnote", "commerce_invoice",
        "commerce_subscription", "webhooks_eventdelivery", "webhooks_stripeevent",
    )  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # the journal keeps what it has
            cursor.execute(f"DELETE FROM {table}")
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    SubscribeAttempt.objects.update(state="open", outcome="", closed_at=None, subscription_id="")

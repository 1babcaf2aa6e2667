"""A subscription's money in the journal: paid invoices, fees, what goes back, disputes; and it ties out (O4)."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

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


@pytest.mark.parametrize("seed", [1, 2])
def test_events_in_any_order_and_twice_book_once(club: Club, seed: int) -> None:
    club.pay(club.subscribe().json()["sessionId"])
    waiting: list[Any] = club.untold() * 2
    random.Random(seed).shuffle(waiting)
    club.deliver(waiting)
    assert balances() == {accounts.CLEARING: 990 - 59, accounts.REVENUE: -990, accounts.FEES: 59}

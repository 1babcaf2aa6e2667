"""Dunning: who is told what, once per invoice and try; staff see it; a life from start to end (P3)."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from commerce.admin.subscription_actions import access_now
from commerce.models import Invoice, JournalEntry, Subscription, SubscriptionNote
from commerce.subscriptions.access import Why
from commerce.tasks import tell_subscribers
from tests.commerce.backoffice import desk, found, text
from tests.commerce.subscriptions.test_booking import MONTH, ties_out
from tests.commerce.subscriptions.test_operations import cancel, change
from tests.factories.plans import make_plan
from tests.fixtures.standin import StandIn
from tests.fixtures.subscribers import Club
from tests.fixtures.workers import issue

HOUR, DAY = 3600, 86400
DECLINED_LATER = "4000000000000341"


class AwayBackend(EmailBackend):
    """A mail server that doesn't take anything."""

    def send_messages(self, messages: Any) -> int:
        raise smtplib.SMTPServerDisconnected


@pytest.fixture(autouse=True)
def mail_server(settings: Any, standin: StandIn) -> None:
    """And tries far enough apart that a month is over by the same one, however long it is."""
    settings.EMAIL_URL = "memory://"
    standin.call("options", {"invoiceRetryDays": [5, 5, 5]})


def begin(club: Club, card: str, **how: Any) -> str:
    session_id = club.subscribe(**how).json()["sessionId"]
    club.standin.pay(session_id, card, threeDS="approve")
    club.tell()
    return str(club.standin.session(session_id)["subscription"])


def a_month_later(club: Club) -> None:
    """The period ends, its invoice is drafted, and collected an hour after."""
    club.standin.advance(MONTH)
    club.standin.advance(2 * HOUR)
    club.tell()


def test_a_life_start_upgrade_failed_payment_recovery_cancel(club: Club) -> None:
    make_plan(club.trade.shop, "plus", 1990)
    token = issue(club.trade.shop.pk, "payments:write")
    subscription_id = begin(club, DECLINED_LATER)
    assert change(subscription_id, token).status_code == 200
    a_month_later(club)
    row = Subscription.objects.get()
    assert (row.status, access_now(row).why) == ("past_due", Why.GRACE)
    open_one = Invoice.objects.get(status="open")
    assert (open_one.amount_due, open_one.attempt_count) == (1990, 1) and open_one.next_attempt_at is not None
    tell_subscribers()
    tell_subscribers()
    (told,) = mail.outbox
    assert told.to == ["ada@example.test"] and "€19.90" in told.subject and open_one.page_url in told.body
    owner = desk()
    assert found(owner.list(Invoice, trouble="past_due")) == {str(open_one.pk)}
    assert found(owner.list(Invoice, trouble="action")) == set()
    assert owner.figure("Renewals unpaid") == "1"
    assert "A payment failed" in text(owner.page(open_one)) and "ada@example.test" in text(owner.page(open_one))
    assert "within the days of grace" in text(owner.page(row))
    club.standin.advance(5 * DAY)
    club.tell()
    tell_subscribers()
    assert [len(mail.outbox), SubscriptionNote.objects.count()] == [2, 2], "another try, another mail"
    club.standin.call(f"invoices/{open_one.invoice_id}/pay", {"card": "4242424242424242"})
    club.tell()
    row.refresh_from_db()
    assert (row.status, access_now(row).why) == ("active", Why.PAID)
    assert found(owner.list(Invoice, trouble="past_due")) == set()
    assert owner.figure("Renewals unpaid") == "0"
    assert cancel(subscription_id, token, idempotencyKey="k-2").status_code == 200
    a_month_later(club)
    row.refresh_from_db()
    assert (row.status, access_now(row).why) == ("canceled", Why.ENDED)
    assert Invoice.objects.filter(status="paid").count() == 2
    assert JournalEntry.objects.filter(kind="invoice").count() == 2
    ties_out(club)


def test_a_bank_that_wants_the_customer_is_said_so(club: Club) -> None:
    begin(club, "4000002760003184")
    a_month_later(club)
    tell_subscribers()
    (told,) = mail.outbox
    assert "please confirm" in told.subject
    invoice = Invoice.objects.get(status="open")
    assert invoice.needs_action and invoice.page_url in told.body
    assert found(desk().list(Invoice, trouble="action")) == {str(invoice.pk)}


def test_what_has_settled_itself_is_not_mailed(club: Club) -> None:
    begin(club, DECLINED_LATER)
    a_month_later(club)
    invoice = Invoice.objects.get(status="open")
    club.standin.call(f"invoices/{invoice.invoice_id}/pay", {"card": "4242424242424242"})
    club.tell()
    tell_subscribers()
    assert mail.outbox == []
    assert SubscriptionNote.objects.get().state == "needless"


def test_a_mail_server_that_is_away_is_tried_again(club: Club, settings: Any) -> None:
    begin(club, DECLINED_LATER)
    a_month_later(club)
    settings.EMAIL_BACKEND = f"{__name__}.AwayBackend"
    tell_subscribers()
    note = SubscriptionNote.objects.get()
    assert (note.state, note.attempts, note.error) == ("due", 1, "The mail server didn't take it.")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    SubscriptionNote.objects.update(due_at=timezone.now())
    tell_subscribers()
    assert len(mail.outbox) == 1 and SubscriptionNote.objects.get().state == "sent"


def test_a_trial_that_ends_is_announced_once(club: Club) -> None:
    make_plan(club.trade.shop, "tried", trial_days=2)
    begin(club, "4242424242424242", planId="tried")
    tell_subscribers()
    club.tell()
    tell_subscribers()
    (told,) = mail.outbox
    assert told.to == ["ada@example.test"] and "your trial ends on" in told.subject

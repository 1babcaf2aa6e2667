"""Subscribers hear of what they have to do: by mail, once per invoice and try, and once before a trial ends.

What is to be told follows from what Stripe said last, in the transaction that writes it; so a lost or repeated event
neither forgets nor repeats a mail. A worker sends; what has settled itself meanwhile isn't sent any more.
"""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.template.loader import render_to_string

from commerce.money import format_minor
from commerce.subscriptions.models import Invoice, Subscription
from commerce.subscriptions.note_models import SubscriptionNote

log = structlog.get_logger(__name__)
Kind, State = SubscriptionNote.Kind, SubscriptionNote.State

LANGUAGES: Final = ("en", "de")
SUBJECTS: Final = {
    (Kind.PAYMENT_FAILED, "en"): "{shop}: your payment of {amount} did not go through",
    (Kind.PAYMENT_FAILED, "de"): "{shop}: Ihre Zahlung über {amount} ist fehlgeschlagen",
    (Kind.ACTION_REQUIRED, "en"): "{shop}: please confirm your payment of {amount}",
    (Kind.ACTION_REQUIRED, "de"): "{shop}: Bitte bestätigen Sie Ihre Zahlung über {amount}",
    (Kind.TRIAL_ENDING, "en"): "{shop}: your trial ends on {day}",
    (Kind.TRIAL_ENDING, "de"): "{shop}: Ihre Probezeit endet am {day}",
}
# Stripe announces it three days before; a shorter trial at once.
BEFORE_TRIAL_END: Final = timedelta(days=3, hours=1)
FIRST_RETRY, LONGEST_RETRY, MOST_ATTEMPTS = timedelta(minutes=1), timedelta(hours=6), 12


@dataclass(frozen=True, slots=True)
class NoteReport:
    """How many mails were due, and how many went out."""

    found: int
    sent: int


# ---------------------------------------------------------------- what is to be told
def note_invoice_within(*, invoice: Invoice, now: datetime) -> None:
    """Notes the mail about an open invoice whose payment was tried. In the caller's transaction; once per try."""
    if not waits_for_customer(invoice):
        return
    kind = Kind.ACTION_REQUIRED if invoice.needs_action else Kind.PAYMENT_FAILED
    occasion = f"{invoice.stripe_account}:{invoice.invoice_id}:{invoice.attempt_count}:{kind}"
    _note(invoice.shop_id, kind=kind, occasion=occasion, now=now, invoice=invoice)


def note_trial_within(*, row: Subscription, now: datetime) -> None:
    """Notes the mail before a trial ends. In the caller's transaction; once per end."""
    if row.trial_end is None or not trial_ends_soon(row, now):
        return
    occasion = f"{row.stripe_account}:{row.subscription_id}:trial:{int(row.trial_end.timestamp())}"
    _note(row.shop_id, kind=Kind.TRIAL_ENDING, occasion=occasion, now=now, subscription=row)


def waits_for_customer(invoice: Invoice) -> bool:
    """Whether a payment of it was tried and is still missing. The first one is made on the payment page."""
    tried = invoice.attempt_count > 0 and invoice.billing_reason != "subscription_create"
    return invoice.status == Invoice.Status.OPEN and tried and invoice.amount_remaining > 0


def trial_ends_soon(row: Subscription, now: datetime) -> bool:
    if row.status != Subscription.Status.TRIALING or row.trial_end is None or row.cancel_at_period_end:
        return False
    return now < row.trial_end <= now + BEFORE_TRIAL_END


def _note(
    shop_id: str,
    *,
    kind: str,
    occasion: str,
    now: datetime,
    invoice: Invoice | None = None,
    subscription: Subscription | None = None,
) -> None:
    note = SubscriptionNote(
        shop_id=shop_id, kind=kind, occasion=occasion, invoice=invoice, subscription=subscription, due_at=now,
        created_at=now,
    )  # fmt: skip
    SubscriptionNote.objects.bulk_create([note], ignore_conflicts=True)


# ---------------------------------------------------------------- sending
def run_once(*, now: datetime, limit: int = 100) -> NoteReport:
    """Sends what is due, each by itself. Safe to run side by side."""
    due = SubscriptionNote.objects.filter(state=State.DUE, due_at__lte=now)
    rows = list(due.select_related("shop__settings", "invoice", "subscription").order_by("due_at")[:limit])
    return NoteReport(found=len(rows), sent=sum(_send(note, now) for note in rows))


def _send(note: SubscriptionNote, now: datetime) -> int:
    """One mail. Its Message-ID is the note's, so that a repeat after a crash is recognised."""
    attempts = note.attempts + 1
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
    mine = _rows(note).filter(attempts=note.attempts, state=State.DUE)
    if not mine.update(attempts=attempts, due_at=now + wait):
        return 0  # somebody else is at it
    if not _still_true(note, now):
        _rows(note).update(state=State.NEEDLESS)
        return 0
    recipient = recipient_of(note)
    if not recipient or not settings.EMAIL_URL:
        why = "There is no mail server." if recipient else "There is no e-mail address: nobody could be told."
        log.warning("subscriber_not_mailed", note=str(note.pk), shop_id=note.shop_id, why=why)
        _rows(note).update(state=State.GIVEN_UP, error=why)
        return 0
    subject, body = mail_of(note)
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    message = EmailMessage(
        subject, body, to=[recipient], headers={"Message-ID": f"<subscription-note-{note.pk}@{host}>"}
    )
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        log.warning("subscriber_not_mailed", note=str(note.pk), error=type(error).__name__)
        state = State.GIVEN_UP if attempts >= MOST_ATTEMPTS else State.DUE
        _rows(note).update(state=state, error="The mail server didn't take it.")
        return 0
    _rows(note).update(state=State.SENT, sent_at=now, sent_to=recipient, error="")
    return 1


def recipient_of(note: SubscriptionNote) -> str:
    """The invoice's address is the customer's at Stripe today; else the one that subscribed here."""
    if note.invoice is not None:
        return note.invoice.customer_email
    return note.subscription.email if note.subscription is not None else ""


def mail_of(note: SubscriptionNote) -> tuple[str, str]:
    """Subject and text, in the shop's language where there is one of ours."""
    locale = note.shop.settings.default_locale
    language = locale.partition("-")[0]
    language = language if language in LANGUAGES else LANGUAGES[0]
    told: dict[str, object] = {"shop": note.shop.name, "invoice": note.invoice, "amount": "", "day": ""}
    if note.invoice is not None:
        told["amount"] = format_minor(note.invoice.amount_remaining, note.invoice.currency, locale)
    if note.subscription is not None and note.subscription.trial_end is not None:
        told["day"] = note.subscription.trial_end.date().isoformat()
    subject = " ".join(SUBJECTS[Kind(note.kind), language].format(**told).split())
    return subject, render_to_string(f"email/subscription_{note.kind}.{language}.txt", told)


def _still_true(note: SubscriptionNote, now: datetime) -> bool:
    if note.invoice is not None:
        return waits_for_customer(note.invoice)
    return note.subscription is not None and trial_ends_soon(note.subscription, now)


def _rows(note: SubscriptionNote) -> QuerySet[SubscriptionNote]:
    return SubscriptionNote.objects.for_shop(note.shop_id).filter(pk=note.pk)

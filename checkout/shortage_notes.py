"""Who is told of an order that was paid without stock: its customer at every step, the shop's people once.

By mail, a minute after at the latest, tried again with back-off while the mail server is away.
"""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string

from checkout.locks import checkout_tx
from checkout.models import Shortage
from checkout.shortages import TOLD_AGAIN, close_within, refund_shortage
from commerce.gateway.failures import StripeFailure
from commerce.models import Order
from commerce.money import format_minor
from commerce.orders.locks import order_for_update
from commerce.orders.mails import note_mail_within
from inventory.alert_channels import page_of, recipients_of
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.database import shop_tx
from tenants.errors import HoldfastError
from tenants.models import AuditEntry, ShopSettings

log = structlog.get_logger(__name__)
Note, State = Shortage.Note, Shortage.State

POLICY: Final = Actor("system", "shortage-policy")
LANGUAGES: Final = ("en", "de")
FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
MOST_ATTEMPTS: Final = 12
REFUND_AGAIN_AFTER: Final = timedelta(minutes=5)

SUBJECTS: Final = {
    ("delayed", "en"): "Your order {number}: a little patience, please",
    ("delayed", "de"): "Ihre Bestellung {number}: etwas Geduld, bitte",
    ("confirmed", "en"): "Your order {number} is confirmed",
    ("confirmed", "de"): "Ihre Bestellung {number} ist bestätigt",
    ("substituted", "en"): "Your order {number}: we send something else in its place",
    ("substituted", "de"): "Ihre Bestellung {number}: wir senden einen Ersatz",
    ("refunded", "en"): "Your order {number}: your money comes back",
    ("refunded", "de"): "Ihre Bestellung {number}: Sie erhalten Ihr Geld zurück",
}


@dataclass(frozen=True, slots=True)
class ShortageReport:
    """Orders refunded by their shop's policy, cases closed because their order was, mails sent, what failed."""

    refunded: int
    closed: int
    told: int
    failed: int


def run_once(*, now: datetime, limit: int = 50) -> ShortageReport:
    """Refunds where the shop's policy says so, sends what is due. Safe side by side; each case is tried by itself."""
    refunded, closed, told, failed = 0, 0, 0, 0
    for case in _open(limit):
        try:
            if case.order.status == Order.Status.REFUNDED:
                closed += _close_refunded(case)
            elif case.policy == ShopSettings.ShortagePolicy.REFUND and _try_now(case, now):
                refunded += _refund(case)
            if case.staff_told_at is None:
                told += _tell_staff(case, now)
        except (StripeFailure, HoldfastError) as error:
            failed += 1
            log.error("shortage_not_refunded", order_id=str(case.order_id), shop_id=case.shop_id, error=str(error))
        except Exception:
            failed += 1
            log.exception("shortage_failed", order_id=str(case.order_id), shop_id=case.shop_id)
    for case in _due(now, limit):
        told += _tell_customer(case, now)
    return ShortageReport(refunded, closed, told, failed)


def _open(limit: int) -> list[Shortage]:
    """Those with something to do first: staff's own cases wait for staff, however many they are."""
    ours = Q(policy=ShopSettings.ShortagePolicy.REFUND) | Q(staff_told_at__isnull=True)
    gone = Q(order__status=Order.Status.REFUNDED)
    cases = Shortage.objects.filter(ours | gone, state=State.OPEN).select_related("order", "shop__settings")
    return list(cases.order_by("refund_tried_at", "opened_at")[:limit])


def _due(now: datetime, limit: int) -> list[Shortage]:
    cases = Shortage.objects.exclude(note="").filter(note_due_at__lte=now)
    return list(cases.select_related("order", "shop__settings").order_by("note_due_at")[:limit])


def _try_now(case: Shortage, now: datetime) -> bool:
    """One process at a time, and not at every run while Stripe refuses."""
    free = Q(refund_tried_at__isnull=True) | Q(refund_tried_at__lte=now - REFUND_AGAIN_AFTER)
    mine = Shortage.objects.for_shop(case.shop_id).filter(free, pk=case.pk, state=State.OPEN)
    return bool(mine.update(refund_tried_at=now))


def _refund(case: Shortage) -> int:
    shop = load_shop(case.shop_id, request_id=case.order.request_id)
    with bind_shop(shop):
        refund_shortage(shop=shop, order_id=case.order_id, reason="Paid without stock: the shop refunds", acting=POLICY)
    return 1


def _close_refunded(case: Shortage) -> int:
    """The money went back by another way, such as the order's page or Stripe's dashboard."""
    with checkout_tx(case.shop_id):
        order = order_for_update(shop_id=case.shop_id, order_id=case.order_id)
        locked = Shortage.objects.for_shop(case.shop_id).select_for_update(no_key=True).get(pk=case.pk)
        if locked.state != State.OPEN or order.status != Order.Status.REFUNDED:
            return 0
        close_within(
            case=locked, order=order, state=State.REFUNDED, note=Note.REFUNDED, acting=POLICY, data={},
            reason="The order was refunded in another way",
        )  # fmt: skip
    return 1


def _tell_staff(case: Shortage, now: datetime) -> int:
    recipients = recipients_of(case.shop_id)
    body = render_to_string(
        "email/shortage_staff.txt",
        {"case": case, "order": case.order, "shop": case.shop.name, "lines": _lines(case), "page": page_of(case)},
    )
    subject = f"Paid without stock: order {case.order.number}"
    reachable = bool(recipients and settings.EMAIL_URL)
    if not _sent(subject, body, recipients, f"shortage-{case.pk}") and reachable:
        return 0
    # Without recipients or a mail server the desk is what tells: there is nothing to try again.
    with shop_tx(case.shop_id):
        mine = Shortage.objects.for_shop(case.shop_id).filter(pk=case.pk, staff_told_at=None)
        told = mine.update(staff_told_at=now)
        if told and reachable:
            note_mail_within(order=case.order, to="staff", subject=subject)
    return told


def _tell_customer(case: Shortage, now: datetime) -> int:
    """One mail. Its Message-ID is the case's and the note's, so that a repeat after a crash is recognised."""
    note, order = case.note, case.order
    mine = Shortage.objects.for_shop(case.shop_id).filter(pk=case.pk, note=note, note_attempts=case.note_attempts)
    attempts = case.note_attempts + 1
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY)
    if not mine.update(note_attempts=attempts, note_due_at=now + wait):
        return 0  # somebody else is at it
    mine = Shortage.objects.for_shop(case.shop_id).filter(pk=case.pk, note=note, note_attempts=attempts)
    if not order.email:
        trouble = "The order has no e-mail address: nobody could be told."
        with shop_tx(case.shop_id):
            mine.update(note="", note_error=trouble)
            note_mail_within(order=order, to="customer", subject=case.get_note_display(), trouble=trouble)
        return 0
    language = order.locale.partition("-")[0]
    language = language if language in LANGUAGES else LANGUAGES[0]
    amount = format_minor(order.total_amount, order.currency, order.locale or case.shop.settings.default_locale)
    body = render_to_string(
        f"email/shortage_{note}.{language}.txt",
        {"order": order, "shop": case.shop.name, "lines": _lines(case), "amount": amount},
    )
    subject = SUBJECTS[(note, language)].format(number=order.number)
    trouble, sent = "", _sent(subject, body, [order.email], _key_of(case))
    if not sent:
        trouble = "The mail server didn't take it."
    with shop_tx(case.shop_id):
        ended = sent or attempts >= MOST_ATTEMPTS
        mine.update(note="" if ended else note, note_sent_at=now if sent else case.note_sent_at, note_error=trouble)
        if ended:
            note_mail_within(order=order, to="customer", subject=subject, trouble=trouble)
    return int(sent)


def _key_of(case: Shortage) -> str:
    """A repeat after a crash is the same mail; one that staff have sent again is another."""
    again = AuditEntry.objects.for_shop(case.shop_id).filter(object_id=str(case.order_id), action=TOLD_AGAIN).count()
    return f"shortage-{case.pk}-{case.note}{f'-{again}' if again else ''}"


def _lines(case: Shortage) -> list[str]:
    return [f"{line.quantity} × {line.title}" for line in case.order.lines.all()]


def _sent(subject: str, body: str, to: list[str], key: str) -> bool:
    if not to or not settings.EMAIL_URL:
        log.warning("shortage_not_mailed", key=key, recipients=len(to))
        return False
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    message = EmailMessage(" ".join(subject.split()), body, to=to, headers={"Message-ID": f"<{key}@{host}>"})
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        log.warning("shortage_not_mailed", key=key, error=type(error).__name__)
        return False
    return True

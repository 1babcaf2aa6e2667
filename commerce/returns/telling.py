"""Staff hear of refunds that don't arrive: by mail once per trouble, on the desk until somebody has dealt with it."""

from __future__ import annotations

import smtplib
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.template.loader import render_to_string

from commerce.money import format_minor
from commerce.orders.mails import note_mail_within
from commerce.returns.models import Refund
from inventory.alert_channels import page_of, recipients_of
from tenants.database import shop_tx

log = structlog.get_logger(__name__)
Status = Refund.Status

TROUBLES: Final = (Status.FAILED, Status.CANCELED, Status.REQUIRES_ACTION, Status.UNKNOWN)
# An unknown outcome is usually found out within a minute, without anybody's help.
PATIENCE: Final = timedelta(minutes=10)


def untold(*, now: datetime, limit: int) -> list[Refund]:
    """Refunds in trouble that staff haven't heard of in this state, the oldest first."""
    waiting = Q(status=Status.PENDING, pending_reason="insufficient_funds")
    new = ~Q(told_status=F("status")) & Q(handled_at__isnull=True)
    rows = Refund.objects.filter(Q(status__in=TROUBLES) | waiting, new)
    rows = rows.exclude(status=Status.UNKNOWN, created_at__gt=now - PATIENCE)
    return list(rows.select_related("order", "shop").order_by("id")[:limit])


def tell_staff(row: Refund, *, now: datetime) -> bool:
    """Mails the shop's recipients. False when it didn't get through; it is tried again by the next run.

    Without recipients or a mail server it counts as told: the desk shows it, and the log says so.
    """
    recipients = recipients_of(row.shop_id)
    message = _message(row, recipients)
    mailed = bool(recipients and settings.EMAIL_URL)
    if not mailed:
        log.warning("refund_trouble_not_mailed", refund=str(row.pk), shop_id=row.shop_id, recipients=len(recipients))
    else:
        try:
            message.send()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            log.warning("refund_trouble_not_mailed", refund=str(row.pk), error=type(error).__name__)
            return False
    log.error("refund_in_trouble", refund=str(row.pk), shop_id=row.shop_id, status=row.status)
    with shop_tx(row.shop_id):
        Refund.objects.for_shop(row.shop_id).filter(pk=row.pk).update(told_status=row.status)
        if mailed:
            note_mail_within(order=row.order, to="staff", subject=str(message.subject))
    return True


def _message(row: Refund, recipients: list[str]) -> EmailMessage:
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    body = render_to_string(
        "email/refund_trouble.txt",
        {
            "row": row,
            "amount": format_minor(row.amount, row.currency, "en"),
            "state": row.get_status_display(),
            "shop": row.shop.name,
            "page": page_of(row),
        },
    )
    subject = " ".join(f"Refund of order {row.order.number}: {row.get_status_display()}".split())
    key = f"<refund-{row.pk}-{row.status}@{host}>"
    return EmailMessage(subject, body, to=recipients, headers={"Message-ID": key})

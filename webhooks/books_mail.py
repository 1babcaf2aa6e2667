"""Telling a shop's people that its journal and Stripe's balance differ. The desk lists it; a mail reaches people where
nobody watches.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from commerce.models import Order
from commerce.orders.mails import note_mail_within
from inventory.alert_channels import NotTold, page_of, recipients_of
from tenants.database import as_system, shop_tx
from webhooks.models import Finding

log = structlog.get_logger(__name__)


def mail_differences(*, shop_id: str, findings: Sequence[int]) -> bool:
    """Mails those of `findings` that are open still, as one message; false when there are none, nobody to tell or no
    mail server. Its Message-ID is of these findings, so that a repeat is recognised. Raises NotTold when not taken.
    """
    with as_system():  # findings are the platform's until somebody knows whose they are
        mine = Finding.objects.for_shop(shop_id).filter(pk__in=findings, state=Finding.State.OPEN)
        rows = list(mine.select_related("shop").order_by("pk"))
    recipients = recipients_of(shop_id)
    if not rows:
        return False
    if not recipients or not settings.EMAIL_URL:
        log.warning("differences_not_mailed", shop_id=shop_id, findings=len(rows), recipients=len(recipients))
        return False
    body = render_to_string(
        "email/journal_differs.txt", {"shop": rows[0].shop, "rows": [(row, page_of(row)) for row in rows]}
    )
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    subject = " ".join(f"{rows[0].shop}: the journal differs from Stripe's balance".split())
    headers = {"Message-ID": f"<journal-differs-{rows[0].pk}-{rows[-1].pk}@{host}>"}
    try:
        EmailMessage(subject, body, to=recipients, headers=headers).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # Its class alone: servers quote addresses, and logins, in what they say.
        raise NotTold(f"The mail server didn't take it: {type(error).__name__}.") from error
    with shop_tx(shop_id):
        for order in Order.objects.for_shop(shop_id).filter(number__in={row.order_number for row in rows}):
            note_mail_within(order=order, to="staff", subject=subject)
    return True

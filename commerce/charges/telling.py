"""The customer hears of a payment link: by mail, once per link, tried again while the mail server is away."""

from __future__ import annotations

import smtplib
from datetime import datetime
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from commerce.charges.models import ChargeLink
from commerce.money import format_minor

log = structlog.get_logger(__name__)

LANGUAGES: Final = ("en", "de")
SUBJECTS: Final = {
    "en": "Your order {number}: {amount} to be paid",
    "de": "Ihre Bestellung {number}: {amount} sind noch zu zahlen",
}


def tell_customer(link: ChargeLink, *, now: datetime) -> bool:
    """Mails the link to the order's customer. False when it didn't get through; the worker tries again.

    Its Message-ID is the link's, so that a repeat after a crash is recognised. Without an address or a mail server it
    counts as told: staff see the link on the charge's page, and the log says so.
    """
    charge, order = link.charge, link.charge.order
    if not order.email or not settings.EMAIL_URL:
        log.warning("charge_link_not_mailed", link=str(link.pk), shop_id=link.shop_id)
    else:
        language = order.locale.partition("-")[0]
        language = language if language in LANGUAGES else LANGUAGES[0]
        amount = format_minor(charge.amount, charge.currency, order.locale or language)
        body = render_to_string(
            f"email/charge_link.{language}.txt",
            {
                "amount": amount,
                "link": link,
                "order": order,
                "purpose": charge.purpose,
                "held": charge.manual,
                "shop": link.shop.name,
            },
        )
        host = next(iter(settings.PLATFORM_HOSTS), "localhost")
        subject = " ".join(SUBJECTS[language].format(number=order.number, amount=amount).split())
        message = EmailMessage(
            subject, body, to=[order.email], headers={"Message-ID": f"<charge-link-{link.pk}@{host}>"}
        )
        try:
            message.send()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            log.warning("charge_link_not_mailed", link=str(link.pk), error=type(error).__name__)
            return False
    ChargeLink.objects.for_shop(link.shop_id).filter(pk=link.pk).update(mailed_at=now)
    return True

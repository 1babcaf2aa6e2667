"""Telling the platform's people that stock and history differ (I13). Beside the errors in the log and the metric that
the alert rules watch: a mail reaches people where nobody watches.
"""

from __future__ import annotations

import smtplib
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from inventory.alert_channels import NotTold, page_of
from inventory.models import InventoryRun

log = structlog.get_logger(__name__)

LISTED: Final = 20


def mail_drift(*, run_id: int) -> bool:
    """Mails what an unhealthy stock proof found to STOCK_ALERT_RECIPIENT; false when there is nobody or no mail server.

    Its Message-ID is the run's, so that a repeat is recognised. Raises NotTold when the server didn't take it.
    """
    recipients = list(settings.STOCK_ALERT_RECIPIENT)
    if not recipients or not settings.EMAIL_URL:
        log.warning("stock_drift_not_mailed", run_id=run_id, recipients=len(recipients))
        return False
    run = InventoryRun.objects.get(pk=run_id)
    drifted = sum(run.report["drifted"].values())
    drifts = run.report["drifts"][:LISTED]
    body = render_to_string(
        "email/stock_drift.txt",
        {"run": run, "drifted": drifted, "drifts": drifts, "more": drifted - len(drifts), "page": page_of(run)},
    )
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    subject = f"Stock differs from its history: {drifted} of {run.report['rows']} rows"
    message = EmailMessage(subject, body, to=recipients, headers={"Message-ID": f"<stock-proof-{run.pk}@{host}>"})
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # Its class alone: servers quote addresses, and logins, in what they say.
        raise NotTold(f"The mail server didn't take it: {type(error).__name__}.") from error
    return True

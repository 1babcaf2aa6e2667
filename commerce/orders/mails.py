"""Mails about an order: each that went out, or was given up, is on the order's story, by its subject and no address.

They are entries of the audit trail, so that there is one place that says what was done; a reader of the order may see
these without being a reader of the trail.
"""

from __future__ import annotations

from typing import Final, Literal

from commerce.orders.models import Order
from tenants.audit import Actor, record_audit

MAILER: Final = Actor("system", "mail")
SENT: Final = "mail.sent"
GIVEN_UP: Final = "mail.given_up"

To = Literal["customer", "staff"]


def note_mail_within(*, order: Order, to: To, subject: str, trouble: str = "") -> None:
    """Keeps in the caller's transaction that a mail was taken by the mail server, or why it never will be."""
    record_audit(
        shop_id=order.shop_id,
        acting=MAILER,
        action=GIVEN_UP if trouble else SENT,
        object_type="order",
        object_id=order.pk,
        reason=trouble,
        data={"to": to, "subject": subject},
    )

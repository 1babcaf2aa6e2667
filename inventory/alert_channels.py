"""The two ways to tell an alert. Each raises NobodyToTell or NotTold with a sentence for staff, without secrets."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Model
from django.template.loader import render_to_string

from inventory.client.transport import Answer, BrokenAnswer, Call, Deadline, exchange, open_link
from inventory.models import AlertDelivery, StockAlert
from tenants.alert_webhooks import alert_target, refuse_address
from tenants.display import change_url
from tenants.domain_probes import ProbeFailed, judged_addresses
from tenants.errors import CredentialsRefused
from tenants.models import ShopSettings
from tenants.sealing import SealError

WEBHOOK_MS: Final = 10_000
SIGNATURE_HEADER: Final = "X-Holdfast-Signature"


class NobodyToTell(Exception):
    """No recipient or no address is set; nothing to retry until somebody sets one."""


class NotTold(Exception):
    """It didn't get through this time."""


def recipients_of(owner_id: str) -> list[str]:
    """The shop's own, else the platform's; a pool's stock is the platform's business."""
    own = ShopSettings.objects.for_shop(owner_id).values_list("alert_recipients", flat=True).first()
    return list(own or settings.STOCK_ALERT_RECIPIENT)


def send_mail(alert: StockAlert) -> None:
    """One plain message to all recipients. Its Message-ID is the alert's, so that a repeat is recognised."""
    recipients = recipients_of(alert.owner_id)
    if not recipients:
        raise NobodyToTell("No recipient: neither the shop nor STOCK_ALERT_RECIPIENT names one.")
    if not settings.EMAIL_URL:
        raise NobodyToTell("No mail server: EMAIL_URL is not set.")
    row = alert.stock_row
    # A header is one line; whoever names a variant doesn't write headers.
    subject = " ".join(f"Low stock: {row.variant_key} ({alert.available} available)".split())
    shop = alert.owner.shop
    body = render_to_string(
        "email/low_stock.txt",
        {"alert": alert, "row": row, "shop": shop.name if shop else alert.owner_id, "page": page_of(alert.stock_row)},
    )
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    message = EmailMessage(subject, body, to=recipients, headers={"Message-ID": f"<stock-alert-{alert.pk}@{host}>"})
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # Its class alone: servers quote addresses, and logins, in what they say.
        raise NotTold(f"The mail server didn't take it: {type(error).__name__}.") from error


def post_webhook(alert: StockAlert) -> None:
    """Posts the alert to the shop's address: signed, within 10 seconds, to a public address, following no redirect."""
    try:
        target = alert_target(shop_id=alert.owner_id)
        if target is None:
            raise NobodyToTell("No webhook is set for the shop.")
        refuse_address(target.url)
    except SealError as error:
        raise NotTold(str(error)) from error
    except CredentialsRefused as error:
        raise NotTold(f"The address can't be used: {error.detail}") from error
    body = json.dumps(payload_of(alert)).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Holdfast",
        "X-Holdfast-Delivery": f"stock-alert-{alert.pk}",
        SIGNATURE_HEADER: signature(body, secret=target.secret, at=int(time.time())),
    }
    answer = _post(target.url, body, headers)
    if not 200 <= answer.status < 300:
        raise NotTold(f"The receiver answered {answer.status}.")


def payload_of(alert: StockAlert) -> dict[str, object]:
    row = alert.stock_row
    return {
        "id": f"stock-alert-{alert.pk}",
        "type": "stock.low",
        "shopId": alert.owner_id,
        "sku": row.sku,
        "variantKey": row.variant_key,
        "available": alert.available,
        "onHand": alert.on_hand,
        "held": alert.held,
        "threshold": alert.threshold,
        "raisedAt": alert.raised_at.isoformat().replace("+00:00", "Z"),
    }


def signature(body: bytes, *, secret: str, at: int) -> str:
    """`t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">`, as Stripe signs: the time is signed too, so that a receiver
    can refuse what is old.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """To the address that was judged, not to the name again."""
    found = urlsplit(url)
    host, secure = found.hostname or "", found.scheme == "https"
    path = (found.path or "/") + (f"?{found.query}" if found.query else "")
    deadline = Deadline.after(WEBHOOK_MS)
    try:
        address = judged_addresses(host)[0]
        with open_link(address, found.port or (443 if secure else 80), deadline) as plain:
            call = Call("POST", path, body, headers)
            if not secure:
                return exchange(plain, found.netloc, call, deadline)
            plain.settimeout(deadline.left_ms() * 0.001)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as link:
                return exchange(link, found.netloc, call, deadline)
    except ProbeFailed as error:
        raise NotTold(str(error)) from error
    except TimeoutError as error:
        raise NotTold("The receiver took too long.") from error
    except ssl.SSLCertVerificationError as error:
        raise NotTold(f"The receiver's certificate is refused: {error.verify_message}.") from error
    except (OSError, BrokenAnswer) as error:
        raise NotTold(f"The receiver can't be reached: {type(error).__name__}.") from error


def page_of(row: Model) -> str:
    """The address of a row's page in the back office, for mails."""
    host = next(iter(settings.PLATFORM_HOSTS), "localhost")
    port = "" if settings.PUBLIC_PORT in {80, 443} else f":{settings.PUBLIC_PORT}"
    return f"{settings.PUBLIC_SCHEME}://{host}{port}{change_url(row) or '/admin/'}"


CHANNELS: Final[Mapping[str, Callable[[StockAlert], None]]] = {
    AlertDelivery.Channel.EMAIL: send_mail,
    AlertDelivery.Channel.WEBHOOK: post_webhook,
}

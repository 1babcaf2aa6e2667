"""A shop's address for alerts (I8): set, replaced and removed by staff, opened for the one that signs and posts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from tenants.audit import Actor, record_audit
from tenants.errors import CredentialsRefused
from tenants.models import AlertWebhook
from tenants.sealing import SealError, seal, unseal

SHORTEST_SECRET = 24
LONGEST_URL = 500


@dataclass(frozen=True, slots=True)
class AlertTarget:
    """Where to post, and what to sign with."""

    url: str
    secret: str = field(repr=False)


def alert_target(*, shop_id: str) -> AlertTarget | None:
    """The shop's address; None where it has none. Raises SealError for a secret that no key opens."""
    row = AlertWebhook.objects.for_shop(shop_id).first()
    return None if row is None else AlertTarget(row.url, unseal(row.sealed, about=row.about))


def refuse_address(url: str) -> None:
    """Raises CredentialsRefused for an address that no alert may go to: anything but https outside development, and
    names with a password. Where the name leads is judged at each posting: DNS changes.
    """
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        found, port = urlsplit(""), None
    schemes = {"https"} if settings.PUBLIC_SCHEME == "https" else {"https", "http"}
    printable = url.isascii() and url.isprintable() and " " not in url
    if not printable or len(url) > LONGEST_URL or found.scheme not in schemes or not found.hostname or port == 0:
        raise CredentialsRefused(f"Expected {' or '.join(sorted(schemes))}://host/path, in ASCII.")
    if found.username is not None or found.fragment:
        raise CredentialsRefused("The address can't have a user, a password or a fragment.")


@transaction.atomic
def set_alert_webhook(*, shop_id: str, url: str, secret: str, reason: str, acting: Actor) -> str:
    """Posts the shop's alerts to `url` from now on, signed with `secret`; an empty `url` ends that. Says what it did.

    An empty `secret` keeps the present one. Audited, without the secret. Raises CredentialsRefused.
    """
    row = AlertWebhook.objects.for_shop(shop_id).select_for_update().first()
    before = row.url if row else ""
    if not url:
        if row is None:
            raise CredentialsRefused("There is no address to remove.")
        row.delete()
        _audit(shop_id, "removed", reason, acting, before, "")
        return f"Nothing is posted to {before} any more."
    refuse_address(url)
    try:
        kept = secret or (unseal(row.sealed, about=row.about) if row else "")
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", kept) or len(kept) < SHORTEST_SECRET:
            raise CredentialsRefused(f"A secret has {SHORTEST_SECRET} to 200 visible ASCII characters, without spaces.")
        row = row or AlertWebhook(shop_id=shop_id)
        row.url = url
        sealed = seal(kept, about=row.about)
    except SealError as error:
        raise CredentialsRefused(f"{error} Give a new secret, or put the key back.") from None
    row.sealed, row.sealed_by, row.last_four = sealed.text, sealed.by, kept[-4:]
    row.save()
    _audit(shop_id, "set", reason, acting, before, url)
    return f"Alerts are posted to {url}, signed with the secret that ends in {row.last_four}."


def describe_alert_webhook(*, shop_id: str) -> str:
    """What is set now, in a sentence."""
    row = AlertWebhook.objects.for_shop(shop_id).first()
    if row is None:
        return "No address is set: alerts go by e-mail alone."
    return f"Now posted to {row.url}, signed with the secret that ends in {row.last_four}."


def _audit(shop_id: str, what: str, reason: str, acting: Actor, before: str, after: str) -> None:
    record_audit(
        shop_id=shop_id,
        acting=acting,
        action=f"alert_webhook.{what}",
        object_type="alert_webhook",
        object_id=shop_id,
        reason=reason,
        data={"changes": {"url": [before, after]}},
    )

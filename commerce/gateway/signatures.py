"""Who sent an event: the endpoint secret that verifies it names the account, the payload's word never does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import stripe
from django.conf import settings

from commerce.gateway.client import is_live
from tenants.ownership import StripeScope


@dataclass(frozen=True, slots=True)
class EndpointSecret:
    """A signing secret and the account whose endpoint it belongs to."""

    secret: str
    scope: StripeScope


def platform_secrets() -> Iterator[EndpointSecret]:
    """The platform account's secrets; several while one is being rolled."""
    scope = StripeScope(livemode=is_live(settings.STRIPE_SECRET_KEY), account=settings.STRIPE_ACCOUNT)
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        yield EndpointSecret(secret, scope)


def verify_signature(body: bytes, header: str) -> StripeScope | None:
    """Scope of the secret that signed `body`, or None. Every active secret is tried.

    Refuses timestamps off by more than the tolerance in both directions; the package itself lets future ones pass.
    Source: Stripe, "Verify webhook signatures".
    """
    try:
        text = body.decode("utf-8")
        stamps = [part[2:] for part in header.split(",") if part.startswith("t=")]
        ahead = int(stamps[0]) - time.time()
    except (UnicodeDecodeError, ValueError, IndexError):
        return None
    if not header.isascii() or ahead > settings.STRIPE_SIGNATURE_TOLERANCE:
        return None
    for endpoint in platform_secrets():
        try:
            stripe.WebhookSignature.verify_header(text, header, endpoint.secret, settings.STRIPE_SIGNATURE_TOLERANCE)
        except stripe.SignatureVerificationError:
            continue
        return endpoint.scope
    return None

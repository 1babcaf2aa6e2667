"""Who sent an event: the endpoint secret that verifies it names the account, the payload's word never does.

Except for connect endpoints, whose secret is the platform's: there Stripe itself names the connected account.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import stripe
from django.conf import settings

from commerce.gateway.client import platform_scope
from tenants.ownership import StripeScope
from tenants.webhook_secrets import SigningSecret, note_use, platform_secrets, shop_secrets


@dataclass(frozen=True, slots=True)
class Signer:
    """The endpoint behind a verified signature."""

    scope: StripeScope
    connect: bool

    def scope_of(self, claimed: str) -> StripeScope:
        """The account that an event is of. `claimed`, its own word, counts under a connect endpoint's secret alone;
        there an event that names none is of no account.
        """
        return StripeScope(self.scope.livemode, claimed) if self.connect else self.scope


def candidates(shop_id: str | None) -> Iterator[SigningSecret]:
    """The secrets that a delivery may be signed with, likeliest first; a bounded number.

    On a shop's host (`shop_id`) its own account's and then the platform account's; on the hooks host the platform
    account's and its connect endpoints'. Another shop's are never tried.
    """
    platform = platform_scope()
    if shop_id is not None:
        yield from shop_secrets(shop_id=shop_id, livemode=platform.livemode)
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        yield SigningSecret(secret, platform)
    yield from platform_secrets(livemode=platform.livemode, connect=shop_id is None)


def verify_signature(body: bytes, header: str, *, shop_id: str | None) -> Signer | None:
    """The endpoint whose secret signed `body`, or None. `shop_id` is set on a shop's own host.

    Refuses timestamps off by more than the tolerance in both directions; the package itself lets future ones pass.
    Source: Stripe, "Verify webhook signatures". At most two queries, and one write a minute and secret.
    """
    try:
        text = body.decode("utf-8")
        stamps = [part[2:] for part in header.split(",") if part.startswith("t=")]
        ahead = int(stamps[0]) - time.time()
    except (UnicodeDecodeError, ValueError, IndexError):
        return None
    if not header.isascii() or ahead > settings.STRIPE_SIGNATURE_TOLERANCE:
        return None
    for endpoint in candidates(shop_id):
        try:
            stripe.WebhookSignature.verify_header(text, header, endpoint.secret, settings.STRIPE_SIGNATURE_TOLERANCE)
        except stripe.SignatureVerificationError:
            continue
        if endpoint.row_id is not None:
            note_use(endpoint.row_id)
        return Signer(endpoint.scope, endpoint.connect)
    return None

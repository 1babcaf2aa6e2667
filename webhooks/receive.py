"""An event comes in: verified, stored, resolved, handled, in this order. Nothing received is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from commerce.gateway.client import at_most
from commerce.gateway.signatures import verify_signature
from tenants.context import ShopContext
from tenants.database import as_system
from tenants.errors import TenantMismatch
from tenants.metrics import NO_SHOP
from tenants.ownership import StripeScope
from webhooks.envelope import Envelope, read_envelope
from webhooks.errors import SignatureRefused, TenantUnresolvable
from webhooks.inbox import handle_event
from webhooks.metrics import MALFORMED, OTHER_VERSION, SIGNATURE_REFUSED, TENANT_MISMATCH
from webhooks.models import EventDelivery, StripeEvent
from webhooks.triage import ASK_AGAIN_FOR, Verdict, triage

log = structlog.get_logger(__name__)
Status = StripeEvent.Status

# The sweep leaves a new event alone for this long: the request that brought it is handling it.
HEAD_START = timedelta(seconds=30)
# Seconds for one answer of Stripe's while Stripe itself waits for ours: a checkout's customer is kept from our page for
# up to ten seconds by it. What takes longer is the sweep's.
INLINE_PATIENCE = 7


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: processed, ignored, duplicate, processing (another is at it), deferred (the sweep)."""

    event_id: str
    outcome: str


@as_system()
def receive_event(*, body: bytes, signature: str, host: str, host_shop: ShopContext | None, request_id: str) -> Receipt:
    """Takes one delivery. `host_shop` is set on a shop's own host, where only that shop's events are taken.

    Raises SignatureRefused before anything is stored; TenantMismatch and TenantUnresolvable after.
    """
    signer = verify_signature(body, signature, shop_id=host_shop.shop_id if host_shop else None)
    if signer is None:
        SIGNATURE_REFUSED.labels(shop_id=host_shop.shop_id if host_shop else NO_SHOP).inc()
        raise SignatureRefused("The signature is missing or wrong.")
    try:
        envelope = read_envelope(body, signer=signer)
    except SignatureRefused:
        MALFORMED.labels(shop_id=host_shop.shop_id if host_shop else NO_SHOP).inc()
        raise
    event, delivery = store(
        scope=StripeScope(signer.scope.livemode, envelope.account),
        envelope=envelope,
        host=host,
        shop_id=host_shop.shop_id if host_shop else None,
        request_id=request_id,
    )
    if event.other_version:
        OTHER_VERSION.labels(shop_id=host_shop.shop_id if host_shop else NO_SHOP).inc()
        log.warning("event_of_another_api_version", event_id=event.event_id, api_version=event.api_version)
    try:
        receipt = _act(event=event, host_shop=host_shop)
    except TenantMismatch:
        _note(delivery, "mismatch")
        raise
    except TenantUnresolvable:
        _note(delivery, "unresolvable")
        raise
    _note(delivery, receipt.outcome)
    return receipt


@transaction.atomic(durable=True)
def store(
    *, scope: StripeScope, envelope: Envelope, host: str, shop_id: str | None, request_id: str
) -> tuple[StripeEvent, EventDelivery]:
    """Records the event, once per mode, account and id, and this delivery of it."""
    now = timezone.now()
    StripeEvent.objects.bulk_create(
        [
            StripeEvent(
                livemode=scope.livemode,
                account=scope.account,
                event_id=envelope.event_id,
                type=envelope.type,
                api_version=envelope.api_version,
                other_version=envelope.api_version != settings.STRIPE_API_VERSION,
                object_id=envelope.object_id[:255],
                payload=envelope.payload,
                created_at=envelope.created_at,
                received_at=now,
                next_attempt_at=now + HEAD_START,
                request_id=request_id,
            )
        ],
        ignore_conflicts=True,
    )
    event = StripeEvent.objects.get(livemode=scope.livemode, account=scope.account, event_id=envelope.event_id)
    delivery = EventDelivery.objects.create(
        event=event, host=host, host_shop_id=shop_id, outcome="received", request_id=request_id, received_at=now
    )
    return event, delivery


def _act(*, event: StripeEvent, host_shop: ShopContext | None) -> Receipt:
    if event.status in {Status.PROCESSED, Status.IGNORED}:
        return Receipt(event.event_id, "duplicate")
    found = triage(event)
    if found.verdict is Verdict.IGNORED:
        return Receipt(event.event_id, "ignored")
    if found.verdict is Verdict.MISMATCH:
        raise TenantMismatch("The event names more than one shop.")
    if found.verdict is Verdict.UNRESOLVABLE:
        raise TenantUnresolvable(event.event_id, ask_again=timezone.now() - event.received_at < ASK_AGAIN_FOR)
    if host_shop is not None and host_shop.shop_id != found.shop_id:
        TENANT_MISMATCH.labels(shop_id=host_shop.shop_id).inc()
        log.error("event_on_another_shops_host", event_id=event.event_id, shop_id=found.shop_id)
        if settings.WEBHOOK_TENANT_ASSERTION_ENABLED:
            # This delivery's verdict, not the event's: the sweep still handles it, for the shop it belongs to.
            raise TenantMismatch("This event belongs to another shop than this host.")
    with at_most(INLINE_PATIENCE):
        return Receipt(event.event_id, handle_event(event_pk=event.pk))


def _note(delivery: EventDelivery, outcome: str) -> None:
    EventDelivery.objects.filter(pk=delivery.pk).update(outcome=outcome)

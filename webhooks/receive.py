"""An event comes in: verified, stored, resolved, handled, in this order. Nothing received is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from commerce.gateway.client import at_most
from commerce.gateway.signatures import verify_signature
from tenants.context import ShopContext
from tenants.database import as_system
from tenants.errors import TenantMismatch
from tenants.metrics import NO_SHOP
from webhooks.envelope import Envelope, read_envelope
from webhooks.errors import SignatureRefused, TenantUnresolvable
from webhooks.inbox import LEASE, handle_event, handle_taken
from webhooks.metrics import MALFORMED, OTHER_VERSION, SIGNATURE_REFUSED, TENANT_MISMATCH
from webhooks.models import StripeEvent
from webhooks.storing import Stored, note_delivery, store
from webhooks.triage import ASK_AGAIN_FOR, Triage, Verdict, fields_of, judge, tell, triage

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
    event = _unsaved(envelope, livemode=signer.scope.livemode, request_id=request_id)
    found = _first_look(event, host_shop)
    away = found is not None and _belongs_elsewhere(found, host_shop)
    stored = store(
        event=event,
        written=envelope.written,
        host=host,
        host_shop_id=host_shop.shop_id if host_shop else None,
        outcome=_outcome(found, away=away),
    )
    if event.other_version:
        OTHER_VERSION.labels(shop_id=host_shop.shop_id if host_shop else NO_SHOP).inc()
        log.warning("event_of_another_api_version", event_id=event.event_id, api_version=event.api_version)
    if found is None or not stored.fresh:
        return _once_more(stored, host_shop)
    event.pk = stored.event_pk
    tell(found, event, told_before=False)
    if (receipt := _answered(event, found, host_shop)) is not None:
        return receipt
    with at_most(INLINE_PATIENCE):
        outcome = handle_taken(
            event,
            envelope,
            now=event.received_at,
            shop=found.resolution.shop if found.resolution else None,
            delivery_pk=stored.delivery_pk,
        )
    return Receipt(event.event_id, outcome)


def _unsaved(envelope: Envelope, *, livemode: bool, request_id: str) -> StripeEvent:
    now = timezone.now()
    return StripeEvent(
        livemode=livemode,
        account=envelope.account,
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


def _first_look(event: StripeEvent, host_shop: ShopContext | None) -> Triage | None:
    """Judges the event before it is stored, so that one commit keeps it together with the verdict, and with the lease
    of this request where it is to be handled. What can't be judged, for whatever reason, is stored all the same.
    """
    try:
        found = judge(event, host_shop=host_shop)
    except Exception:
        log.exception("event_not_judged", event_id=event.event_id)
        return None
    now = event.received_at
    for name, value in fields_of(found, event, now).items():
        setattr(event, name, value)
    if found.verdict is Verdict.RESOLVED and not _belongs_elsewhere(found, host_shop):
        event.status, event.attempts, event.next_attempt_at = Status.PROCESSING, 1, now + LEASE
    return found


def _belongs_elsewhere(found: Triage, host_shop: ShopContext | None) -> bool:
    """Whether this host may not bring the event. The delivery's fault, not the event's: the sweep still handles it, for
    the shop that it belongs to.
    """
    return (
        settings.WEBHOOK_TENANT_ASSERTION_ENABLED
        and host_shop is not None
        and found.shop_id is not None
        and found.shop_id != host_shop.shop_id
    )


def _outcome(found: Triage | None, *, away: bool) -> str:
    """What stands on the delivery of a fresh event, until it is handled."""
    if away:
        return "mismatch"
    return "received" if found is None or found.verdict is Verdict.RESOLVED else str(found.verdict)


def _once_more(stored: Stored, host_shop: ShopContext | None) -> Receipt:
    """A delivery of an event that is there already: handled again unless it has had its effect."""
    event = StripeEvent.objects.get(pk=stored.event_pk)
    try:
        receipt = _act(event, host_shop)
    except TenantMismatch:
        note_delivery(stored.delivery_pk, "mismatch")
        raise
    except TenantUnresolvable:
        note_delivery(stored.delivery_pk, "unresolvable")
        raise
    note_delivery(stored.delivery_pk, receipt.outcome)
    return receipt


def _act(event: StripeEvent, host_shop: ShopContext | None) -> Receipt:
    if event.status in {Status.PROCESSED, Status.IGNORED}:
        return Receipt(event.event_id, "duplicate")
    if (receipt := _answered(event, triage(event), host_shop)) is not None:
        return receipt
    with at_most(INLINE_PATIENCE):
        return Receipt(event.event_id, handle_event(event_pk=event.pk))


def _answered(event: StripeEvent, found: Triage, host_shop: ShopContext | None) -> Receipt | None:
    """The answer to an event that isn't to be handled now, None for one that is. Raises as `receive_event` does."""
    if found.verdict is Verdict.IGNORED:
        return Receipt(event.event_id, "ignored")
    if found.verdict is Verdict.MISMATCH:
        raise TenantMismatch("The event names more than one shop.")
    if found.verdict is Verdict.UNRESOLVABLE:
        raise TenantUnresolvable(event.event_id, ask_again=timezone.now() - event.received_at < ASK_AGAIN_FOR)
    if host_shop is not None and host_shop.shop_id != found.shop_id:
        TENANT_MISMATCH.labels(shop_id=host_shop.shop_id).inc()
        log.error("event_on_another_shops_host", event_id=event.event_id, shop_id=found.shop_id)
        if _belongs_elsewhere(found, host_shop):
            raise TenantMismatch("This event belongs to another shop than this host.")
    return None

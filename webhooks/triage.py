"""What a stored event is to us: nothing we handle, one shop's, nobody's, or two shops' at once.

The endpoint, the sweep and a replay by staff ask the same question here, and the answer is written on the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.utils import timezone

from tenants.context import ShopContext
from tenants.metrics import NO_SHOP
from tenants.ownership import StripeScope, record_ownership
from webhooks.dispatch import HANDLERS
from webhooks.envelope import claimed_account
from webhooks.metrics import TENANT_MISMATCH, TENANT_UNRESOLVABLE
from webhooks.models import StripeEvent
from webhooks.resolution import Resolution, resolve_shop

log = structlog.get_logger(__name__)
Status = StripeEvent.Status

# Stripe is asked to send an event of no known shop again for a day, and so long it is looked at again here; then the
# dead letter waits for a person.
ASK_AGAIN_FOR = timedelta(hours=24)
SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=1)


class Verdict(StrEnum):
    IGNORED = "ignored"
    RESOLVED = "resolved"
    UNRESOLVABLE = "unresolvable"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Triage:
    """`resolution` is None for an event that is ignored: whose it is was not asked."""

    verdict: Verdict
    resolution: Resolution | None

    @property
    def shop_id(self) -> str | None:
        return self.resolution.shop_id if self.resolution else None


def triage(event: StripeEvent, *, now: datetime | None = None) -> Triage:
    """Judges an unfinished event and writes the outcome on it: ignored, dead with its reason, or its shop.

    Bare: writes in the caller's transaction where there is one. A resolved event's object is taught to the map. An
    event of no known shop is looked at again by the sweep for a day, because its shop's own events may come later.
    """
    found, told_before = judge(event), event.status == Status.DEAD
    fields = fields_of(found, event, now or timezone.now())
    for name, value in fields.items():
        setattr(event, name, value)
    # A redelivery that was slow to be judged changes nothing about an event that has had its effect meanwhile.
    StripeEvent.objects.filter(pk=event.pk).exclude(status=Status.PROCESSED).update(**fields)
    tell(found, event, told_before=told_before)
    return found


def judge(event: StripeEvent, *, host_shop: ShopContext | None = None) -> Triage:
    """What the event is to us now. Writes nothing; at most three queries, none for what isn't handled here."""
    if event.type not in HANDLERS or event.payload["livemode"] != event.livemode:
        # Live connect endpoints receive test events too: another world's money.
        return Triage(Verdict.IGNORED, None)
    resolution = resolve_shop(
        scope=StripeScope(event.livemode, event.account),
        event_object=event.payload["data"]["object"],
        claimed=claimed_account(event.payload),
        host_shop=host_shop,
        request_id=event.request_id,
    )
    if resolution.shop_id is not None:
        return Triage(Verdict.RESOLVED, resolution)
    return Triage(Verdict.MISMATCH if resolution.mismatch else Verdict.UNRESOLVABLE, resolution)


def fields_of(found: Triage, event: StripeEvent, now: datetime) -> dict[str, Any]:
    """What a verdict writes on its event."""
    if found.resolution is None:
        return {"status": Status.IGNORED, "error": "", "processed_at": now, "next_attempt_at": None}
    if found.verdict is Verdict.RESOLVED:
        return {"shop_id": found.shop_id, "resolved_by": found.resolution.by}
    again = None if found.verdict is Verdict.MISMATCH else _look_again(event, now)
    return {"status": Status.DEAD, "error": found.resolution.reason, "next_attempt_at": again}


def tell(found: Triage, event: StripeEvent, *, told_before: bool) -> None:
    """Teaches the map whose the event's object is, or says aloud, once, that nobody knows."""
    if found.resolution is None:
        return
    if found.shop_id is not None:
        if not found.resolution.object_known:
            kind = str(event.payload["data"]["object"].get("object") or "")[:64]
            scope = StripeScope(event.livemode, event.account)
            record_ownership(scope=scope, shop_id=found.shop_id, objects=[(kind, event.object_id)], source="event")
    elif not told_before:
        counter = TENANT_MISMATCH if found.verdict is Verdict.MISMATCH else TENANT_UNRESOLVABLE
        counter.labels(shop_id=NO_SHOP).inc()
        log.error("event_without_one_shop", event_id=event.event_id, reason=found.resolution.reason)


def _look_again(event: StripeEvent, now: datetime) -> datetime | None:
    """As long again as it has waited, from a minute to an hour; None once it is for a person."""
    waited = now - event.received_at
    return now + min(max(waited, SOONEST), LATEST) if waited < ASK_AGAIN_FOR else None

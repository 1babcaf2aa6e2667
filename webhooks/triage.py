"""What a stored event is to us: nothing we handle, one shop's, nobody's, or two shops' at once.

The endpoint, the sweep and a replay by staff ask the same question here, and the answer is written on the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.utils import timezone

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
    if event.type not in HANDLERS or event.payload["livemode"] != event.livemode:
        # Live connect endpoints receive test events too: another world's money.
        _write(event, status=Status.IGNORED, error="", processed_at=timezone.now(), next_attempt_at=None)
        return Triage(Verdict.IGNORED, None)
    scope, event_object = StripeScope(event.livemode, event.account), event.payload["data"]["object"]
    resolution = resolve_shop(scope=scope, event_object=event_object, claimed=claimed_account(event.payload))
    if resolution.shop_id is None:
        again = None if resolution.mismatch else _look_again(event, now or timezone.now())
        told_before = event.status == Status.DEAD
        _write(event, status=Status.DEAD, error=resolution.reason, next_attempt_at=again)
        if not told_before:
            counter = TENANT_MISMATCH if resolution.mismatch else TENANT_UNRESOLVABLE
            counter.labels(shop_id=NO_SHOP).inc()
            log.error("event_without_one_shop", event_id=event.event_id, reason=resolution.reason)
        return Triage(Verdict.MISMATCH if resolution.mismatch else Verdict.UNRESOLVABLE, resolution)
    _write(event, shop_id=resolution.shop_id, resolved_by=resolution.by)
    kind = str(event_object.get("object") or "")[:64]
    record_ownership(scope=scope, shop_id=resolution.shop_id, objects=[(kind, event.object_id)], source="event")
    return Triage(Verdict.RESOLVED, resolution)


def _look_again(event: StripeEvent, now: datetime) -> datetime | None:
    """As long again as it has waited, from a minute to an hour; None once it is for a person."""
    waited = now - event.received_at
    return now + min(max(waited, SOONEST), LATEST) if waited < ASK_AGAIN_FOR else None


def _write(event: StripeEvent, **fields: object) -> None:
    for name, value in fields.items():
        setattr(event, name, value)
    # A redelivery that was slow to be judged changes nothing about an event that has had its effect meanwhile.
    StripeEvent.objects.filter(pk=event.pk).exclude(status=Status.PROCESSED).update(**fields)

"""Dead letters: associated with their shop, and replayed by hand (W7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
from django.db import transaction

from tenants.audit import Actor, record_audit
from tenants.errors import HoldfastError, NotFound
from tenants.models import Shop
from tenants.ownership import StripeScope, record_ownership
from tenants.staff import StaffScope
from webhooks.inbox import handle_event
from webhooks.models import StripeEvent
from webhooks.triage import Triage, triage

log = structlog.get_logger(__name__)
Status = StripeEvent.Status

REPLAYABLE: Final = frozenset({Status.RECEIVED, Status.FAILED, Status.DEAD})


class NotReplayable(HoldfastError):
    """The event has had its effect, needs none, or is being handled at this moment."""

    code = "wrong_state"


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a replay: `outcome` is processed, processing (another is at it), deferred (failed, will be
    retried), dead or ignored; `reason` says why it wasn't processed.
    """

    event_id: str
    outcome: str
    shop_id: str | None
    reason: str


def replay_event(*, event_pk: int, scope: StaffScope, reason: str, acting: Actor) -> Replay:
    """Resolves a stored event once more and handles it as if it had just arrived.

    Audited before it is handled: what follows may move money, and a crash must not leave that unexplained.
    Raises NotFound, also outside the caller's `scope`; NotReplayable unless the event is received, failed or dead, and
    when it turns out to be of a shop outside that scope. Durable; asks Stripe.
    """
    event, found = _take_up(event_pk=event_pk, scope=scope, reason=reason, acting=acting)  # tx 1
    if found.resolution is None:
        return Replay(event.event_id, "ignored", None, "Nothing here handles events of this type.")
    if found.shop_id is None:
        return Replay(event.event_id, "dead", None, found.resolution.reason)
    return _handled(event, found.shop_id)


def associate_event(*, event_pk: int, shop_id: str, scope: StaffScope, reason: str, acting: Actor) -> Replay:
    """Says whose the object of a dead letter is, for this event and all later ones, and handles the event.

    Only what nobody could place is taken: where metadata, map or account contradict each other, a person's word would
    be one more. Raises NotFound as `replay_event` does, also for a shop outside `scope`; NotReplayable otherwise, with
    nothing written. Durable; audited with who, when and why; asks Stripe.
    """
    if not scope.sees(shop_id) or not Shop.objects.filter(pk=shop_id, settings__isnull=False).exists():
        raise NotFound("There is no such shop.")
    with transaction.atomic(durable=True):  # tx 1
        event = locked_event(event_pk, scope)
        if event.status != Status.DEAD or event.shop_id is not None:
            raise NotReplayable("Its shop is known." if event.shop_id else "It is no dead letter.")
        if not event.object_id:
            raise NotReplayable("It names no object that could be somebody's.")
        kind = str(event.payload["data"]["object"].get("object") or "")[:64]
        scoped = StripeScope(event.livemode, event.account)
        record_ownership(scope=scoped, shop_id=shop_id, objects=[(kind, event.object_id)], source="staff")
        found = triage(event)
        if found.shop_id != shop_id:
            why = found.resolution.reason if found.resolution else "Nothing here handles events of this type."
            raise NotReplayable(f"It can't be {shop_id}'s. {why}")
        record_audit(
            shop_id=shop_id,
            acting=acting,
            action="event.associate",
            object_type="stripe_event",
            object_id=event.event_id,
            reason=reason,
            data={"type": event.type, "account": event.account, "object": event.object_id},
        )
    return _handled(event, shop_id)  # no tx


def _handled(event: StripeEvent, shop_id: str) -> Replay:
    outcome = handle_event(event_pk=event.pk)  # no tx around it: asks Stripe, then its handler's own
    event.refresh_from_db(fields=["status", "error"])
    log.info("event_replayed", event_id=event.event_id, shop_id=shop_id, outcome=outcome)
    if outcome == "deferred" and event.status == Status.DEAD:
        outcome = "dead"
    return Replay(event.event_id, outcome, shop_id, "" if outcome == "processed" else event.error)


def locked_event(event_pk: int, scope: StaffScope) -> StripeEvent:
    """The event, locked. Raises NotFound, also outside `scope`."""
    event = scope.rows(StripeEvent.objects.select_for_update(no_key=True), "shop").filter(pk=event_pk).first()
    if event is None:
        raise NotFound("There is no such event.")
    return event


@transaction.atomic(durable=True)
def _take_up(*, event_pk: int, scope: StaffScope, reason: str, acting: Actor) -> tuple[StripeEvent, Triage]:
    event = locked_event(event_pk, scope)
    if event.status not in REPLAYABLE:
        raise NotReplayable(f"The event is {event.get_status_display().lower()}: there is nothing to replay.")
    was = event.status
    found = triage(event)
    if found.shop_id is not None and not scope.sees(found.shop_id):
        raise NotReplayable("What it is about is not this shop's. The platform's staff can look into it.")
    record_audit(
        shop_id=found.shop_id,
        acting=acting,
        action="event.replay",
        object_type="stripe_event",
        object_id=event.event_id,
        reason=reason,
        data={"type": event.type, "account": event.account, "was": was, "resolved_by": event.resolved_by},
    )
    return event, found

"""A person's word about whose a Stripe object is, taken back: while nothing has come of it, and never after.

What was processed under it has moved money or stock of that shop, and an association that is gone would leave that
unexplained: then it is refused, and says what was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet, Subquery
from django.utils import timezone

from tenants.audit import Actor, record_audit
from tenants.models import StripeObject
from tenants.staff import StaffScope
from webhooks.dead_letters import NotReplayable, locked_event
from webhooks.models import StripeEvent
from webhooks.resolution import REFERENCES
from webhooks.triage import Verdict, triage

Status = StripeEvent.Status

BY_HAND: Final = "staff"
MOST_NAMED: Final = 3
# What has had its effect, or may be having it at this moment.
DONE: Final = (Status.PROCESSED, Status.PROCESSING)


@dataclass(frozen=True, slots=True)
class Dissociation:
    """What was taken back: the object, the shop that it isn't any more, and how many of its events belong to nobody."""

    object_id: str
    shop_id: str
    unplaced: int


def association_of(event: StripeEvent) -> StripeObject | None:
    """What somebody has said about the event's object, where nobody else has. One query."""
    if event.shop_id is None or not event.object_id:
        return None
    known = StripeObject.objects.for_shop(event.shop_id).filter(source=BY_HAND, object_id=event.object_id)
    return known.filter(livemode=event.livemode, account=event.account).first()


def done_under(association: StripeObject) -> list[str]:
    """Ids of events that were processed, or are being, because of it; the latest few. One query."""
    done = _events_under(association).filter(status__in=DONE).order_by("-pk")
    return list(done.values_list("event_id", flat=True)[:MOST_NAMED])


def dissociate_event(*, event_pk: int, scope: StaffScope, reason: str, acting: Actor) -> Dissociation:
    """Takes back that the event's object is its shop's. Its unfinished events, and those of objects that were placed
    through it, are looked at anew: whoever has no other word for its shop is a dead letter again.

    Raises NotFound as `replay_event` does; NotReplayable when nobody has said whose it is, or something was processed
    under that word. Nothing is written then. Durable; audited with who, when and why.
    """
    with transaction.atomic(durable=True):
        event = locked_event(event_pk, scope)
        association = association_of(event)
        if association is None:
            raise NotReplayable("Nobody has said by hand whose its object is.")
        events = list(_events_under(association).select_for_update(no_key=True).order_by("pk"))
        if done := [row.event_id for row in events if row.status in DONE]:
            raise NotReplayable(f"{', '.join(done[-MOST_NAMED:])}: processed for {association.shop_id} already.")
        learnt = StripeObject.objects.for_shop(association.shop_id).filter(pk__gt=association.pk, source="event")
        learnt.filter(
            livemode=event.livemode, account=event.account, object_id__in=[row.object_id for row in events]
        ).delete()
        association.delete()
        unplaced = sum(_look_anew(row) for row in events)
        record_audit(
            shop_id=association.shop_id,
            acting=acting,
            action="event.dissociate",
            object_type="stripe_event",
            object_id=event.event_id,
            reason=reason,
            data={"account": event.account, "object": event.object_id, "unplaced": unplaced},
        )
    return Dissociation(event.object_id, association.shop_id, unplaced)


def _look_anew(event: StripeEvent) -> bool:
    """Whether it is nobody's now. An ignored one never was anybody's."""
    if event.status == Status.IGNORED:
        return False
    event.shop_id, event.resolved_by, event.status = None, "", Status.RECEIVED
    event.next_attempt_at = timezone.now()
    event.save(update_fields=["shop", "resolved_by", "status", "next_attempt_at"])
    return triage(event).verdict is not Verdict.RESOLVED


def _events_under(association: StripeObject) -> QuerySet[StripeEvent]:
    """Events of the object, and those of objects that the map has learnt since and that name it."""
    events = StripeEvent.objects.for_shop(association.shop_id).filter(
        livemode=association.livemode, account=association.account
    )
    since = StripeObject.objects.for_shop(association.shop_id).filter(
        pk__gt=association.pk, livemode=association.livemode, account=association.account
    )
    names_it = reduce(or_, (Q(**{f"payload__data__object__{name}": association.object_id}) for name in REFERENCES))
    own = Q(object_id=association.object_id)
    return events.filter(own | Q(names_it, object_id__in=Subquery(since.values("object_id"))))

"""Taking an association back, as staff are asked about it on an event's page."""

from __future__ import annotations

from typing import Final

from tenants.backoffice import Mandate, ReasonAction, Refused
from webhooks.dissociation import association_of, dissociate_event, done_under
from webhooks.models import StripeEvent


def plan(event: StripeEvent) -> str | Refused:
    association = association_of(event)
    if association is None:
        return Refused("Nobody has said by hand whose its object is.")
    shop_id = association.shop_id
    if done := done_under(association):
        return Refused(f"Processed for {shop_id} already: {', '.join(done)}. That can't be undone here.")
    return f"{event.object_id} is not {shop_id}'s any more; its events are dead letters until their shop is known."


def dissociate(event: StripeEvent, mandate: Mandate) -> str:
    undone = dissociate_event(event_pk=event.pk, scope=mandate.scope, reason=mandate.reason, acting=mandate.acting)
    return f"{undone.object_id} is not {undone.shop_id}'s any more. Events of no known shop: {undone.unplaced}."


TAKE_BACK: Final = ReasonAction(
    name="dissociate",
    label="Take the association back",
    plan=plan,
    verb=dissociate,
    permission="webhooks.change_stripeevent",
    help="While nothing was processed under it. Who took it back, when and why is kept.",
)

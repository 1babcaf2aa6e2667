"""The dry run of a replay: whose the event would be found to be, and what would come of it. Nothing is written."""

from __future__ import annotations

from commerce.gateway.failures import StripeFailure
from tenants.context import bind_shop, load_shop
from tenants.errors import HoldfastError, NotFound
from tenants.ownership import StripeScope
from tenants.staff import StaffScope
from webhooks.dispatch import FORETOLD, HANDLERS
from webhooks.envelope import claimed_account
from webhooks.inbox import envelope_of
from webhooks.models import StripeEvent
from webhooks.resolution import resolve_shop


def rehearse_event(*, event_pk: int, scope: StaffScope) -> str:
    """What a replay of a stored event would do now, in a sentence or two. Raises NotFound, also outside `scope`.

    Asks Stripe as the replay would; what would go wrong then is said.
    """
    event = scope.rows(StripeEvent.objects.filter(pk=event_pk), "shop").first()
    if event is None:
        raise NotFound("There is no such event.")
    if event.type not in HANDLERS or event.payload["livemode"] != event.livemode:
        return "It would be ignored: nothing here handles it."
    resolution = resolve_shop(
        scope=StripeScope(event.livemode, event.account),
        event_object=event.payload["data"]["object"],
        claimed=claimed_account(event.payload),
    )
    if resolution.shop_id is None:
        return f"It would be a dead letter. {resolution.reason}"
    if not scope.sees(resolution.shop_id):
        return "What it is about is not this shop's."
    foretell = FORETOLD.get(HANDLERS[event.type])
    found = f"It is {resolution.shop_id}'s, by its {resolution.by}."
    shop = load_shop(resolution.shop_id, request_id=event.request_id)
    try:
        with bind_shop(shop):
            told = foretell(shop, envelope_of(event)) if foretell else "It would be handled by what Stripe says now."
            return f"{found} {told}"
    except StripeFailure as failure:
        return f"{found} It would fail: Stripe can't be read ({failure.kind})."
    except HoldfastError as error:
        return f"{found} It would fail: {error.detail}"

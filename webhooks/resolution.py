"""Whose event is it? Metadata, then the ownership map, then the connected account. Never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from tenants.context import ShopContext, load_shop
from tenants.credentials import shop_of_account
from tenants.errors import ShopRequired
from tenants.ownership import StripeScope, owners_of

# Fields of an event's object that name objects which the map may know. Events carry ids there, never whole objects.
REFERENCES = (
    "id", "payment_intent", "charge", "latest_charge", "subscription", "invoice", "latest_invoice", "schedule",
    "customer", "setup_intent",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resolution:
    """`shop_id` is set when exactly one shop was found, `by` names the step; `mismatch`: contradiction, not silence.
    `object_known`: the map knew the event's own object already. `shop`: the shop as it was read for this.
    """

    shop_id: str | None
    by: str
    mismatch: bool = False
    reason: str = ""
    object_known: bool = False
    shop: ShopContext | None = None


def resolve_shop(
    *,
    scope: StripeScope,
    event_object: Mapping[str, Any],
    claimed: str = "",
    host_shop: ShopContext | None = None,
    request_id: str = "",
) -> Resolution:
    """The shop that an event's object belongs to, capped by the account whose secret verified the event.

    `claimed` is the account that the event says it is of. `host_shop` is spared being read, and decides nothing.
    `request_id` is for the shop's context. At most three queries.
    """
    if claimed and claimed != scope.account:
        reason = f"It says that it is of {claimed[:64]}; the secret that verified it is of {scope.account}."
        return Resolution(None, "", mismatch=True, reason=reason)
    named = named_shop(event_object)
    owners = owners_of(scope=scope, object_ids=references(event_object))
    known = set(owners.values())
    if len(known) > 1:
        return Resolution(None, "", mismatch=True, reason=f"Its objects belong to {', '.join(sorted(known))}.")
    if named and known and known != {named}:
        return Resolution(None, "", mismatch=True, reason=f"Metadata says {named}, the map says {known.pop()}.")
    capped = None
    if scope.account != settings.STRIPE_ACCOUNT:  # the platform's own account caps nothing
        capped = shop_of_account(scope)
        if capped is None:
            return Resolution(None, "", reason=f"No shop has the account {scope.account or 'that it should name'}.")
    found = named or (known.pop() if known else "") or (capped or "")
    if not found:
        return Resolution(None, "", reason="No metadata, no known object, no account of one shop.")
    if capped is not None and found != capped:
        return Resolution(None, "", mismatch=True, reason=f"The account belongs to {capped}, the event names {found}.")
    try:
        same = host_shop is not None and host_shop.shop_id == found
        shop = host_shop if same else load_shop(found, request_id=request_id)
    except ShopRequired:
        return Resolution(None, "", reason=f"There is no shop {found[:63]!r}.")
    by = "metadata" if named else "object" if found != capped else "account"
    return Resolution(found, by, object_known=str(event_object.get("id") or "") in owners, shop=shop)


def named_shop(event_object: Mapping[str, Any]) -> str:
    """The shop in the object's metadata; an invoice has the metadata of its subscription inside. Empty for none."""
    for holder in (event_object, _subscription_of(event_object)):
        metadata = holder.get("metadata")
        if isinstance(metadata, Mapping) and (named := metadata.get("shop_id")):
            return str(named)
    return ""


def references(event_object: Mapping[str, Any]) -> list[str]:
    """Ids that the object names, its own first."""
    named = [event_object.get(name) for name in REFERENCES] + [_subscription_of(event_object).get("subscription")]
    return [value for value in named if isinstance(value, str) and value]


def _subscription_of(event_object: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where an invoice names its subscription, since API 2025-03-31.basil."""
    parent = event_object.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, Mapping) else None
    return details if isinstance(details, Mapping) else {}

"""Payments on saved cards: an event about one says "look at it again". Those of checkouts are others' work."""

from __future__ import annotations

from commerce.charges.links import known_link, settle_link
from commerce.charges.mirror import known_charge, mirror_payment
from commerce.gateway.client import access_for_account
from commerce.gateway.intents import CHARGE_KEY, read_payment
from commerce.models import Charge, ChargeLink
from tenants.context import ShopContext
from webhooks.envelope import Envelope


def looked(shop: ShopContext, event: Envelope) -> bool:
    """Brings the charge behind a payment, or behind Stripe's charge of it, up to date. False where there is none."""
    row = _charge(shop, event)
    if row is None:
        return False
    mirror_payment(shop=shop, row=row, intent_id=_intent(event))
    return True


def settled(shop: ShopContext, event: Envelope) -> bool:
    """The same for the session of a payment link."""
    link = _link(shop, event)
    if link is None:
        return False
    settle_link(shop=shop, link=link, session_id=event.object_id)
    return True


def foretold(shop: ShopContext, event: Envelope) -> str | None:
    """What `looked` would do now; None where it would do nothing. Writes nothing."""
    row = _charge(shop, event)
    if row is None:
        return None
    facts = read_payment(access_for_account(shop, row.stripe_account), _intent(event))
    return f"Stripe says that the payment is {facts.status}; the charge here is {row.get_status_display().lower()}."


def link_foretold(shop: ShopContext, event: Envelope) -> str | None:
    """What `settled` would look at; None where it would do nothing."""
    link = _link(shop, event)
    if link is None:
        return None
    return f"The payment link of {link.charge} is read again; it is {link.get_status_display().lower()}."


def _charge(shop: ShopContext, event: Envelope) -> Charge | None:
    metadata = event.object.get("metadata")
    reference = str(metadata.get(CHARGE_KEY) or "") if isinstance(metadata, dict) else ""
    intent_id = _intent(event)
    if not intent_id:
        return None
    return known_charge(shop_id=shop.shop_id, account=event.account, intent_id=intent_id, reference=reference)


def _link(shop: ShopContext, event: Envelope) -> ChargeLink | None:
    metadata = event.object.get("metadata")
    if not (isinstance(metadata, dict) and metadata.get(CHARGE_KEY)):
        return None  # a link's session names its charge; every checkout's would be looked for in vain
    reference = str(event.object.get("client_reference_id") or "")
    return known_link(shop_id=shop.shop_id, session_id=event.object_id, reference=reference)


def _intent(event: Envelope) -> str:
    """The payment intent that the event is of; a charge names its own."""
    if event.object.get("object") == "payment_intent":
        return event.object_id
    named = event.object.get("payment_intent")
    return named if isinstance(named, str) else ""

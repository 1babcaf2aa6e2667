"""A charge decided and written down under its order's lock, with the exact request, before Stripe hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from commerce.charges.models import Charge, ChargeLink
from commerce.gateway.intents import CHARGE_KEY
from commerce.money import require_minor, stripe_amount
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from inventory.holds import bound_request_id
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, NotFound, WrongState

Status, Purpose = Charge.Status, Charge.Purpose

PAID: Final = (Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED)
# Longer than the two bounded calls that a sender makes take at their slowest.
SENDER_LEASE: Final = timedelta(seconds=60)
NO_CARD: Final = "no_saved_card"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCharge:
    """`amount` in minor units of the order's currency; `manual`: held first. `key` makes it happen once per shop."""

    purpose: str
    amount: int
    key: str
    reason: str
    manual: bool = False


def claim_charge_within(*, order: Order, new: NewCharge, acting: Actor, now: datetime) -> Charge | None:
    """The row of a new charge on the locked order, ready to be sent; None when its key was used before.

    An order without a saved card can't be charged: what it owes waits for the customer, who gets a payment link. Raises
    WrongState for an order that isn't paid and for a hold without a card, InvalidRequest for no amount.
    """
    if require_minor(new.amount) <= 0:
        raise InvalidRequest("A charge is an amount above 0.", {"amount": ["A whole number above 0."]})
    if order.status not in PAID:
        raise WrongState(f"Order {order.number} is {order.get_status_display().lower()}: its card isn't charged.")
    if Charge.objects.for_shop(order.shop_id).filter(operation_key=new.key).exists():
        return None
    card = bool(order.payment_method_id)
    if new.manual and not card:
        raise WrongState(f"No card was kept with order {order.number}.")
    row = Charge(
        id=uuid7(),
        shop_id=order.shop_id,
        order=order,
        purpose=new.purpose,
        operation_key=new.key,
        status=Status.SENDING if card else Status.CUSTOMER,
        error_code="" if card else NO_CARD,
        amount=new.amount,
        currency=order.currency,
        manual=new.manual,
        stripe_account=order.stripe_account,
        sends=1 if card else 0,
        lease_until=now + SENDER_LEASE if card else None,
        acting=str(acting),
        reason=new.reason[:500],
        request_id=bound_request_id(),
        created_at=now,
    )
    prepare_create(row, order=order, now=now)
    row.save(force_insert=True)
    _audit(row, acting, "charge.requested", new.reason)
    return row


def prepare_create(row: Charge, *, order: Order, now: datetime) -> None:
    """The request that makes the row's intent, under a key of the row's present try."""
    row.stripe_key, row.keyed_at = f"charge:{row.shop_id}:{row.pk}:{row.tries}", now
    row.stripe_params = {
        "amount": stripe_amount(row.amount, row.currency),
        "currency": row.currency.lower(),
        "customer": order.customer_id,
        "payment_method": order.payment_method_id,
        "off_session": True,
        "confirm": True,
        "capture_method": "manual" if row.manual else "automatic",
        # Nobody is there to be sent anywhere.
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "description": described(row, order),
        "metadata": metadata_of(row),
    }


def described(row: Charge, order: Order) -> str:
    """What the customer's statement and Stripe's pages call it."""
    return f"{row.get_purpose_display()}, order {order.number}"


def metadata_of(row: Charge) -> dict[str, str]:
    """Names shop, order and row (W3), on intents and on the sessions of payment links."""
    return {
        "shop_id": row.shop_id,
        "order_id": str(row.order_id),
        CHARGE_KEY: str(row.pk),
        "purpose": row.purpose,
        "request_id": row.request_id,
    }


def charge_for_update(*, shop_id: str, charge_id: UUID) -> tuple[Order, Charge]:
    """Order and charge, locked in this order. Raises NotFound."""
    known = Charge.objects.for_shop(shop_id).filter(pk=charge_id).values_list("order_id", flat=True).first()
    if known is None:
        raise NotFound("There is no such charge.")
    order = order_for_update(shop_id=shop_id, order_id=known)
    return order, Charge.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=charge_id)


def claim_retry(*, shop_id: str, charge_id: UUID, reason: str, acting: Actor, now: datetime) -> Charge:
    """Makes a declined charge ready to be tried once more: its own intent is confirmed again. Audited.

    Raises NotFound, WrongState.
    """
    with order_tx(shop_id):
        order, row = charge_for_update(shop_id=shop_id, charge_id=charge_id)
        if row.status not in Charge.OWED or not order.payment_method_id:
            raise WrongState(f"It is {row.get_status_display().lower()}: there is nothing to try again.")
        if row.links.filter(status__in=[ChargeLink.Status.SENDING, ChargeLink.Status.OPEN]).exists():
            raise WrongState("The customer has a payment link: trying the card too could charge them twice.")
        if row.links.exists():
            raise WrongState("Its intent was closed for a payment link. Send another link.")
        row.tries += 1
        row.sends, row.refusals, row.lease_until = 1, 0, now + SENDER_LEASE
        row.status, row.error_code = Status.SENDING, ""
        if row.payment_intent_id is None:
            # Every send was refused: there is no intent, and there can't be one under the key of this try.
            prepare_create(row, order=order, now=now)
        else:
            row.stripe_key, row.keyed_at = f"charge:{row.shop_id}:{row.pk}:{row.tries}", now
            row.stripe_params = {"payment_method": order.payment_method_id, "off_session": True}
        row.save()
        _audit(row, acting, "charge.tried_again", reason)
    return row


def want_capture_within(row: Charge, *, amount: int, reason: str, acting: Actor) -> None:
    """Decides that `amount` of what the locked row holds is taken; whoever works on the row tells Stripe.

    Raises WrongState, InvalidRequest.
    """
    if row.status != Status.HELD or row.release or row.capture_amount is not None:
        raise WrongState(f"It is {row.get_status_display().lower()}, or decided already: nothing can be taken.")
    if not 0 < require_minor(amount) <= row.amount:
        raise InvalidRequest("No more than what is held.", {"amount": ["Between 1 and what is held."]})
    row.capture_amount = amount
    row.checked_at = None
    row.save(update_fields=["capture_amount", "checked_at"])
    _audit(row, acting, "charge.capture_wanted", reason, capture=amount)


def want_release_within(row: Charge, *, reason: str, acting: Actor) -> None:
    """Decides that a held or owed amount of the locked row is let go. Raises WrongState."""
    if row.status not in {Status.HELD, *Charge.OWED} or row.capture_amount is not None or row.release:
        raise WrongState(f"It is {row.get_status_display().lower()}, or decided already: nothing can be let go.")
    if row.links.filter(status__in=[ChargeLink.Status.SENDING, ChargeLink.Status.OPEN]).exists():
        raise WrongState("The customer has a payment link, and may be paying: wait until it has had its day.")
    row.release = True
    row.checked_at = None
    fields = ["release", "checked_at"]
    if row.payment_intent_id is None:
        row.status = Status.CANCELED  # Stripe knows nothing of it
        fields.append("status")
    row.save(update_fields=fields)
    _audit(row, acting, "charge.release_wanted", reason)


def _audit(row: Charge, acting: Actor, action: str, reason: str, **more: Any) -> None:
    record_audit(
        shop_id=row.shop_id,
        acting=acting,
        action=action,
        object_type="order",
        object_id=row.order_id,
        reason=reason,
        data={
            "charge": str(row.pk),
            "purpose": row.purpose,
            "amount": row.amount,
            "currency": row.currency,
            **more,
        },
    )

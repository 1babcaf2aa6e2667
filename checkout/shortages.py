"""Paid without stock (W6): what is done about an order whose money came when its units were gone.

A case is opened in the transaction that puts the order into review, and closed by exactly one of: the stock taken after
all, other variants taken instead, the money given back. Stock never becomes negative, and nobody is forgotten: the
customer is told of each step, staff of each new case (shortage_notes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.utils import timezone

from checkout.errors import WrongState
from checkout.locks import checkout_tx
from checkout.models import Shortage
from checkout.repricing import described
from commerce.catalog.lookup import items_by_key
from commerce.models import Order
from commerce.orders.locks import order_for_update
from commerce.orders.orders import advance_order_within
from commerce.returns.refunding import refund_order
from inventory.errors import InsufficientStock, InventoryUnavailable
from inventory.holds import Line
from inventory.periods import has_periods
from inventory.stock import book_periods_within, take_stock_within
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.errors import InvalidRequest, NotFound
from tenants.models import ShopSettings

log = structlog.get_logger(__name__)
State, Note = Shortage.State, Shortage.Note
# What a customer was last told, by how the case stands.
STANDING: Final = {
    State.OPEN: Note.DELAYED,
    State.RETAKEN: Note.CONFIRMED,
    State.SUBSTITUTED: Note.SUBSTITUTED,
    State.REFUNDED: Note.REFUNDED,
}
TOLD_AGAIN: Final = "shortage.told_again"


def open_shortage_within(*, order: Order, reason: str, now: datetime) -> Shortage:
    """The case of an order that has just gone into review, under the shop's policy of this moment. Bare."""
    settings = ShopSettings.objects.for_shop(order.shop_id)
    policy = settings.values_list("shortage_policy", flat=True).first() or ShopSettings.ShortagePolicy.REVIEW
    return Shortage.objects.create(
        shop_id=order.shop_id,
        order=order,
        reason=reason,
        policy=policy,
        opened_at=now,
        # Who gets the money back at once hears of that, not of a delay.
        note="" if policy == ShopSettings.ShortagePolicy.REFUND else Note.DELAYED,
        note_due_at=now,
    )


def retake_stock(*, shop_id: str, order_id: UUID, reason: str, acting: Actor) -> Shortage:
    """Takes the order's own units after all, all or none, and confirms it.

    Raises NotFound, WrongState (closed, or still short: it says of what), InventoryBusy, with nothing written. Audited.
    """
    return _fulfil(shop_id=shop_id, order_id=order_id, instead={}, reason=reason, acting=acting)


def substitute_stock(
    *, shop_id: str, order_id: UUID, instead: Mapping[str, str], reason: str, acting: Actor
) -> Shortage:
    """Takes other variants in place of some of the order's (`instead`: variant key → variant key), at the price that
    was paid, and confirms it. The lines say what they stand for.

    Raises as `retake_stock`; InvalidRequest for a variant that the order hasn't got or the shop doesn't sell.
    """
    if not instead:
        raise InvalidRequest("Name at least one variant and what is sent instead.")
    return _fulfil(shop_id=shop_id, order_id=order_id, instead=instead, reason=reason, acting=acting)


def refund_shortage(*, shop: ShopContext, order_id: UUID, reason: str, acting: Actor) -> Shortage:
    """Gives back all that is left of the order's money, once, and closes the case.

    Raises NotFound, WrongState, and as `refund_order`: then the case stays open, and repeating finds out. Asks Stripe.
    """
    case = Shortage.objects.for_shop(shop.shop_id).filter(order_id=order_id).first()
    if case is None:
        raise NotFound("There is no such case.")
    if case.state != State.OPEN:
        raise WrongState(f"The case is closed: {case.get_state_display().lower()}.")
    outcome = refund_order(  # its own transactions around its call of Stripe
        shop=shop, order_id=order_id, reason=reason, key=f"shortage:{order_id}", acting=acting
    )
    with checkout_tx(shop.shop_id):
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id)
        case = _locked(shop.shop_id, order_id)
        if case.state == State.OPEN:
            close_within(
                case=case, order=order, state=State.REFUNDED, note=Note.REFUNDED, reason=reason, acting=acting,
                data={"return": str(outcome.return_id), "refunded": outcome.refunded},
            )  # fmt: skip
    return case


def tell_again(*, shop_id: str, order_id: UUID, reason: str, acting: Actor) -> Shortage:
    """Has the customer mailed once more how the case stands, within a minute. Audited. Raises NotFound, WrongState."""
    with checkout_tx(shop_id):
        if not Order.objects.for_shop(shop_id).filter(pk=order_id).exists():
            raise NotFound("There is no such order.")
        order = order_for_update(shop_id=shop_id, order_id=order_id)
        case = _locked(shop_id, order.pk)
        if not order.email:
            raise WrongState("The order has no e-mail address: nobody can be told.")
        if case.note:
            raise WrongState("A mail to the customer is on its way already.")
        case.note, case.note_due_at, case.note_attempts, case.note_error = (
            STANDING[State(case.state)],
            timezone.now(),
            0,
            "",
        )
        case.save(update_fields=["note", "note_due_at", "note_attempts", "note_error"])
        record_audit(
            shop_id=shop_id, acting=acting, action=TOLD_AGAIN, object_type="order", object_id=order.pk, reason=reason,
            data={"note": case.note},
        )  # fmt: skip
        return case


def close_within(
    *,
    case: Shortage,
    order: Order,
    state: Shortage.State,
    note: Shortage.Note,
    reason: str,
    acting: Actor,
    data: Mapping[str, object],
) -> None:
    """Writes how a locked case ended, and what the customer is to be told. Bare."""
    now = timezone.now()
    case.state, case.closed_at, case.closed_by = state, now, str(acting)
    case.note, case.note_due_at, case.note_attempts = note, now, 0
    case.save(update_fields=["state", "closed_at", "closed_by", "note", "note_due_at", "note_attempts"])
    record_audit(
        shop_id=order.shop_id,
        acting=acting,
        action=f"shortage.{state}",
        object_type="order",
        object_id=order.pk,
        reason=reason,
        data=dict(data),
    )
    log.info("shortage_closed", order_id=str(order.pk), state=state)


def _fulfil(*, shop_id: str, order_id: UUID, instead: Mapping[str, str], reason: str, acting: Actor) -> Shortage:
    now = timezone.now()
    with checkout_tx(shop_id):
        try:
            order = order_for_update(shop_id=shop_id, order_id=order_id)
        except Order.DoesNotExist:
            raise NotFound("There is no such order.") from None
        case = _locked(shop_id, order_id)
        if case.state != State.OPEN or order.status != Order.Status.REVIEW:
            raise WrongState(f"Order {order.number} is {order.get_status_display().lower()}: no stock is missing.")
        changed = _replace_within(order=order, instead=instead)
        lines = [
            Line(line.sku, line.variant_key, line.quantity, line.rental_start, line.rental_end)
            for line in order.lines.all()
        ]
        take = book_periods_within if has_periods(lines) else take_stock_within
        try:
            take(shop_id=shop_id, lines=lines, reference=str(order.pk), acting=acting, now=now)
        except InsufficientStock as short:
            missing = ", ".join(f"{item.variant_key} ({item.available} of {item.requested})" for item in short.items)
            raise WrongState(f"Still too few: {missing}.") from short
        except InventoryUnavailable as away:
            raise WrongState("The stock can't be asked at the moment.") from away
        advance_order_within(order=order, to=Order.Status.CONFIRMED, now=now, review_reason="")
        close_within(
            case=case,
            order=order,
            state=State.SUBSTITUTED if changed else State.RETAKEN,
            note=Note.SUBSTITUTED if changed else Note.CONFIRMED,
            reason=reason,
            acting=acting,
            data={"instead": changed} if changed else {},
        )
    return case


def _locked(shop_id: str, order_id: UUID) -> Shortage:
    """After its order, which is locked by now."""
    found = Shortage.objects.for_shop(shop_id).select_for_update(no_key=True).filter(order_id=order_id).first()
    if found is None:
        raise NotFound("No stock was missing for this order.")
    return found


def _replace_within(*, order: Order, instead: Mapping[str, str]) -> dict[str, str]:
    """Puts other variants of the shop's catalog on the order's lines; what was replaced by what."""
    lines = {line.variant_key: line for line in order.lines.all()}
    if unknown := sorted(set(instead) - set(lines)):
        raise InvalidRequest(f"The order has no {', '.join(unknown)}.")
    found = items_by_key(shop_id=order.shop_id, variant_keys=instead.values(), locale=order.locale)
    if missing := sorted(set(instead.values()) - set(found)):
        raise InvalidRequest(f"The shop has no {', '.join(missing)}.")
    for was, now in instead.items():
        line, item = lines[was], found[now]
        line.substituted_for = line.substituted_for or was
        line.sku, line.variant_key, line.title = item.sku, item.variant_key, described(item)
        line.save(update_fields=["substituted_for", "sku", "variant_key", "title"])
    return dict(instead)

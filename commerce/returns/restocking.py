"""Returned units go back on sale, where whoever took them back said so: a movement each, once per return."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.utils import timezone

from commerce.orders.locks import order_for_update, order_tx
from commerce.rentals.calling_off import restock_within
from commerce.returns.models import Return
from inventory.errors import InventoryBusy, InventoryUnavailable
from inventory.lines import Line
from inventory.stock import return_stock_within
from tenants.audit import Actor, record_audit
from tenants.context import load_shop
from tenants.database import as_shop
from tenants.errors import NotFound, WrongState

log = structlog.get_logger(__name__)


def restock_return(*, shop_id: str, return_id: UUID) -> bool:
    """Puts the units of an accepted return back, in a transaction of its own: money that Stripe has taken is never
    unwritten for the sake of stock. False when there is nothing to do, or not now: the worker comes back to it.
    """
    made = Return.objects.for_shop(shop_id).get(pk=return_id)
    if made.restock != Return.Restock.DUE or made.status != Return.Status.ACCEPTED:
        return False
    try:
        with order_tx(shop_id):
            _restock_within(shop_id=shop_id, made=made)
    except NotFound as missing:
        _note_failure(shop_id=shop_id, made=made, why=missing.detail)
        return False
    except (InventoryBusy, InventoryUnavailable) as failure:
        log.warning("restock_postponed", return_id=str(return_id), error=str(failure))
        return False
    return True


def restock_again(*, shop_id: str, return_id: UUID, reason: str, acting: Actor) -> None:
    """Once more for a return whose units had no stock row then. Audited. Raises NotFound, WrongState."""
    with order_tx(shop_id):
        made = Return.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=return_id).first()
        if made is None:
            raise NotFound("There is no such return.")
        if made.restock != Return.Restock.FAILED:
            raise WrongState("There is nothing that could not be restocked.")
        made.restock = Return.Restock.DUE
        made.save(update_fields=["restock"])
        _audit(made, acting, "return.restocked_again", reason)
    with as_shop(shop_id):
        if not restock_return(shop_id=shop_id, return_id=return_id):
            raise WrongState("Its stock rows are still missing, or busy. Open them first, then try again.")


def _restock_within(*, shop_id: str, made: Return) -> None:
    order_for_update(shop_id=shop_id, order_id=made.order_id)
    made = Return.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=made.pk)
    if made.restock != Return.Restock.DUE:
        return
    acting = actor_of(made)
    returned = list(made.lines.filter(restock=True).select_related("order_line"))
    lines = [
        Line(line.order_line.sku, line.order_line.variant_key, line.quantity)
        for line in returned
        if line.order_line.rental_start is None
    ]
    if lines:
        return_stock_within(
            shop_id=shop_id, lines=lines, reference=str(made.pk), acting=acting, now=timezone.now(), note=made.reason
        )
    # What was rented out never left the stock: its days are free again.
    if rented := {line.order_line_id: line.quantity for line in returned if line.order_line.rental_start is not None}:
        restock_within(
            shop=load_shop(shop_id),
            order_id=made.order_id,
            units=rented,
            reference=str(made.pk),
            note=made.reason,
            acting=acting,
        )
    made.restock = Return.Restock.DONE
    made.save(update_fields=["restock"])
    _audit(made, acting, "return.restocked", made.reason)


def _note_failure(*, shop_id: str, made: Return, why: str) -> None:
    with order_tx(shop_id):
        Return.objects.for_shop(shop_id).filter(pk=made.pk).update(restock=Return.Restock.FAILED)
        _audit(made, actor_of(made), "return.not_restocked", why)


def actor_of(made: Return) -> Actor:
    kind, _, name = made.acting.partition(":")
    return Actor(kind, name)


def _audit(made: Return, acting: Actor, action: str, reason: str) -> None:
    record_audit(
        shop_id=made.shop_id,
        acting=acting,
        action=action,
        object_type="order",
        object_id=made.order_id,
        reason=reason,
        data={"return": str(made.pk)},
    )

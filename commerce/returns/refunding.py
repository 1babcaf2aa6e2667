"""Giving money back: one verb, for the API, for staff, for whoever else refunds an order (P1).

Phases: tx 1 reserves and writes what will be sent; no tx asks Stripe; tx 2 applies what Stripe says. Repeating the
same key converges on the same refunds, whatever got lost in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db import IntegrityError
from django.utils import timezone

from commerce.gateway.client import access_for_account
from commerce.gateway.failures import StripeFailure
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from commerce.returns.by_hand import settle_external_within
from commerce.returns.claiming import ReturnCommand, balance_of, claim_return_within, earlier_return, reserve_within
from commerce.returns.errors import RefundRejected, RefundUnknown
from commerce.returns.models import Refund, Return
from commerce.returns.restocking import restock_return
from commerce.returns.sending import is_in_flight, resolve_refund, send_refund
from commerce.returns.shares import Parts
from inventory.errors import InventoryBusy
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.database import as_shop
from tenants.errors import NotFound, WrongState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefundMade:
    """One refund as it stands; `amount` in minor units."""

    refund_id: UUID
    amount: int
    status: str


@dataclass(frozen=True, slots=True)
class ReturnOutcome:
    """A return as it stands. `remaining` is what could still be refunded; `fresh` is False for a repeat."""

    return_id: UUID
    refunds: Sequence[RefundMade]
    refunded: int
    remaining: int
    currency: str
    fresh: bool


def return_order(*, shop: ShopContext, command: ReturnCommand, acting: Actor) -> ReturnOutcome:
    """Refunds lines, an amount, a deposit or all that is left of an order, once per key.

    Raises NotFound, WrongState, RefundExceedsPayment, InvalidRequest, ReturnKeyConflict with nothing written;
    RefundRejected when Stripe refused definitively; RefundUnknown when Stripe hasn't said: the money stays reserved,
    and repeating finds out. Also CredentialsUnusable, InventoryBusy.
    """
    with as_shop(shop.shop_id):
        made, fresh = _claim(shop=shop, command=command, acting=acting)
        for row in made.refunds.select_related("order").order_by("id"):
            if fresh and row.status in Refund.ASKED:
                access = access_for_account(shop, row.stripe_account)
                send_refund(shop=shop, access=access, row=row)
            elif row.status in Refund.ASKED:
                _ask(shop=shop, row=row)
        restock_return(shop_id=shop.shop_id, return_id=made.pk)
        return _outcome(shop_id=shop.shop_id, return_id=made.pk, fresh=fresh)


def refund_order(*, shop: ShopContext, order_id: UUID, reason: str, key: str, acting: Actor) -> ReturnOutcome:
    """All that is left of an order, goods and deposit. Raises as `return_order`."""
    return return_order(shop=shop, command=ReturnCommand(order_id=order_id, reason=reason, key=key), acting=acting)


def refund_again(*, shop: ShopContext, refund_id: UUID, reason: str, acting: Actor) -> ReturnOutcome:
    """A new refund in place of one that came to nothing, of the same parts. Once per refund.

    Raises NotFound, WrongState, and as `return_order` does.
    """
    with as_shop(shop.shop_id):
        known = Refund.objects.for_shop(shop.shop_id).filter(pk=refund_id).first()
        if known is None:
            raise NotFound("There is no such refund.")
        with order_tx(shop.shop_id):
            order = order_for_update(shop_id=shop.shop_id, order_id=known.order_id)
            row = Refund.objects.for_shop(shop.shop_id).select_for_update(no_key=True).get(pk=refund_id)
            _refuse_again(order, row)
            made = row.returned or _return_of_mirrored(order=order, row=row, reason=reason, acting=acting)
            now = timezone.now()
            again = reserve_within(
                order=order, made=made, parts=Parts(row.amount, row.deposit_amount, row.tax_amount), now=now
            )
            row.handled_at = now
            row.save(update_fields=["handled_at"])
            record_audit(
                shop_id=shop.shop_id,
                acting=acting,
                action="refund.sent_again",
                object_type="order",
                object_id=order.pk,
                reason=reason,
                data={"instead_of": str(row.pk), "refund": str(again.pk), "amount": row.amount},
            )
        send_refund(shop=shop, access=access_for_account(shop, again.stripe_account), row=again)
        return _outcome(shop_id=shop.shop_id, return_id=made.pk, fresh=True)


def mark_handled(*, shop_id: str, refund_id: UUID, reason: str, acting: Actor) -> None:
    """Takes a refund that came to nothing off the desk: it was settled in another way, which `reason` says. Audited.

    Raises NotFound, WrongState.
    """
    with order_tx(shop_id):
        row = Refund.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=refund_id).first()
        if row is None:
            raise NotFound("There is no such refund.")
        if row.is_live or row.handled_at is not None:
            raise WrongState("There is nothing to deal with.")
        row.handled_at = timezone.now()
        row.save(update_fields=["handled_at"])
        record_audit(
            shop_id=shop_id,
            acting=acting,
            action="refund.handled",
            object_type="order",
            object_id=row.order_id,
            reason=reason,
            data={"refund": str(row.pk), "amount": row.amount, "currency": row.currency},
        )


def _refuse_again(order: Order, row: Refund) -> None:
    if row.is_live:
        raise WrongState(f"It is {row.get_status_display().lower()}, and not sent again.")
    if row.handled_at is not None:
        raise WrongState("Somebody has dealt with it already.")
    balance = balance_of(order)
    if row.deposit_amount > balance.deposit_left or row.amount - row.deposit_amount > balance.goods_left:
        raise WrongState("Less than that is left to refund: it was given back in another way.")


def _return_of_mirrored(*, order: Order, row: Refund, reason: str, acting: Actor) -> Return:
    """A refund made in the dashboard has no return; one that is sent again from here gets one."""
    return Return.objects.create(
        shop_id=order.shop_id,
        order=order,
        idempotency_key=f"again:{row.pk}",
        digest="",
        status=Return.Status.ACCEPTED,
        reason=reason,
        acting=str(acting),
        request_id=order.request_id,
        created_at=timezone.now(),
    )


def _claim(*, shop: ShopContext, command: ReturnCommand, acting: Actor) -> tuple[Return, bool]:
    """The return of this key, and whether it has just been made: tx 1."""
    if (made := earlier_return(shop_id=shop.shop_id, command=command)) is not None:
        return made, False
    order = Order.objects.for_shop(shop.shop_id).filter(pk=command.order_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    if not order.is_external:
        access_for_account(shop, order.stripe_account)  # refused before anything is reserved
    try:
        with order_tx(shop.shop_id):
            order = order_for_update(shop_id=shop.shop_id, order_id=command.order_id)
            if (made := earlier_return(shop_id=shop.shop_id, command=command)) is not None:
                return made, False
            made = claim_return_within(order=order, command=command, acting=acting, now=timezone.now())
            if order.is_external:
                settle_external_within(order=order, made=made, now=timezone.now())
            return made, True
    except IntegrityError:
        # The key was taken a moment ago, for another order: their locks don't meet.
        if (made := earlier_return(shop_id=shop.shop_id, command=command)) is None:
            raise
        return made, False


def _ask(*, shop: ShopContext, row: Refund) -> None:
    """A repeat looks for the answer that was lost; while somebody else is asking, it only waits."""
    if is_in_flight(row):
        return
    try:
        resolve_refund(shop=shop, row=row, now=timezone.now())
    except (StripeFailure, InventoryBusy) as failure:
        log.warning("refund_still_unknown", refund=str(row.pk), error=str(failure))


def _outcome(*, shop_id: str, return_id: UUID, fresh: bool) -> ReturnOutcome:
    """Raises RefundUnknown and RefundRejected."""
    made = Return.objects.for_shop(shop_id).select_related("order").get(pk=return_id)
    rows = list(made.refunds.order_by("id"))
    if any(row.status in Refund.ASKED for row in rows):
        raise RefundUnknown
    if made.status == Return.Status.REFUSED:
        raise RefundRejected(next((row.failure_reason for row in rows if row.failure_reason), "refused"))
    return ReturnOutcome(
        return_id=made.pk,
        refunds=[RefundMade(row.pk, row.amount, row.status) for row in rows],
        refunded=made.order.refunded_amount,
        remaining=balance_of(made.order).left,
        currency=made.order.currency,
        fresh=fresh,
    )

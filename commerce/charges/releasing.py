"""Deposits go back once a rental was looked at and had its days: by a refund where they were charged, by letting the
authorisation go where they weren't. Once. The job behind `release_deposits`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db.models import Q, QuerySet
from django.utils import timezone

from commerce.charges.claiming import want_release_within
from commerce.charges.collecting import settle_charges
from commerce.charges.models import Charge, ChargePolicy, RentalClearing
from commerce.charges.reports import FAILED, JobReport, ReportRow
from commerce.gateway.failures import StripeFailure
from commerce.orders.locks import order_for_update, order_tx
from commerce.orders.models import Order
from commerce.rentals.models import Rental
from commerce.returns.claiming import REFUNDABLE, ReturnCommand, balance_of
from commerce.returns.errors import RefundExceedsPayment
from commerce.returns.models import Return
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)
Status = Rental.Status

JOB: Final = Actor("system", "deposits")
REASON: Final = "The rental is over"


def release_deposits(*, shop: ShopContext, now: datetime, dry_run: bool = False, limit: int = 500) -> JobReport:
    """One run for one shop, in the shop's scope; each rental by itself. Without a policy only holds of
    what was called off are let go.
    """
    report = JobReport(shop.shop_id, "release_deposits", dry_run)
    policy = ChargePolicy.objects.for_shop(shop.shop_id).first()
    for hold in called_off(shop_id=shop.shop_id)[:limit]:
        report.rows.append(_let_go(shop, hold, dry_run))
    for clearing in due_clearings(shop_id=shop.shop_id, policy=policy, now=now)[:limit] if policy else ():
        report.rows.append(_release(shop, clearing.rental, now, dry_run))
    return report


def due_clearings(*, shop_id: str, policy: ChargePolicy, now: datetime) -> QuerySet[RentalClearing]:
    """Cleared rentals that were inspected, or closed, so many days ago."""
    until = now - timedelta(days=policy.release_days)
    looked_at = Q(rental__inspected_at__lte=until) | Q(rental__closed_at__lte=until)
    rows = RentalClearing.objects.for_shop(shop_id).filter(
        looked_at, released_at__isnull=True, rental__status__in=[Status.INSPECTED, Status.CLOSED]
    )
    return rows.select_related("rental__order").order_by("cleared_at")


def called_off(*, shop_id: str) -> QuerySet[Charge]:
    """What is held for rentals that won't happen."""
    rows = (
        Charge.objects.for_shop(shop_id)
        .held()
        .filter(purpose=Charge.Purpose.DEPOSIT, order__rental__status=Status.CANCELED)
    )
    return rows.select_related("order").order_by("pk")


def _let_go(shop: ShopContext, hold: Charge, dry_run: bool) -> ReportRow:
    order, amounts = hold.order, {"hold": hold.amount}
    if dry_run:
        return ReportRow(order.number, "would be let go: called off", order.currency, amounts)
    release_holds(shop=shop, order_id=order.pk, reason="The rental was called off", acting=JOB)
    return ReportRow(order.number, "let go: called off", order.currency, amounts)


def release_holds(*, shop: ShopContext, order_id: UUID, reason: str, acting: Actor) -> None:
    """Lets go what is held on the order's card, and not to be taken. Audited. Raises InventoryBusy."""
    with order_tx(shop.shop_id):
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id)
        _release_holds_within(order, reason, acting)
    settle_charges(shop=shop, order=order, now=timezone.now())


def _release(shop: ShopContext, rental: Rental, now: datetime, dry_run: bool) -> ReportRow:
    order = rental.order
    held = sum(Charge.objects.for_shop(shop.shop_id).held().filter(order=order).values_list("amount", flat=True))
    left = max(0, balance_of(order).deposit_left) if order.status in REFUNDABLE else 0
    amounts = {"refund": left, "hold": held}
    if dry_run:
        return ReportRow(order.number, "would be released", order.currency, amounts)
    try:
        _refund(shop, rental, left)
        with order_tx(shop.shop_id):
            order = order_for_update(shop_id=shop.shop_id, order_id=order.pk)
            _release_holds_within(order, REASON, JOB)
            RentalClearing.objects.for_shop(shop.shop_id).filter(rental=rental).update(released_at=now)
        settle_charges(shop=shop, order=order, now=now)
        return ReportRow(order.number, "released", order.currency, amounts)
    except (HoldfastError, StripeFailure) as error:
        log.error("deposit_not_released", rental=str(rental.pk), error=str(error))
    except Exception:
        # One poisoned rental must not stop the rest.
        log.exception("deposit_not_released", rental=str(rental.pk))
    return ReportRow(order.number, FAILED, order.currency, amounts)


def _refund(shop: ShopContext, rental: Rental, left: int) -> None:
    """The refunds' own verb, under a key of the rental's: a run that died in the midst of it finds its refund."""
    key = f"release:{rental.pk}"
    if left <= 0 and not Return.objects.for_shop(shop.shop_id).filter(idempotency_key=key).exists():
        return
    command = ReturnCommand(order_id=rental.order_id, reason=REASON, key=key, deposit=True)
    try:
        return_order(shop=shop, command=command, acting=JOB)
    except RefundExceedsPayment:
        # Somebody else was faster: nothing is left to give back.
        if balance_of(Order.objects.for_shop(shop.shop_id).get(pk=rental.order_id)).deposit_left > 0:
            raise


def _release_holds_within(order: Order, reason: str, acting: Actor) -> None:
    for hold in Charge.objects.for_shop(order.shop_id).held().filter(order=order).select_for_update(no_key=True):
        want_release_within(hold, reason=reason, acting=acting)

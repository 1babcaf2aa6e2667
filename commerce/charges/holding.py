"""Deposits that are only authorised, held on the saved card shortly before the pick-up (K8). The job behind
`hold_deposits`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat

from commerce.charges.claiming import NewCharge, claim_charge_within
from commerce.charges.collecting import settle_charges
from commerce.charges.models import Charge, ChargePolicy
from commerce.charges.reports import FAILED, JobReport, ReportRow
from commerce.charges.windows import hold_moment, needed_until
from commerce.orders.locks import order_for_update, order_tx
from commerce.rentals.models import Rental
from commerce.rentals.periods import shop_today
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)
Status = Rental.Status

JOB: Final = Actor("system", "deposits")
# No hold is placed longer before the pick-up than the longest authorisation lives.
LOOKS_AHEAD: Final = timedelta(days=8)
DEFAULT_INSPECTION_DAYS: Final = 1


def hold_deposits(*, shop: ShopContext, now: datetime, dry_run: bool = False, limit: int = 500) -> JobReport:
    """One run for one shop, in the shop's scope: holds what is due, once per order. Each by itself."""
    report = JobReport(shop.shop_id, "hold_deposits", dry_run)
    policy = ChargePolicy.objects.for_shop(shop.shop_id).first()
    inspection = policy.inspection_days if policy else DEFAULT_INSPECTION_DAYS
    for rental in due_rentals(shop=shop)[:limit]:
        zone = shop.policy.time_zone
        moment = hold_moment(
            starts_on=rental.starts_on,
            ends_on=rental.ends_on,
            inspection_days=inspection,
            zone=zone,
            window=timedelta(hours=settings.DEPOSIT_AUTHORISATION_HOURS),
            lead=timedelta(hours=settings.DEPOSIT_HOLD_LEAD_HOURS),
        )
        over = now >= needed_until(ends_on=rental.ends_on, inspection_days=inspection, zone=zone)
        if moment is None or moment > now or over:
            if dry_run:
                why = "longer than an authorisation lives: the card is kept" if moment is None else "not yet"
                report.rows.append(_row(rental, "over" if over else why))
            continue
        report.rows.append(_row(rental, "would be held") if dry_run else _hold(shop, rental, now))
    return report


def due_rentals(*, shop: ShopContext) -> QuerySet[Rental]:
    """Rentals of the next days, and those that are out, whose deposit is to be authorised and was never tried."""
    today = shop_today(shop)
    tried = Charge.objects.for_shop(shop.shop_id).filter(
        operation_key=Concat(Value("deposit:"), Cast(OuterRef("order_id"), CharField()))
    )
    rows = Rental.objects.for_shop(shop.shop_id).filter(
        ~Exists(tried),
        status__in=[Status.RESERVED, Status.HANDED_OUT],
        starts_on__range=(today - LOOKS_AHEAD, today + LOOKS_AHEAD),
        order__deposit_authorised_amount__gt=0,
    )
    return rows.exclude(order__payment_method_id="").select_related("order").order_by("starts_on", "pk")


def _hold(shop: ShopContext, rental: Rental, now: datetime) -> ReportRow:
    try:
        with order_tx(shop.shop_id):
            order = order_for_update(shop_id=shop.shop_id, order_id=rental.order_id)
            new = NewCharge(
                purpose=Charge.Purpose.DEPOSIT,
                amount=order.deposit_authorised_amount,
                key=f"deposit:{order.pk}",
                reason=f"Deposit for the rental from {rental.starts_on} to {rental.ends_on}",
                manual=True,
            )
            claim_charge_within(order=order, new=new, acting=JOB, now=now)
        settle_charges(shop=shop, order=order, now=now)
        row = Charge.objects.for_shop(shop.shop_id).get(operation_key=new.key)
        return _row(rental, row.get_status_display().lower())
    except HoldfastError as error:
        log.error("deposit_not_held", rental=str(rental.pk), error=str(error))
    except Exception:
        # One poisoned rental must not stop the rest.
        log.exception("deposit_not_held", rental=str(rental.pk))
    return _row(rental, FAILED)


def _row(rental: Rental, outcome: str) -> ReportRow:
    order = rental.order
    return ReportRow(order.number, outcome, order.currency, {"deposit": order.deposit_authorised_amount})

"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from commerce.charges import resolver as charge_resolver
from commerce.charges.clearing import charge_late_fees
from commerce.charges.holding import hold_deposits
from commerce.charges.jobs import shops_with_work
from commerce.charges.releasing import release_deposits
from commerce.charges.reports import JobReport
from commerce.ledger import fees
from commerce.rentals import looking_after
from commerce.returns import resolver
from commerce.subscriptions import booking, telling
from commerce.subscriptions import resolver as operations
from tenants.context import current_shop
from tenants.task_roles import ShopTask, SystemTask

log = structlog.get_logger(__name__)


@shared_task(base=SystemTask, name="commerce.post_fees", ignore_result=True)
def post_fees() -> None:
    """Every minute: Stripe's fees of orders and invoices that no event told of; each under its own shop."""
    for report in (fees.run_once(now=timezone.now()), booking.run_once(now=timezone.now())):
        if report.found:
            log.info("fees_posted", found=report.found, posted=report.posted, failed=report.failed)


@shared_task(base=SystemTask, name="commerce.resolve_refunds", ignore_result=True)
def resolve_refunds() -> None:
    """Every half minute: lost answers, refunds on their way, units to restock, staff to tell; each under its shop."""
    report = resolver.run_once(now=timezone.now())
    if report.found or report.restocked or report.told:
        log.info("refunds_resolved", found=report.found, moved=report.moved, failed=report.failed, told=report.told)


@shared_task(base=SystemTask, name="commerce.work_on_charges", ignore_result=True)
def work_on_charges() -> None:
    """Every half minute: charges on saved cards that nobody waits for, and their links; each under its own shop."""
    report = charge_resolver.run_once(now=timezone.now())
    if report.found or report.told:
        log.info("charges_worked_on", found=report.found, moved=report.moved, failed=report.failed, told=report.told)


@shared_task(base=SystemTask, name="commerce.look_after_rentals", ignore_result=True)
def look_after_rentals() -> None:
    """Every minute: what became overdue at its shop's midnight, and the days of what was canceled."""
    looking_after.look_after()


@shared_task(base=SystemTask, name="commerce.work_on_rentals_money", ignore_result=True)
def work_on_rentals_money() -> None:
    """Every quarter of an hour: deposits to be held, late fees, deposits to go back; each as its shop's own work."""
    for shop_id in shops_with_work():
        hold_deposits_of_shop.delay(shop_id=shop_id)
        charge_late_fees_of_shop.delay(shop_id=shop_id)
        release_deposits_of_shop.delay(shop_id=shop_id)


@shared_task(base=ShopTask, name="commerce.hold_deposits", ignore_result=True)
def hold_deposits_of_shop(*, shop_id: str) -> None:
    """Deposits that are only authorised, held shortly before the pick-up; one key per order."""
    _tell(hold_deposits(shop=current_shop(), now=timezone.now()))


@shared_task(base=ShopTask, name="commerce.charge_late_fees", ignore_result=True)
def charge_late_fees_of_shop(*, shop_id: str) -> None:
    """What rentals that are back owe; one key per rental and fee."""
    _tell(charge_late_fees(shop=current_shop(), now=timezone.now()))


@shared_task(base=ShopTask, name="commerce.release_deposits", ignore_result=True)
def release_deposits_of_shop(*, shop_id: str) -> None:
    """Deposits of rentals that are over; one key per rental."""
    _tell(release_deposits(shop=current_shop(), now=timezone.now()))


def _tell(report: JobReport) -> None:
    if report.rows:
        log.info("rentals_money", job=report.job, rentals=len(report.rows), failed=report.failed)


@shared_task(base=SystemTask, name="commerce.resolve_operations", ignore_result=True)
def resolve_operations() -> None:
    """Every half minute: operations on subscriptions whose answer was lost; each under its own shop."""
    report = operations.run_once(now=timezone.now())
    if report.found:
        log.info("operations_resolved", found=report.found, ended=report.ended, failed=report.failed)


@shared_task(base=SystemTask, name="commerce.tell_subscribers", ignore_result=True)
def tell_subscribers() -> None:
    """Every minute: mails about payments that failed or wait for the customer, and about trials that end."""
    report = telling.run_once(now=timezone.now())
    if report.found:
        log.info("subscribers_told", found=report.found, sent=report.sent)

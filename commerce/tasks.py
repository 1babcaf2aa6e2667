"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from commerce.charges import resolver as charge_resolver
from commerce.ledger import fees
from commerce.rentals import looking_after
from commerce.returns import resolver
from tenants.task_roles import SystemTask

log = structlog.get_logger(__name__)


@shared_task(base=SystemTask, name="commerce.post_fees", ignore_result=True)
def post_fees() -> None:
    """Every minute: Stripe's fees of orders that no event told of; each under its own shop."""
    report = fees.run_once(now=timezone.now())
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

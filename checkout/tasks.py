"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from checkout import abandoned_carts, resolver, shortage_notes
from checkout.subscribing import resolver as subscribing
from tenants.task_roles import SystemTask

log = structlog.get_logger(__name__)


@shared_task(base=SystemTask, name="checkout.resolve_attempts", ignore_result=True)
def resolve_attempts() -> None:
    """Finishes attempts that nobody waits for; works across shops, each under its own context."""
    for report in (resolver.run_once(now=timezone.now()), subscribing.run_once(now=timezone.now())):
        if report.found:
            log.info("attempts_resolved", found=report.found, resolved=report.resolved, failed=report.failed)


@shared_task(base=SystemTask, name="checkout.remove_abandoned_carts", ignore_result=True)
def remove_abandoned_carts() -> None:
    """Every night."""
    report = abandoned_carts.run_once(now=timezone.now())
    log.info("abandoned_carts_removed", **report.as_json())


@shared_task(base=SystemTask, name="checkout.work_on_shortages", ignore_result=True)
def work_on_shortages() -> None:
    """Every minute: orders that were paid without stock, refunded where the shop says so; their people told."""
    report = shortage_notes.run_once(now=timezone.now())
    if report.refunded or report.told or report.failed:
        log.info("shortages_worked_on", refunded=report.refunded, told=report.told, failed=report.failed)

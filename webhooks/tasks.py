"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from tenants.task_roles import SystemTask
from webhooks import catch_up, inbox, reconcile

log = structlog.get_logger(__name__)


@shared_task(base=SystemTask, name="webhooks.sweep_events", ignore_result=True)
def sweep_events() -> None:
    """Retries what failed and picks up what a dying process left behind."""
    report = inbox.sweep_once(now=timezone.now())
    if report.found:
        log.info("events_swept", found=report.found, processed=report.processed, failed=report.failed)


@shared_task(base=SystemTask, name="webhooks.catch_up", ignore_result=True)
def catch_up_events() -> None:
    """Every five minutes: what Stripe says it sent and nobody received."""
    catch_up.run_once(now=timezone.now())


@shared_task(base=SystemTask, name="webhooks.reconcile", ignore_result=True)
def reconcile_accounts() -> None:
    """Every night: Stripe's books against ours."""
    reconcile.run_once(now=timezone.now())

"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from tenants.task_roles import SystemTask
from webhooks import inbox

log = structlog.get_logger(__name__)


@shared_task(base=SystemTask, name="webhooks.sweep_events", ignore_result=True)
def sweep_events() -> None:
    """Retries what failed and picks up what a dying process left behind."""
    report = inbox.sweep_once(now=timezone.now())
    if report.found:
        log.info("events_swept", found=report.found, processed=report.processed, failed=report.failed)

"""Celery tasks of this app; when they run is config/celery.py's."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from inventory import reaper, verify
from tenants.task_roles import SystemTask


@shared_task(base=SystemTask, name="inventory.reap_holds")
def reap_holds() -> None:
    """Every minute."""
    reaper.run_once(now=timezone.now())


@shared_task(base=SystemTask, name="inventory.verify_stock")
def verify_stock() -> None:
    """Every night."""
    verify.prove_stock()

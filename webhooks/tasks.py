"""Celery tasks: load, call, log."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from inventory.alert_channels import NotTold
from tenants.context import current_shop
from tenants.task_roles import ShopTask, SystemTask
from webhooks import books, books_mail, catch_up, inbox, reconcile

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


@shared_task(base=SystemTask, name="webhooks.tie_out", ignore_result=True)
def tie_out() -> None:
    """Every night: each shop's journal against Stripe's balance, as that shop's own work."""
    for shop_id in books.shops_with_books():
        tie_out_shop.delay(shop_id=shop_id)


@shared_task(base=ShopTask, name="webhooks.tie_out_shop", ignore_result=True)
def tie_out_shop(*, shop_id: str) -> None:
    """What one shop's Stripe accounts moved, against its journal; its people hear of what is new."""
    new = books.compare(shop=current_shop(), now=timezone.now())
    if new:
        tell_of_differences.delay(shop_id=shop_id, findings=new)


@shared_task(
    base=ShopTask,
    name="webhooks.tell_of_differences",
    ignore_result=True,
    autoretry_for=(NotTold,),
    retry_backoff=60,
    retry_backoff_max=3600,
    max_retries=12,
)
def tell_of_differences(*, shop_id: str, findings: list[int]) -> None:
    """A mail server that is away is asked again for some ten hours."""
    books_mail.mail_differences(shop_id=shop_id, findings=findings)

"""Celery tasks of this app; when they run is config/celery.py's."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from inventory import alert_delivery, alerts, drift_mail, pruning, reaper, verify
from inventory.alert_channels import NotTold
from inventory.bulk import sweep, working
from inventory.bulk.batches import ask_for_work
from tenants.task_roles import ShopTask, SystemTask


@shared_task(base=SystemTask, name="inventory.reap_holds")
def reap_holds() -> None:
    """Every minute."""
    reaper.run_once(now=timezone.now())


@shared_task(base=SystemTask, name="inventory.verify_stock")
def verify_stock() -> None:
    """Every night."""
    proof = verify.prove_stock()
    if not proof.clean:
        mail_drift.delay(run_id=proof.run_id)


@shared_task(base=SystemTask, name="inventory.prune_days")
def prune_days() -> None:
    """Every night, when the proof of the night has read them."""
    pruning.prune_days(now=timezone.now())


@shared_task(
    base=SystemTask,
    name="inventory.mail_drift",
    autoretry_for=(NotTold,),
    retry_backoff=60,
    retry_backoff_max=3600,
    max_retries=12,
)
def mail_drift(*, run_id: int) -> None:
    """After a proof that wasn't clean; a mail server that is away is asked again for some ten hours."""
    drift_mail.mail_drift(run_id=run_id)


@shared_task(base=SystemTask, name="inventory.watch_stock")
def watch_stock() -> None:
    """Every minute: raises alerts, and hands out every delivery that is due, retries and abandoned ones included."""
    now = timezone.now()
    alerts.watch_stock(now=now)
    for delivery_id in alert_delivery.due_deliveries(now=now):
        deliver_alert.delay(delivery_id=delivery_id)


@shared_task(base=SystemTask, name="inventory.deliver_alert")
def deliver_alert(*, delivery_id: int) -> None:
    """One at a time, so that a receiver who is slow keeps nobody else waiting."""
    alert_delivery.deliver_alert(delivery_id=delivery_id, now=timezone.now())


@shared_task(base=ShopTask, name="inventory.work_on_import")
def work_on_import(*, shop_id: str, import_id: int) -> None:
    """Reads, applies or takes back an import, a bounded time at a time: what is left is asked for anew."""
    if not working.work_on(shop_id=shop_id, import_id=import_id):
        ask_for_work(shop_id, import_id)


@shared_task(base=SystemTask, name="inventory.work_on_pool_import")
def work_on_pool_import(*, pool_id: str, import_id: int) -> None:
    """The same for a pool, which is the platform's."""
    if not working.work_on(shop_id=pool_id, import_id=import_id):
        ask_for_work(pool_id, import_id)


@shared_task(base=SystemTask, name="inventory.sweep_imports")
def sweep_imports() -> None:
    """Every minute."""
    sweep.run_once(now=timezone.now())

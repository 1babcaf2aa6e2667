"""The Celery application and what beat does when."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, setup_logging, worker_init
from django_structlog.celery.steps import DjangoStructLogInitStep

from config.env import integer

# Production unless told otherwise: importing `config` runs this line first, in the web server too.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("holdfast")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Carries request_id from the request that caused a task onto the task's own lines.
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "reap-holds": {"task": "inventory.reap_holds", "schedule": 60.0},
    "watch-stock": {"task": "inventory.watch_stock", "schedule": 60.0},
    "resolve-attempts": {"task": "checkout.resolve_attempts", "schedule": 10.0},
    "work-on-shortages": {"task": "checkout.work_on_shortages", "schedule": 60.0},
    "sweep-events": {"task": "webhooks.sweep_events", "schedule": 10.0},
    "catch-up-events": {"task": "webhooks.catch_up", "schedule": 300.0},
    "post-fees": {"task": "commerce.post_fees", "schedule": 60.0},
    "resolve-refunds": {"task": "commerce.resolve_refunds", "schedule": 30.0},
    "work-on-charges": {"task": "commerce.work_on_charges", "schedule": 30.0},
    "look-after-rentals": {"task": "commerce.look_after_rentals", "schedule": 60.0},
    "prune-days": {"task": "inventory.prune_days", "schedule": crontab(hour="3", minute="50")},
    "work-on-rentals-money": {"task": "commerce.work_on_rentals_money", "schedule": 900.0},
    "tell-subscribers": {"task": "commerce.tell_subscribers", "schedule": 60.0},
    "resolve-subscription-operations": {"task": "commerce.resolve_operations", "schedule": 30.0},
    "sweep-imports": {"task": "inventory.sweep_imports", "schedule": 60.0},
    "remove-abandoned-carts": {"task": "checkout.remove_abandoned_carts", "schedule": crontab(hour="3", minute="40")},
    "tie-out": {"task": "webhooks.tie_out", "schedule": crontab(hour="4", minute="40")},
    "reconcile": {"task": "webhooks.reconcile", "schedule": crontab(hour="4", minute="10")},
    "verify-stock": {"task": "inventory.verify_stock", "schedule": crontab(hour="3", minute="10")},
}
# What waits for beat needn't be waited for by who tests or demonstrates it. Times of day stay what they are.
TIMES_AS_OFTEN = integer("BEAT_TIMES_AS_OFTEN", 1, low=1, high=60)
for entry in app.conf.beat_schedule.values():
    if isinstance(entry["schedule"], float):
        entry["schedule"] /= TIMES_AS_OFTEN


@setup_logging.connect
def keep_django_logging(**kwargs: object) -> None:
    """Celery leaves logging alone: LOGGING is already in force."""


@worker_init.connect
@beat_init.connect
def check_settings(**kwargs: object) -> None:
    """No worker and no beat on settings that contradict themselves."""
    from config.checks import refuse_to_start  # late: apps are loaded only now

    refuse_to_start()

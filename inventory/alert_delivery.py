"""Telling an alert, channel by channel: claimed before it is sent, retried with back-off, given up in sight of staff.

A claim is a compare-and-set with a lease. A sender that dies leaves its lease to run out, and the sweep hands the
delivery to the next: told at least once, twice only when a sender died between sending and noting it. E-mail and
webhook carry an id that stays the same, by which a receiver tells the repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from inventory import metrics
from inventory.alert_channels import CHANNELS, NobodyToTell, NotTold
from inventory.client.backoff import delay_before_ms
from inventory.holds import refuse_transaction
from inventory.models import AlertDelivery, StockAlert
from tenants.audit import Actor, record_audit
from tenants.errors import NotFound, WrongState

log = structlog.get_logger(__name__)
State = AlertDelivery.State

# Longer than a task may run (CELERY_TASK_TIME_LIMIT): a lease never ends under a sender that lives.
LEASE: Final = timedelta(minutes=6)
FIRST_RETRY_MS: Final = 60_000
LONGEST_RETRY_MS: Final = 6 * 3_600_000
MOST_ATTEMPTS: Final = 10
"""About a working day, the waits doubling from a minute."""

RETRIED: Final = (State.FAILED, State.SKIPPED)


@dataclass(frozen=True, slots=True)
class _Claim:
    delivery: AlertDelivery
    attempt: int


def due_deliveries(*, now: datetime, limit: int = 200) -> list[int]:
    """Ids of what is to be sent now, the longest overdue first: new, to be retried, or left by a sender that died."""
    return list(
        AlertDelivery.objects.filter(_due(now)).order_by("next_attempt_at").values_list("pk", flat=True)[:limit]
    )


def deliver_alert(*, delivery_id: int, now: datetime) -> str:
    """Sends one delivery if it is due, and answers its state then; "" when it isn't due or somebody else is at it."""
    refuse_transaction("deliver_alert")
    claim = _claim(delivery_id, now)  # tx 1
    if claim is None:
        return ""
    state, error = _send(claim.delivery)  # no tx: mail server or receiver
    return _note(claim, state, error, now)  # tx 2


def retry_alert(*, owner_id: str, alert_id: int, reason: str, acting: Actor, now: datetime | None = None) -> str:
    """Sends again what failed or had nobody to be told; says what. Audited. Raises NotFound, WrongState."""
    with transaction.atomic():
        alert = StockAlert.objects.for_shop(owner_id).select_related("owner").filter(pk=alert_id).first()
        if alert is None:
            raise NotFound("There is no such alert.")
        rows = AlertDelivery.objects.select_for_update().filter(owner_id=owner_id, alert_id=alert_id, state__in=RETRIED)
        again = [row.get_channel_display() for row in rows.order_by("channel")]
        if not again:
            raise WrongState("Nothing of it has failed.")
        rows.update(state=State.DUE, attempts=0, next_attempt_at=now or timezone.now(), last_error="")
        record_audit(
            shop_id=alert.owner.shop_id,
            acting=acting,
            action="stock_alert.retried",
            object_type="stock_alert",
            object_id=alert_id,
            reason=reason,
            data={"channels": again},
        )
    return f"{' and '.join(again)}: sent within a minute."


def _due(now: datetime) -> Q:
    return Q(state__in=[State.DUE, State.SENDING], next_attempt_at__lte=now)


def _claim(delivery_id: int, now: datetime) -> _Claim | None:
    with transaction.atomic(durable=True):
        won = AlertDelivery.objects.filter(_due(now), pk=delivery_id).update(
            state=State.SENDING, attempts=F("attempts") + 1, next_attempt_at=now + LEASE
        )
        if not won:
            return None
        delivery = AlertDelivery.objects.select_related("alert__stock_row", "owner__shop").get(pk=delivery_id)
    return _Claim(delivery, delivery.attempts)


def _send(delivery: AlertDelivery) -> tuple[AlertDelivery.State, str]:
    try:
        CHANNELS[delivery.channel](delivery.alert)
    except NobodyToTell as nobody:
        return State.SKIPPED, str(nobody)
    except NotTold as error:
        return State.DUE, str(error)
    except Exception:
        # A defect of ours is retried as any trouble is, and shown to staff as what it is.
        log.exception("alert_not_sent", delivery_id=delivery.pk)
        return State.DUE, "An error of ours; it is in the log."
    return State.SENT, ""


def _note(claim: _Claim, state: AlertDelivery.State, error: str, now: datetime) -> str:
    """Writes the outcome, unless the lease has ended and somebody else has it."""
    given_up = state == State.DUE and claim.attempt >= MOST_ATTEMPTS
    wait = delay_before_ms(claim.attempt - 1, first_ms=FIRST_RETRY_MS, cap_ms=LONGEST_RETRY_MS)
    written = AlertDelivery.objects.filter(pk=claim.delivery.pk, state=State.SENDING, attempts=claim.attempt).update(
        state=State.FAILED if given_up else state,
        next_attempt_at=now + timedelta(milliseconds=wait),
        sent_at=now if state == State.SENT else None,
        last_error=error[:300],
    )
    if not written:
        return ""
    if given_up:
        metrics.ALERTS_GIVEN_UP.labels(claim.delivery.owner_id, claim.delivery.channel).inc()
    if state == State.DUE:
        log.warning("alert_not_told", delivery_id=claim.delivery.pk, attempt=claim.attempt, error=error[:300])
    return str(State.FAILED if given_up else state)

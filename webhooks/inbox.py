"""Handling stored events: once at a time, retried with backoff, never forgotten."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Q
from django.utils import timezone

from tenants.context import ShopContext, bind_shop, load_shop
from webhooks.dispatch import HANDLERS
from webhooks.envelope import Envelope
from webhooks.metrics import PROCESS_SECONDS
from webhooks.models import StripeEvent
from webhooks.storing import mark_processed, note_delivery
from webhooks.triage import Verdict, triage

log = structlog.get_logger(__name__)
Status = StripeEvent.Status

# Longer than handling takes at its slowest: two bounded Stripe calls and a bounded lock wait.
LEASE = timedelta(seconds=90)
FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(seconds=5), timedelta(minutes=10)
# With the backoff above: about two and a half hours of tries, then a person looks.
MOST_ATTEMPTS = 20
RUN_FOR = 40.0
BATCH = 50
# One in so many of a full batch is from the other end of the queue.
NEWEST_SHARE = 5
UNFINISHED = (Status.RECEIVED, Status.PROCESSING, Status.FAILED, Status.DEAD)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many due events were taken, and how they ended."""

    found: int
    processed: int
    failed: int


def handle_event(*, event_pk: int, now: datetime | None = None) -> str:
    """Handles one resolved event under a lease: processed, processing (another is at it) or deferred, that is
    failed with its reason kept. The sweep tries again, and after the last try it is a dead letter.
    """
    now = now or timezone.now()
    if not _take(event_pk=event_pk, now=now):
        return "processing"
    event = StripeEvent.objects.get(pk=event_pk)
    return handle_taken(event, envelope_of(event), now=now)


def handle_taken(
    event: StripeEvent,
    envelope: Envelope,
    *,
    now: datetime,
    shop: ShopContext | None = None,
    delivery_pk: int | None = None,
) -> str:
    """Handles an event whose lease the caller has: processed, or deferred as `handle_event` says.

    `shop` is the event's, where it has just been read. `delivery_pk`: the delivery that brought it, on which the
    outcome is written too.
    """
    began = time.monotonic()
    try:
        if event.shop_id is None:
            raise LookupError("The event has no shop.")
        shop = shop or load_shop(event.shop_id, request_id=event.request_id)
        with bind_shop(shop):
            HANDLERS[event.type](shop, envelope)
    except Exception as error:
        _fail(event, error, now)
        if delivery_pk is not None:
            note_delivery(delivery_pk, "deferred")
        return "deferred"
    PROCESS_SECONDS.labels(shop_id=event.shop_id, type=event.type).observe(time.monotonic() - began)
    event.status, event.processed_at = Status.PROCESSED, timezone.now()
    mark_processed(event=event, delivery_pk=delivery_pk)
    return "processed"


def sweep_once(*, now: datetime, limit: int = BATCH) -> SweepReport:
    """Takes due events until there are none or the time is up: failed ones, orphaned ones, dead letters whose shop may
    be known by now; each once a run. Safe side by side.

    Batches of `limit`: most of them the longest due, some the last to become due, so that neither a backlog keeps new
    trouble waiting nor new trouble the backlog. Time goes on meanwhile: what becomes due during a run of many batches
    is in the next one.
    """
    began = time.monotonic()
    taken: set[int] = set()
    outcomes: list[str] = []
    while due := [event for event in due_events(_later(now, began), limit) if event.pk not in taken]:
        for event in due:
            if time.monotonic() - began > RUN_FOR:
                return _report(outcomes)
            taken.add(event.pk)
            outcomes.append(_sweep(event, _later(now, began)))
    return _report(outcomes)


def _later(now: datetime, began: float) -> datetime:
    """What the time is by now, for a run that began at `now`."""
    return now + timedelta(seconds=time.monotonic() - began)


def due_events(now: datetime, limit: int) -> list[StripeEvent]:
    """A batch of the sweep's: up to `limit` of the longest due, and of a full one some from the other end."""
    events = StripeEvent.objects.filter(status__in=UNFINISHED, next_attempt_at__lte=now)
    late = list(events.order_by("next_attempt_at")[:limit])
    if len(late) < limit:
        return late
    newest = events.order_by("-next_attempt_at")[: limit // NEWEST_SHARE]
    found = {event.pk: event for event in (*newest, *late)}
    return list(found.values())


def _report(outcomes: list[str]) -> SweepReport:
    return SweepReport(found=len(outcomes), processed=outcomes.count("processed"), failed=outcomes.count("deferred"))


def _sweep(event: StripeEvent, now: datetime) -> str:
    if event.shop_id is None:
        # Stored, and then its process died before it was judged.
        try:
            found = triage(event, now=now)
        except Exception as error:
            # Counted as a try: an event that can't even be judged must not stand before the others for ever.
            event.attempts += 1
            _fail(event, error, now)
            return "deferred"
        if found.verdict is not Verdict.RESOLVED:
            return str(found.verdict)
    return handle_event(event_pk=event.pk, now=now)


def _take(*, event_pk: int, now: datetime) -> bool:
    """One statement: whoever changes the row has the event for the lease's length."""
    free = ~Q(status=Status.PROCESSING) | Q(next_attempt_at__lte=now)
    return bool(
        StripeEvent.objects.filter(free, pk=event_pk)
        .exclude(status__in=[Status.PROCESSED, Status.IGNORED])
        .update(status=Status.PROCESSING, attempts=F("attempts") + 1, next_attempt_at=now + LEASE)
    )


def _fail(event: StripeEvent, error: Exception, now: datetime) -> None:
    dead = event.attempts >= MOST_ATTEMPTS
    backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(event.attempts - 1, 10))
    log.warning("event_failed", event_id=event.event_id, type=event.type, attempts=event.attempts, exc_info=error)
    # Whoever took over after a lease ran out may have succeeded meanwhile.
    StripeEvent.objects.filter(pk=event.pk).exclude(status=Status.PROCESSED).update(
        status=Status.DEAD if dead else Status.FAILED,
        attempts=event.attempts,
        error=f"{type(error).__name__}: {error}"[:2000],
        next_attempt_at=None if dead else now + backoff,
    )


def envelope_of(event: StripeEvent) -> Envelope:
    """A stored event as its handler takes it."""
    return Envelope(
        event_id=event.event_id,
        type=event.type,
        account=event.account,
        livemode=event.livemode,
        api_version=event.api_version,
        created_at=event.created_at,
        object=event.payload["data"]["object"],
        payload=event.payload,
    )

"""A delivery becomes rows: its event, unless it is known, and the delivery itself. One statement, one commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import connection

from webhooks.models import EventDelivery, StripeEvent

# An event that another delivery is storing at this moment is waited for; then it is there, but not for this statement,
# which began before: the same one once more finds it.
TRIES: Final = 3

_STORE: Final = """
WITH fresh AS (
    INSERT INTO webhooks_stripeevent
        (livemode, account, event_id, type, api_version, other_version, object_id, payload, status, shop_id,
         resolved_by, attempts, error, created_at, received_at, processed_at, next_attempt_at, request_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT ON CONSTRAINT event_once DO NOTHING
    RETURNING id
), event AS (
    SELECT id, true AS fresh FROM fresh
    UNION ALL
    SELECT id, false FROM webhooks_stripeevent WHERE livemode = %s AND account = %s AND event_id = %s
)
INSERT INTO webhooks_eventdelivery (event_id, host, host_shop_id, outcome, request_id, received_at)
SELECT event.id, %s, %s, CASE WHEN event.fresh THEN %s ELSE 'received' END, %s, %s FROM event
RETURNING event_id, id, (SELECT fresh FROM event)
"""

_PROCESSED: Final = """
WITH told AS (UPDATE webhooks_eventdelivery SET outcome = 'processed' WHERE id = %s)
UPDATE webhooks_stripeevent SET status = 'processed', processed_at = %s, next_attempt_at = NULL, error = ''
WHERE id = %s
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """`fresh`: nobody had delivered this event before, and it was stored as it was given."""

    event_pk: int
    delivery_pk: int
    fresh: bool


def store(*, event: StripeEvent, written: str, host: str, host_shop_id: str | None, outcome: str) -> Stored:
    """Records an unsaved event, once per mode, account and id, and this delivery of it. Commits where it runs alone.

    `written` is the event's payload as text.
    `outcome` is the delivery's, if the event is fresh; the delivery of a known one is `received` until it is judged.
    """
    key = (event.livemode, event.account, event.event_id)
    values = (
        *key, event.type, event.api_version, event.other_version, event.object_id, written,
        event.status, event.shop_id, event.resolved_by, event.attempts, event.error, event.created_at,
        event.received_at, event.processed_at, event.next_attempt_at, event.request_id,
        *key, host, host_shop_id, outcome, event.request_id, event.received_at,
    )  # fmt: skip
    with connection.cursor() as cursor:
        for _ in range(TRIES):
            cursor.execute(_STORE, values)
            if (row := cursor.fetchone()) is not None:
                return Stored(*row)
    raise RuntimeError(f"Event {event.event_id} is neither new nor known.")


def mark_processed(*, event: StripeEvent, delivery_pk: int | None) -> None:
    """The end of handling: the event, and the delivery whose request did it, where there is one. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_PROCESSED, (delivery_pk, event.processed_at, event.pk))


def note_delivery(delivery_pk: int, outcome: str) -> None:
    EventDelivery.objects.filter(pk=delivery_pk).update(outcome=outcome)

"""Days that are over leave the table of days: nobody books or proves them any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import connection

from inventory.periods import first_day

log = structlog.get_logger(__name__)

# Longer than anybody's yesterday: what somebody looks into this week is still there.
KEPT: Final = timedelta(days=7)
AT_ONCE: Final = 5_000
# A run that has this much to do was away for long; the next night goes on.
MOST_BATCHES: Final = 400

_PRUNE: Final = """
    DELETE FROM inventory_stockday WHERE id IN (
        SELECT id FROM inventory_stockday WHERE day < %s ORDER BY day LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def prune_days(*, now: datetime, batch: int = AT_ONCE) -> int:
    """Removes what is a week past, a transaction per batch, so that nobody waits for more than one; answers how many
    rows. Bookings (`HoldPeriod`) stay: they are the holds' history. To be called under the system's scope.
    """
    removed = 0
    for _ in range(MOST_BATCHES):
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, [first_day(now) - KEPT, batch])
            removed += cursor.rowcount
            if cursor.rowcount < batch:
                break
    log.info("days_pruned", rows=removed)
    return removed

"""Locked rows of the checkout, and the limit on waiting for them.

Lock order everywhere: attempt, order, coupon, hold, stock (advisory, then rows by id), cart, journal.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from checkout.models import CheckoutAttempt

# Milliseconds. Settlement may queue behind a sale of a hot product; longer than that is busy, and the sweep retries.
LOCK_TIMEOUT_MS = 2000


def limit_lock_waits() -> None:
    """First statement of every transaction here that may wait for a lock. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])


def attempt_for_update(*, shop_id: str, attempt_id: UUID) -> CheckoutAttempt:
    """The attempt's row, locked; foreign keys to it stay unblocked."""
    return CheckoutAttempt.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=attempt_id)

"""Locked rows of the checkout, and the limit on waiting for them.

Lock order everywhere: attempt, order, coupon, hold, stock (advisory, then rows by id), cart, journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import connection

from checkout.models import CheckoutAttempt
from inventory.holds import busy_on_lock_timeout
from tenants.database import shop_tx
from tenants.postgres.kept import KeptQuery

# Milliseconds. Settlement may queue behind a sale of a hot product; longer than that is busy, and the sweep retries.
LOCK_TIMEOUT_MS = 2000


@contextmanager
def checkout_tx(shop_id: str) -> Iterator[None]:
    """A durable transaction of the checkout that waits for locks only so long. Raises InventoryBusy, rolled back."""
    with busy_on_lock_timeout(shop_id=shop_id), shop_tx(shop_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])
        yield


def attempt_for_update(*, shop_id: str, attempt_id: UUID) -> CheckoutAttempt:
    """The attempt's row, locked; foreign keys to it stay unblocked."""
    return _ATTEMPT.get(shop_id, attempt_id)


_ATTEMPT: Final = KeptQuery(
    lambda shop_id, attempt_id: (
        CheckoutAttempt.objects.for_shop(shop_id).select_for_update(no_key=True).filter(pk=attempt_id)
    ),
    str,
    UUID,
)

"""Order among reads of Stripe: a number taken before each read, and only a later read overwrites an earlier one.

Stripe's objects carry no version, and clocks of two processes disagree. What a read brings is at least as new as its
stamp, so whoever holds the higher one knows at least as much.
"""

from __future__ import annotations

from django.db import connection


def take_stamp() -> int:
    """The next stamp, for a read that is about to happen. One query; outside the transaction that writes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('commerce_read_stamp')")
        (stamp,) = cursor.fetchone()
    return int(stamp)

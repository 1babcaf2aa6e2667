"""Django's PostgreSQL backend, whose statements carry the scope that is current (tenants/database.py).

The first statement of a transaction takes the scope's settings along in the same message, and so does a statement that
runs alone: to PostgreSQL the two are one transaction then. Needs client-side binding, which is Django's default.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from typing import Any, Final

from django.db.backends.postgresql import base
from psycopg import Connection
from psycopg.pq import TransactionStatus

from tenants.database import NO_SCOPE, current_scope

IDLE, IN_TRANSACTION, FAILED = (
    int(TransactionStatus.IDLE),
    int(TransactionStatus.INTRANS),
    int(TransactionStatus.INERROR),
)
UNKNOWN: Final = "unknown"
"""What a transaction runs as after a failed statement or a rollback to a savepoint, which take settings back too."""


ASKED_EVERY_SECONDS: Final = 30.0
"""Firewalls drop idle connections after minutes, and tell nobody."""


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(carry_scope)
        self._asked_at = -math.inf

    def is_usable(self) -> bool:
        """Whether a kept connection still leads anywhere; asked by Django before a request's first statement.

        Most servers that end a connection have said so on its socket, and looking there costs no round trip, which
        `SELECT 1` would. Whatever lies there, and half a minute without that question, leads to it all the same.
        """
        now = time.monotonic()
        if now - self._asked_at < ASKED_EVERY_SECONDS and _is_silent(self.connection):
            return True
        usable = bool(super().is_usable())
        self._asked_at = now if usable else -math.inf
        return usable


def _is_silent(connection: Connection[Any] | None) -> bool:
    """Open, idle, and with nothing to be read from it: no farewell of the server's, no end of the stream."""
    if connection is None or connection.pgconn.transaction_status != IDLE:
        return False
    socket = select.poll()
    socket.register(connection.pgconn.socket, select.POLLIN)  # errors and hang-ups are told without being asked for
    return not socket.poll(0)


def carry_scope(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Runs one statement in the current scope, by the protocol of Django's `execute_wrapper`."""
    wrapper = context["connection"]
    status = wrapper.connection.pgconn.transaction_status
    wanted = current_scope.get()
    # What the transaction was last set to is kept on the connection; where none is open, nothing is set.
    known = NO_SCOPE if status == IDLE else wrapper.__dict__.get("holdfast_scope", NO_SCOPE)
    takes_back = status == FAILED or str(sql).startswith("ROLLBACK TO")
    if takes_back or known == wanted:
        wrapper.holdfast_scope = UNKNOWN if takes_back else known
        return execute(sql, params, many, context)
    if many or not isinstance(sql, str):
        raise TypeError("A statement that begins a scope is text, and runs once.")
    wrapper.holdfast_scope = UNKNOWN
    answer = execute(wanted + sql, params, many, context)
    context["cursor"].nextset()  # past the row that the settings answer
    wrapper.holdfast_scope = wanted
    return answer

"""How a process dies in the middle of a verb: it stops, or its connection is cut, at any of its statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, InterfaceError, connection


class ProcessDied(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


@dataclass(frozen=True)
class Crash:
    """At the `at`-th statement (0 is the first): `stop` leaves the transaction as it is, `cut_before` and `cut_after`
    end the server's side of the connection before and after the statement. A verb with fewer statements gets through,
    and its answer is lost all the same.
    """

    at: int
    kind: str


KINDS = ("stop", "cut_before", "cut_after")


@contextmanager
def crashing(crash: Crash) -> Iterator[None]:
    """What happens inside happens to a process that dies; whoever comes next has a fresh connection."""
    seen = 0

    def wrapper(execute, sql, params, many, context):
        nonlocal seen
        due, seen = seen == crash.at, seen + 1
        if due and crash.kind == "stop":
            raise ProcessDied
        if due and crash.kind == "cut_before":
            _cut()
        result = execute(sql, params, many, context)
        if due and crash.kind == "cut_after":
            _cut()
        return result

    connection.ensure_connection()
    try:
        with connection.execute_wrapper(wrapper):
            yield
    except (ProcessDied, DatabaseError, InterfaceError):
        pass
    finally:
        connection.close()


def _cut() -> None:
    """Waits until the server's process is gone, so that its locks and its transaction are."""
    pid = connection.connection.info.backend_pid
    known = connection.settings_dict
    address = {"dbname": known["NAME"], "user": known["USER"], "password": known["PASSWORD"], "host": known["HOST"]}
    given = {name: value for name, value in address.items() if value}
    if known["PORT"]:
        given["port"] = known["PORT"]
    options = {k: v for k, v in known["OPTIONS"].items() if k in {"host", "port", "user"}}
    with psycopg.connect(**given, **options, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

"""Asking one function of the database without the detour of Django's cursors, for the few calls that must be fast.

Django's cursor writes the values into the statement's text and wraps each step; the driver's own sends them beside it,
which takes half the time, and the server keeps the statement's plan where the connection may prepare statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Cursor

from tenants.database import NO_SCOPE, SHOP_SETTING, WEB_ROLE, current_scope, scope_of_shop
from tenants.postgres.base import IDLE, IN_TRANSACTION, carry_scope

# No other statement can travel in front of it, so the scope is its first source of rows: a function that takes its shop
# from there isn't called before the settings are made.
_SCOPE: Final = (
    f"(SELECT set_config('role', '{WEB_ROLE}', true), set_config('{SHOP_SETTING}', %s, true)) AS scope (role, shop)"
)


def ask(*, columns: str, function: str, shop_id: str, arguments: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """The one row of `ask_all`."""
    (row,) = ask_all(columns=columns, function=function, shop_id=shop_id, arguments=arguments, values=values)
    return row


def ask_all(
    *, columns: str, function: str, shop_id: str, arguments: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """The rows that `SELECT columns FROM function(shop_id, arguments)` answers, in the scope that is current.

    `arguments` are placeholders with their casts, for `values`. Joins the caller's transaction, where there is one.
    Raises Django's database errors.
    """
    scoped, plain = _statements(columns, function, arguments)
    given = [shop_id, *values]
    wrapper = connections[DEFAULT_DB_ALIAS]  # `connection` would look for it at every use
    straight = _straight(wrapper, shop_id, scoped, plain)
    if straight is None:
        with wrapper.cursor() as cursor:
            cursor.execute(plain, given)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
    with wrapper.wrap_database_errors, Cursor(wrapper.connection) as own:
        return own.execute(straight, given).fetchall()


def run(sql: str, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], int]:
    """Runs a statement in the scope that is current: its rows, if it answers any, and how many it was about.

    Goes straight to the driver within a transaction that is in this scope already; what begins one, or runs alone, goes
    through Django's cursors, which carry the scope. The text is one that is run again and again: the server keeps its
    plan. Raises Django's database errors.
    """
    wrapper = connections[DEFAULT_DB_ALIAS]
    with wrapper.wrap_database_errors, Cursor(wrapper.connection) if _is_inside(wrapper) else wrapper.cursor() as own:
        own.execute(sql, values)
        # Not `description`, which makes an object for each column to be looked at.
        return (own.fetchall() if own.pgresult is not None and own.pgresult.nfields else []), own.rowcount


def _is_inside(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether a sound transaction is under way, in the current scope, and nobody listens to Django's cursors."""
    if not wrapper.in_atomic_block or wrapper.needs_rollback or wrapper.queries_logged or wrapper.connection is None:
        return False
    if wrapper.connection.pgconn.transaction_status != IN_TRANSACTION:
        return False
    wrappers = wrapper.execute_wrappers
    return wrappers == [] or (wrappers == [carry_scope] and vars(wrapper).get("holdfast_scope") == current_scope.get())


@lru_cache(maxsize=64)
def _statements(columns: str, function: str, arguments: str) -> tuple[str, str]:
    """The same call in the scope that it names itself, and in the one that the connection's cursors carry."""
    return (  # names from our own code; values are parameters
        f"SELECT {columns} FROM {_SCOPE}, LATERAL {function}(scope.shop, {arguments})",  # noqa: S608
        f"SELECT {columns} FROM {function}(%s, {arguments})",  # noqa: S608
    )


def _straight(wrapper: BaseDatabaseWrapper, shop_id: str, scoped: str, plain: str) -> str | None:
    """Which of the two would do the same past Django's cursors: only where the statement would run alone, in its own
    shop's scope or in none, and nobody listens to what those cursors do. None where neither would.
    """
    wrappers = wrapper.execute_wrappers
    if wrapper.in_atomic_block or wrapper.queries_logged or wrappers not in ([], [carry_scope]):
        return None
    scope = current_scope.get() if wrappers else NO_SCOPE
    if scope not in (NO_SCOPE, scope_of_shop(shop_id)):
        return None
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    if not wrapper.get_autocommit() or wrapper.connection.pgconn.transaction_status != IDLE:
        return None
    return plain if scope == NO_SCOPE else scoped


def text_array(values: Sequence[str]) -> str:
    """PostgreSQL's own text form of an array (its manual, 8.15.6): for a parameter that is cast to `text[]`."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"

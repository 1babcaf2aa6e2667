"""Writing rows with statements whose text is made once, for what every payment writes.

They write what `save(update_fields=…)` and `bulk_create` would, by the fields' own preparation of their values; what
those make of expressions is Django's to write. No signal is sent: nothing here listens to any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Field, Model
from psycopg.types.numeric import Int8

from tenants.postgres.direct import run


def write_fields(row: Model, *names: str) -> None:
    """Writes these fields of a row that is there, by its key. Raises DatabaseError where it isn't any more."""
    sql, fields = _update(type(row), names)
    _, written = run(sql, [*_values(row, fields, adds=False), row.pk])
    if written != 1:
        raise DatabaseError(f"There is no row {row.pk} of {row._meta.label} to write.")


def insert_rows(rows: Iterable[Model]) -> None:
    """Inserts rows of one model in one statement; the database numbers those without a key, and isn't asked how."""
    made = list(rows)
    if not made:
        return
    numbered = made[0].pk is None
    sql, fields = _insert(type(made[0]), numbered, len(made))
    run(sql, [value for row in made for value in _values(row, fields, adds=True)])


@lru_cache(maxsize=256)
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, Sequence[Field[Any, Any]]]:
    options, quote = model._meta, connection.ops.quote_name
    fields = [_plain(options.get_field(name)) for name in names]
    assigned = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    key = quote(str(_plain(options.pk).column))
    return f"UPDATE {quote(options.db_table)} SET {assigned} WHERE {key} = %s", fields  # noqa: S608  our own names


@lru_cache(maxsize=64)
def _insert(model: type[Model], numbered: bool, count: int) -> tuple[str, Sequence[Field[Any, Any]]]:
    options, quote = model._meta, connection.ops.quote_name
    fields = [_plain(field) for field in options.concrete_fields if not (numbered and field.primary_key)]
    columns = ", ".join(quote(str(field.column)) for field in fields)
    row = f"({', '.join(['%s'] * len(fields))})"
    values = ", ".join([row] * count)
    return f"INSERT INTO {quote(options.db_table)} ({columns}) VALUES {values}", fields  # noqa: S608  our own names


def _plain(field: Any) -> Field[Any, Any]:
    """Raises TypeError for a field whose value is no single parameter of the statement."""
    if not isinstance(field, Field) or hasattr(field, "get_placeholder"):
        raise TypeError(f"{field} is written by Django alone.")
    return field


def _values(row: Model, fields: Sequence[Field[Any, Any]], *, adds: bool) -> list[Any]:
    values = []
    for field in fields:
        value = field.pre_save(row, adds)
        if hasattr(value, "resolve_expression"):
            raise TypeError(f"{field} is to be an expression, which Django alone writes.")
        value = field.get_db_prep_save(value, connection)
        # One size of number: the driver would take the least, and the server make a plan for every mixture of them.
        values.append(Int8(value) if type(value) is int else value)
    return values

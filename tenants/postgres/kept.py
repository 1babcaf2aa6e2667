"""Queries whose text Django makes once: making it again costs more than most of these take to run.

For the few that every payment runs. They are written as any other query is, and read the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from tenants.postgres.direct import run

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class _Made(Generic[M]):
    """`places`: which of the given values each parameter is, None for one of `params` that the query brought itself.
    `loaded` and `annotated`: what the answer's columns are called on an instance, in their order.
    """

    model: type[M]
    sql: str
    places: tuple[int | None, ...]
    params: tuple[Any, ...]
    loaded: tuple[str, ...]
    annotated: tuple[str, ...]
    compiler: SQLCompiler
    converters: Any


class KeptQuery(Generic[M]):
    """`build` makes the query for values of the types in `takes`, in this order; each may stand in it once or more.

    Nothing in `build` may depend on what the values are. Its text is made at the first use, by which time it may need a
    transaction, as `select_for_update` does. Rows are read as Django's own `ModelIterable` does, for one table.
    """

    def __init__(self, build: Callable[..., QuerySet[M, Any]], *takes: type[str] | type[UUID]) -> None:
        self._build, self._takes = build, takes
        self._made: _Made[M] | None = None

    def rows(self, *values: str | UUID) -> list[M]:
        """Instances, in the query's order."""
        made = self._made or self._make()
        given = [one if place is None else values[place] for place, one in zip(made.places, made.params, strict=True)]
        answer, _ = run(made.sql, given)
        width, found = len(made.loaded), []
        for row in made.compiler.apply_converters(answer, made.converters) if made.converters else answer:
            instance = made.model.from_db(connection.alias, made.loaded, row[:width])
            for name, value in zip(made.annotated, row[width:], strict=True):
                setattr(instance, name, value)
            found.append(instance)
        return found

    def get(self, *values: str | UUID) -> M:
        """The one instance. Raises the model's DoesNotExist."""
        for row in self.rows(*values):
            return row
        model: Any = (self._made or self._make()).model
        raise model.DoesNotExist(f"{model._meta.object_name} matching query does not exist.")

    def _make(self) -> _Made[M]:
        stand_ins = [uuid4() if kind is UUID else uuid4().hex for kind in self._takes]
        query = self._build(*stand_ins)
        compiler = query.query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        first, end = compiler.klass_info["select_fields"][0], compiler.klass_info["select_fields"][-1] + 1
        if first or compiler.klass_info.get("related_klass_infos"):
            raise TypeError("Only rows of one table are read here, its own columns first.")
        self._made = _Made(
            model=query.model,
            sql=sql,
            places=tuple(stand_ins.index(one) if one in stand_ins else None for one in params),
            params=tuple(params),
            loaded=tuple(column.target.attname for column, _, _ in compiler.select[:end]),
            annotated=tuple(compiler.annotation_col_map),
            compiler=compiler,
            converters=compiler.get_converters(column for column, _, _ in compiler.select),
        )
        return self._made

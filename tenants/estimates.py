"""Pages of large tables without counting them (A6): `count(*)` over a million rows costs more than the page itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db import connection
from django.db.models import QuerySet
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator  # Django's own has no subscript at run time

CAP = 10_000
"""What a person can page through. Up to here counts are exact; a filtered list that has more shows this many."""


class EstimatedPaginator(_Paginator):
    """The planner's estimate for a whole table, else a count that stops at CAP."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        if not rows.query.where and not rows.query.distinct:
            estimate = estimated_rows(rows.model._meta.db_table)
            if estimate > CAP:
                return estimate
        return rows.order_by()[:CAP].count()


def estimated_rows(table: str) -> int:
    """PostgreSQL's own estimate, kept by ANALYZE and autovacuum; -1 for a table that neither has seen."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [f'"{table}"'])
        row = cursor.fetchone()
    return int(row[0]) if row else -1

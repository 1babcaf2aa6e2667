from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tenants.estimates import CAP, EstimatedPaginator, estimated_rows
from tenants.models import AuditEntry

pytestmark = pytest.mark.django_db


def entries(count: int) -> None:
    now = timezone.now()
    common = {"at": now, "actor_kind": "system", "actor_name": "test", "object_type": "t"}
    AuditEntry.objects.bulk_create(AuditEntry(**common, action=f"a{n % 2}", object_id=str(n)) for n in range(count))


def pages(rows: object) -> EstimatedPaginator:
    return EstimatedPaginator(rows, 50)


def test_small_tables_are_counted_exactly():
    entries(3)
    assert pages(AuditEntry.objects.all()).count == 3
    assert pages(AuditEntry.objects.filter(action="a0")).count == 2
    assert pages([1, 2]).count == 2


def test_large_tables_are_estimated_and_filtered_ones_capped(django_assert_num_queries: DjangoAssertNumQueries):
    entries(CAP + 500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tenants_auditentry")
    assert estimated_rows("tenants_auditentry") >= CAP
    with django_assert_num_queries(1) as asked:
        assert pages(AuditEntry.objects.order_by("-at")).count >= CAP
    assert "count(*)" not in asked.captured_queries[0]["sql"].lower()
    assert pages(AuditEntry.objects.filter(object_type="t")).count == CAP
    assert len(pages(AuditEntry.objects.order_by("id")).page(2).object_list) == 50

"""Statements whose text is kept write what Django would, and see no other rows than its own."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from tenants.database import as_shop, as_system
from tenants.models import AuditEntry, Shop
from tenants.postgres.direct import run
from tenants.postgres.writing import insert_rows, write_fields
from tests.factories.tenants import ShopFactory

SEEN = "SELECT current_user::text, array_agg(shop_id ORDER BY shop_id) FROM tenants_auditentry WHERE action = %s"


def entry(shop_id: str, action: str = "test.written") -> AuditEntry:
    return AuditEntry(
        shop_id=shop_id, at=Now(), actor_kind="system", actor_name="test", action=action, object_type="shop",
        object_id=shop_id, data={"a": [1, None]},
    )  # fmt: skip


def written(shop_id: str) -> AuditEntry:
    row = entry(shop_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        row.at = cursor.fetchone()[0]
    return row


@pytest.mark.django_db
def test_fields_are_written_as_save_does_and_no_others() -> None:
    shop = ShopFactory(id="acme", name="Before")
    shop.name, shop.status = "After", Shop.Status.CLOSED
    write_fields(shop, "name")
    assert Shop.objects.filter(pk="acme").values_list("name", "status").get() == ("After", Shop.Status.ACTIVE)


@pytest.mark.django_db
def test_a_row_that_is_gone_and_an_expression_are_refused() -> None:
    shop = ShopFactory(id="acme", name="Before")
    with pytest.raises(DatabaseError, match="no row"):
        write_fields(Shop(pk="nobody", name="x"), "name")
    shop.name = F("id")
    with pytest.raises(TypeError, match="expression"):
        write_fields(shop, "name")
    with pytest.raises(TypeError, match="expression"):
        insert_rows([entry("acme")])


@pytest.mark.django_db
def test_rows_are_inserted_in_one_statement() -> None:
    ShopFactory(id="acme")
    insert_rows([])
    insert_rows(written("acme") for _ in range(3))
    rows = AuditEntry.objects.filter(action="test.written")
    assert {(row.shop_id, row.actor_name, row.reason, str(row.data)) for row in rows} == {
        ("acme", "test", "", "{'a': [1, None]}")
    }
    assert rows.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_kept_plan_shows_each_shop_its_own_rows() -> None:
    for shop_id in ("acme", "other"):
        ShopFactory(id=shop_id)
        insert_rows([written(shop_id)])
    for _ in range(7):  # often enough for the server to prepare it, under each of them
        for scope, expected in (
            (as_shop("acme"), ("holdfast_web", ["acme"])),
            (as_shop("other"), ("holdfast_web", ["other"])),
            (as_system(), ("holdfast_system", ["acme", "other"])),
        ):
            with scope, transaction.atomic():
                assert run("SELECT 1 WHERE %s = 'x'", ["y"]) == ([], 0)  # begins the transaction
                assert run(SEEN, ["test.written"]) == ([expected], 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%array_agg(shop_id%'")
        assert cursor.fetchone()[0] == 1


@pytest.mark.django_db(transaction=True)
def test_a_scope_that_changes_within_a_transaction_is_followed() -> None:
    for shop_id in ("acme", "other"):
        ShopFactory(id=shop_id)
        insert_rows([written(shop_id)])
    with as_system(), transaction.atomic():
        assert run(SEEN, ["test.written"])[0][0][1] == ["acme", "other"]
        with as_shop("acme"):
            assert run(SEEN, ["test.written"]) == ([("holdfast_web", ["acme"])], 1)
            assert run(SEEN, ["test.written"]) == ([("holdfast_web", ["acme"])], 1)
        assert run(SEEN, ["test.written"])[0][0] == ("holdfast_system", ["acme", "other"])


@pytest.mark.django_db(transaction=True)
def test_a_failure_is_djangos_and_ends_the_transaction() -> None:
    with pytest.raises(DatabaseError), as_system(), transaction.atomic():
        run("SELECT 1 WHERE %s = 'x'", ["y"])
        run("SELECT 1 / (%s::integer)", [0])
    with as_system(), transaction.atomic():
        assert run("SELECT %s::text", ["well"]) == ([("well",)], 1)

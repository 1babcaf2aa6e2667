"""What the database refuses whoever writes: attacked with SQL, past all of our code."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from inventory.holds import commit_hold, release_hold
from inventory.models import Hold, StockMovement
from tests.factories.inventory import StockOwnerFactory, StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import API, NOW, counters, place

pytestmark = pytest.mark.django_db


def sql(statement, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def refused(constraint, statement, *values):
    with pytest.raises(IntegrityError, match=constraint):
        sql(statement, *values)


@pytest.mark.parametrize(
    "change", ["held = 11", "held = -1", "on_hand = -1", "on_hand = 3, held = 4", "held = on_hand + 1"]
)
def test_nothing_is_oversold(change):
    row = StockRowFactory(on_hand=10)
    refused("held_within_on_hand", f"UPDATE inventory_stockrow SET {change} WHERE id = %s", row.pk)
    assert counters(row) == [(10, 0, 10)]


def test_available_can_not_be_written():
    row = StockRowFactory()
    with pytest.raises(DatabaseError, match="available"):
        sql("UPDATE inventory_stockrow SET available = 99 WHERE id = %s", row.pk)


def test_one_row_per_variant():
    row = StockRowFactory()
    refused(
        "stock_row_one_per_variant",
        "INSERT INTO inventory_stockrow (owner_id, sku, variant_key, on_hand, held, low_stock_threshold, created_at)"
        " VALUES (%s, %s, %s, 0, 0, 0, now())",
        row.owner_id,
        row.sku,
        row.variant_key,
    )


def test_an_owner_is_its_shop():
    shop = ShopFactory()
    refused("stock_owner_is_its_shop", "INSERT INTO inventory_stockowner (id, shop_id) VALUES ('else', %s)", shop.pk)


def test_one_counting_hold_per_key():
    row = StockRowFactory()
    one, two = place(row, key="one"), place(row, key="two")
    refused(
        "hold_one_per_key",
        "UPDATE inventory_hold SET active_idempotency_key = 'one' WHERE id = %s",
        two.hold_id,
    )
    commit_hold(shop_id=row.owner_id, hold_id=one.hold_id, reason="", acting=API, now=NOW)
    refused(
        "hold_one_per_key",
        "UPDATE inventory_hold SET active_idempotency_key = 'one' WHERE id = %s",
        two.hold_id,
    )


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("hold_key_while_it_counts", "active_idempotency_key = NULL"),
        ("hold_key_while_it_counts", "status = 'released', finished_at = now()"),
        ("hold_key_while_it_counts", "status = 'gone', finished_at = now()"),
        ("hold_finished_when_not_active", "finished_at = now()"),
        ("hold_finished_when_not_active", "status = 'committed'"),
        ("hold_ttl_bounds", "ttl_seconds = 59"),
        ("hold_ttl_bounds", "ttl_seconds = 3601"),
        ("hold_held_for_known", "held_for = 'fun'"),
    ],
)
def test_a_hold_makes_sense(constraint, change):
    placed = place(StockRowFactory())
    refused(constraint, f"UPDATE inventory_hold SET {change} WHERE id = %s", placed.hold_id)


@pytest.mark.parametrize("ended", ["committed", "released"])
@pytest.mark.parametrize(
    "change",
    [
        "status = 'active', finished_at = NULL, active_idempotency_key = 'k'",
        "status = 'expired', active_idempotency_key = NULL",
        "status = CASE status WHEN 'released' THEN 'committed' ELSE 'released' END,"
        " active_idempotency_key = CASE status WHEN 'released' THEN 'k' END",
        "finished_at = now()",
        "expires_at = now()",
        "lines_digest = 'x'",
        "shop_id = 'x'",
    ],
)
def test_a_hold_ends_once(ended, change):
    row = StockRowFactory()
    placed = place(row)
    end = commit_hold if ended == "committed" else release_hold
    end(shop_id=row.owner_id, hold_id=placed.hold_id, reason="", acting=API, now=NOW)
    before = Hold.objects.values().get()
    with pytest.raises(DatabaseError, match="can not change any more"):
        sql(f"UPDATE inventory_hold SET {change} WHERE id = %s", placed.hold_id)
    assert Hold.objects.values().get() == before


@pytest.mark.parametrize("quantity", [0, -1])
def test_an_item_holds_something(quantity):
    place(StockRowFactory())
    refused("hold_item_positive|quantity_check", "UPDATE inventory_holditem SET quantity = %s", quantity)


def test_an_item_belongs_to_its_holds_shop():
    place(StockRowFactory())
    other = ShopFactory()
    refused("hold_item_of_its_shop", "UPDATE inventory_holditem SET shop_id = %s", other.pk)


def test_a_movement_belongs_to_its_rows_owner():
    row, other = StockRowFactory(), StockOwnerFactory()
    insert = (
        "INSERT INTO inventory_stockmovement"
        " (owner_id, stock_row_id, delta, on_hand_after, reason, reference, actor, note, request_id, at)"
        " VALUES (%s, %s, %s, %s, %s, '', '', '', '', now())"
    )
    refused("movement_of_its_owner", insert, other.pk, row.pk, 1, 1, "sale")
    refused("movement_moves_something", insert, row.owner_id, row.pk, 0, 1, "sale")
    refused("movement_leaves_no_debt", insert, row.owner_id, row.pk, -1, -1, "sale")
    refused("movement_reason_known", insert, row.owner_id, row.pk, 1, 1, "whim")


@pytest.mark.parametrize(
    "statement", ["UPDATE inventory_stockmovement SET delta = 5", "DELETE FROM inventory_stockmovement"]
)
def test_movements_are_append_only(statement):
    StockRowFactory()
    refused("append-only", statement)
    assert StockMovement.objects.count() == 1


def test_movements_can_not_be_truncated():
    refused("append-only", "TRUNCATE inventory_stockmovement CASCADE")


def test_a_counters_update_touches_no_index():
    """Room on the page and no index on the counters: what keeps a hot row fast."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'inventory_stockrow'")
        assert cursor.fetchone() == (["fillfactor=50"],)
        cursor.execute(
            "SELECT a.attname FROM pg_index i"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
            " WHERE i.indrelid = 'inventory_stockrow'::regclass AND a.attname IN ('on_hand', 'held', 'available')"
        )
        assert cursor.fetchall() == []

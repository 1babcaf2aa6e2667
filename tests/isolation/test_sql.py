"""SQL that forgot everything: the application's login, as the web role of one shop, tries the other shop's rows (T9).

Tables, columns and keys come from PostgreSQL's catalog, so that a new table is tried from its first day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, RestrictViolation

from inventory.models import Hold, StockMovement
from tenants.database import SHOP_SETTING, WEB_ROLE
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.fixtures.standin import StandIn
from tests.isolation.sides import World
from tests.isolation.world import build

Row = dict[str, Any]

# Two shops see these at once: the rows and owners that both have a route to.
SHARED = {"inventory_stockrow", "inventory_stockowner"}

# Unique keys that don't begin with the shop, of tables that the web role writes: a taken value can be told from a free
# one there. Index → what one has to know already to ask. Primary keys are numbers, or random like these ids.
TELLING = {
    "attempt_one_per_session": "The id of a Stripe session, a secret of 58 characters.",
    "subscribe_one_per_session": "The same.",
    "cart_line_one_per_variant_and_period": "The random id of a cart.",
    "checkout_checkoutattempt_hold_id_key": "The random id of a hold.",
    "checkout_checkoutattempt_order_id_key": "The random id of an order.",
    "checkout_shortage_order_id_key": "The random id of an order.",
    "commerce_order_hold_id_key": "The random id of a hold.",
    "commerce_rental_order_id_key": "The random id of an order.",
    "commerce_rentalclearing_rental_id_key": "The random id of a rental.",
    "commerce_rentalline_order_line_id_key": "The random id of an order's line.",
    "hold_item_one_per_row": "The random id of a hold.",
    "hold_period_once": "The random id of a hold.",
    "order_line_position": "The random id of an order.",
    "order_one_per_session": "The id of a Stripe session.",
    "charge_one_per_intent": "The id of a payment at Stripe.",
    "refund_one_per_object": "The id of a refund at Stripe.",
    "stripe_object_one_shop": "The id of an object at Stripe; that it is one shop's alone is what the key is for.",
}


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[str, ...]
    """Those that can be written."""
    key: str


@pytest.fixture
def world(transactional_db: None, standin: StandIn) -> World:
    return build(standin)


@pytest.fixture
def login(world: World) -> Iterator[psycopg.Connection[Any]]:
    own = connection.settings_dict
    given = {"host": own["HOST"] or own["OPTIONS"].get("host"), "port": own["PORT"], "dbname": own["NAME"]}
    with psycopg.connect(user="holdfast_app", **{name: value for name, value in given.items() if value}) as login:
        yield login
        login.rollback()


def tables() -> list[Table]:
    """Every relation that has rows, whatever its kind and whoever made it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname,
                   array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
                   coalesce(min(a.attname::text) FILTER (WHERE a.attnum = ANY (i.indkey)), 'ctid')
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            GROUP BY c.relname ORDER BY c.relname
            """
        )
        return [Table(name, tuple(columns), key) for name, columns, key in cursor.fetchall()]


class Intruder:
    """Works as one shop, one transaction per statement, and leaves nothing behind."""

    def __init__(self, login: psycopg.Connection[Any], shop_id: str) -> None:
        self._login, self._shop_id = login, shop_id

    def tries(self, statement: sql.Composable | str, *values: Any) -> list[Any] | int | None:
        """Rows, or how many were changed; None where a policy, a missing right or a trigger refuses."""
        try:
            with self._login.transaction(force_rollback=True):
                scope = f"SELECT set_config('role', '{WEB_ROLE}', true), set_config('{SHOP_SETTING}', %s, true)"
                self._login.execute(scope, [self._shop_id])
                done = self._login.execute(statement, values)  # type: ignore[arg-type]
                return done.fetchall() if done.description else done.rowcount
        except (InsufficientPrivilege, RestrictViolation):
            return None

    def sees(self, table: Table) -> dict[str, Row]:
        """Every row of the table that is to be seen, by its key."""
        rows = self.tries(
            sql.SQL("SELECT {}::text, to_jsonb(t) FROM {} t").format(
                sql.Identifier(table.key), sql.Identifier(table.name)
            )
        )
        return dict(rows) if isinstance(rows, list) else {}

    def inserts(self, table: Table, row: Row) -> list[Any] | int | None:
        return self.tries(
            sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s)")
            .format(table=sql.Identifier(table.name), columns=names(table.columns)),
            json.dumps(row),
        )  # fmt: skip

    def turns_into(self, table: Table, key: str, row: Row) -> list[Any] | int | None:
        """Its own row made into one that is `row` in all but the key."""
        columns = [column for column in table.columns if column != table.key]
        return self.tries(
            sql.SQL(
                "UPDATE {table} t SET ({columns}) = (SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s))"
                " WHERE {key}::text = %s"
            ).format(table=sql.Identifier(table.name), columns=names(columns), key=sql.Identifier(table.key)),
            json.dumps(row),
            key,
        )

    def changes(self, table: Table, column: str, key: str) -> list[Any] | int | None:
        return self.tries(
            sql.SQL("UPDATE {table} SET {column} = {column} WHERE {key}::text = %s").format(
                table=sql.Identifier(table.name), column=sql.Identifier(column), key=sql.Identifier(table.key)
            ),
            key,
        )

    def deletes(self, table: Table, key: str) -> list[Any] | int | None:
        where = sql.SQL("DELETE FROM {} WHERE {}::text = %s")
        return self.tries(where.format(sql.Identifier(table.name), sql.Identifier(table.key)), key)


def names(columns: Any) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


def test_no_statement_reaches_another_shops_row(world: World, login: psycopg.Connection[Any]):
    here, there = Intruder(login, world.here.shop_id), Intruder(login, world.there.shop_id)
    before, tried, got_through = world.untouched(), set[str](), list[str]()
    for table in tables():
        mine, theirs = here.sees(table), there.sees(table)
        both = mine.keys() & theirs.keys()
        if both and table.name not in SHARED:
            got_through.append(f"{table.name}: both shops see {sorted(both)[:3]}")
        assert not Intruder(login, "").sees(table), f"{table.name} has rows for nobody"
        for key, row in [(key, row) for key, row in theirs.items() if key not in both][:3]:
            tried.add(table.name)
            attempts = {
                "insert": here.inserts(table, row),
                "delete": here.deletes(table, key),
                **{f"update {column}": here.changes(table, column, key) for column in table.columns},
                **{f"turn {own} into": here.turns_into(table, own, row) for own in list(mine)[:2]},
            }
            got_through += [f"{table.name} {key}: {what}" for what, done in attempts.items() if done]
    assert got_through == []
    assert tried >= {
        "tenants_shop",
        "commerce_order",
        "inventory_hold",
        "inventory_poolroute",
        "checkout_checkoutattempt",
    }
    assert world.untouched() == before


def test_a_pools_row_is_sold_from_and_nothing_else(world: World, login: psycopg.Connection[Any]):
    here = Intruder(login, world.here.shop_id)
    far = StockRowFactory(owner=PoolFactory(id="pool:of-the-other"), sku="FAR", on_hand=7)
    PoolRouteFactory(shop=world.there.trade.shop, sku="far", stock_row=far)
    near = StockMovement.objects.filter(for_shop_id=world.here.shop_id).first()
    assert here.tries("SELECT id FROM inventory_stockrow WHERE id = %s", far.pk) == []
    assert here.tries("SELECT id FROM inventory_stockowner WHERE id = %s", far.owner_id) == []

    movement = """INSERT INTO inventory_stockmovement (owner_id, stock_row_id, for_shop_id, delta, on_hand_after,
        reason, reference, actor, note, request_id, at) VALUES (%s, %s, %s, -1, 6, 'sale', 'x', 'x', '', '', now())"""
    assert here.tries(movement, far.owner_id, far.pk, world.here.shop_id) is None, "a ledger that it has no route to"
    assert near is None or here.tries(movement, near.owner_id, near.stock_row_id, world.here.shop_id) == 1

    routed = "(SELECT stock_row_id FROM inventory_poolroute)"
    for taken in ("owner_id = current_setting('holdfast.shop')", "sku = 'mine'", "variant_key = 'mine'"):
        assert here.tries(f"UPDATE inventory_stockrow SET {taken} WHERE id IN {routed}") is None, taken
    assert here.tries(f"DELETE FROM inventory_stockrow WHERE id IN {routed}") is None
    assert here.tries("UPDATE inventory_poolroute SET allocation_cap = NULL") is None
    assert here.tries(f"UPDATE inventory_stockrow SET held = held + 1 WHERE id IN {routed}") == 1


def test_functions_have_their_callers_rights_and_find_nothing_of_others(world: World, login: psycopg.Connection[Any]):
    here = Intruder(login, world.here.shop_id)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
            UNION ALL
            SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
               AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'
            """
        )
        assert cursor.fetchall() == [], "runs with its owner's rights, whom no policy binds"
    theirs = list(Hold.objects.for_shop(world.there.shop_id).values_list("pk", flat=True))
    assert theirs
    finish = "SELECT * FROM inventory_holds_finish(%s, 'released', 'r', 'a', now(), '', 1000)"
    assert here.tries(finish, theirs) == []
    reap = "SELECT inventory_holds_reap(%s, now() + interval '1 year', 100, '{}', 'r', 'a', 1000)"
    assert here.tries(reap, world.there.shop_id) == [(0,)]
    together = (
        "SELECT o_wish FROM inventory_holds_place_together"
        "(%s, %s, '{k}', '{d}', '{60}', ARRAY[now()], ARRAY[''], '{1}', %s, '{1}', 1000)"
    )
    assert here.tries(together, world.there.shop_id, [uuid4()], ["POOLED"]) == []
    place = "SELECT o_answer FROM inventory_hold_place(%s, %s, 'k', 'd', %s, %s, 'direct', 60, now(), '', 1000)"
    assert here.tries(place, world.there.shop_id, uuid4(), ["POOLED"], [1]) in ([("closed",)], None)


def test_a_key_that_tells_what_another_shop_has_is_argued_for(db: None):
    """A unique key is checked past every policy: whoever may insert learns that a value is taken."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.indexrelid::regclass::text
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND NOT i.indisprimary
              AND has_any_column_privilege(%s, c.oid, 'INSERT, UPDATE')
              AND coalesce(a.attname NOT IN ('shop_id', 'owner_id'), true)
            ORDER BY 1
            """,
            [WEB_ROLE],
        )
        assert {name for (name,) in cursor.fetchall()} == TELLING.keys()

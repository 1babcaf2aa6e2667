"""A row of a shop refers to rows of its own shop alone, and the database sees to it (T9), whoever writes.

The references come from the models and what enforces them from PostgreSQL's catalog, so that a new one is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ForeignKey, Model

from commerce.models import Cart, Order
from tenants.models import Shop
from tenants.scoping import OwnerQuerySet, ShopQuerySet, path_to_shop
from tests.fixtures.standin import StandIn
from tests.isolation.sides import OURS, World
from tests.isolation.world import build

# `model.field` → why the shop is no part of the key.
ARGUED = {
    "inventory.HoldItem.route": "By (shop, route, row); tests/inventory/test_pools.py. None is deleted: no index.",
    "inventory.HoldItem.stock_row": "Without a route by (own_shop, row), with one by the route's key; same tests.",
    "inventory.PoolRoute.pool": "A pool is no shop's: a check constraint says that it is a pool.",
    "inventory.PoolRoute.stock_row": "By (pool, row): the row is the pool's.",
    "webhooks.EventDelivery.event": "A delivery is its host's, an event its account's: that they differ is a verdict.",
}


@dataclass(frozen=True)
class Reference:
    """A foreign key between two tables of shops: its columns, and those that hold the shop on either side."""

    field: ForeignKey[Any, Any]
    shop: str | None
    target_shop: str | None

    def __str__(self) -> str:
        return f"{self.field.model._meta.label}.{self.field.name}"

    @property
    def table(self) -> str:
        return self.field.model._meta.db_table

    @property
    def target(self) -> str:
        return self.field.related_model._meta.db_table


def shop_column(model: type[Model]) -> str | None:
    """The column that says whose a row is: `shop_id`, for stock `owner_id`; None where a row doesn't say."""
    names = {field.attname for field in model._meta.local_fields}
    if isinstance(model._default_manager.all(), OwnerQuerySet):
        return "owner_id"
    return "shop_id" if "shop_id" in names else None


def is_a_shops(model: type[Model]) -> bool:
    if model is Shop or model._meta.proxy:
        return False
    scoped = isinstance(model._default_manager.all(), ShopQuerySet)
    return scoped or shop_column(model) is not None or path_to_shop(model) is not None


def references(found: list[type[Model]]) -> list[Reference]:
    """Every reference between two of these tables that are shops', but for the one that says whose a row is."""
    return [
        Reference(field, shop_column(model), shop_column(field.related_model))
        for model in found
        for field in model._meta.local_fields
        if isinstance(field, ForeignKey)
        and is_a_shops(model)
        and is_a_shops(field.related_model)
        and field.column != shop_column(model)
    ]


def keys(reference: Reference) -> list[tuple[str, bool, bool]]:
    """`(name, deferred, the shop is never null)` of every foreign key on exactly (shop, column)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.conname, c.condeferrable AND c.condeferred AND c.convalidated, shop.attnotnull
            FROM pg_constraint c
            JOIN pg_attribute shop ON shop.attrelid = c.conrelid AND shop.attname = %(shop)s
            JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attname = %(column)s
            JOIN pg_attribute their_shop ON their_shop.attrelid = c.confrelid AND their_shop.attname = %(target_shop)s
            JOIN pg_attribute theirs ON theirs.attrelid = c.confrelid AND theirs.attname = %(target_column)s
            WHERE c.contype = 'f' AND c.conrelid = %(table)s::regclass AND c.confrelid = %(target)s::regclass
              AND c.conkey = ARRAY[shop.attnum, own.attnum] AND c.confkey = ARRAY[their_shop.attnum, theirs.attnum]
            """,
            {
                "table": reference.table, "target": reference.target, "shop": reference.shop,
                "target_shop": reference.target_shop, "column": reference.field.column,
                "target_column": reference.field.target_field.column,
            },
        )  # fmt: skip
        return cursor.fetchall()


def unguarded(reference: Reference) -> str | None:
    """What is missing for the database to keep a reference within its shop; None when nothing is."""
    if reference.shop is None or reference.target_shop is None:
        return "one of the two has no column for the shop"
    if reference.field.db_constraint:
        return "the single-column key is still there: db_constraint=False, and the pair by RunSQL"
    found = keys(reference)
    if not found:
        return f"no foreign key on ({reference.shop}, {reference.field.column})"
    if not any(deferred and whole for _, deferred, whole in found):
        return "the key isn't deferred, or its shop may be null and then nothing is checked"
    return None


def of_the_project() -> list[Reference]:
    tables = [model for app in OURS for model in apps.get_app_config(app).get_models(include_auto_created=True)]
    return references(tables)


@pytest.mark.django_db
def test_every_reference_between_tables_of_shops_names_the_shop():
    found = of_the_project()
    assert len(found) >= 14
    missing = {str(reference): what for reference in found if (what := unguarded(reference))}
    assert {name: what for name, what in missing.items() if name not in ARGUED} == {}
    assert ARGUED.keys() - missing.keys() == set(), "guarded now: take it off the list"


@pytest.mark.django_db
def test_a_reference_without_the_shop_is_found():
    """The rule bites: on a table with Django's own key, on one with none, and on one whose rows name no shop."""

    class Parcel(models.Model):  # noqa: DJ008
        shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="+")
        order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
        cart = models.ForeignKey(Cart, on_delete=models.PROTECT, related_name="+", db_constraint=False)

        class Meta:
            app_label = "commerce"
            apps = type(apps)()  # a registry of its own: no other test meets this table

    class Label(models.Model):  # noqa: DJ008
        parcel = models.ForeignKey(Parcel, on_delete=models.PROTECT, related_name="+")

        class Meta:
            app_label = "commerce"
            apps = Parcel._meta.apps

    with connection.schema_editor() as editor:
        editor.create_model(Parcel)
    assert {str(reference): unguarded(reference) for reference in references([Parcel, Label])} == {
        "commerce.Parcel.order": "the single-column key is still there: db_constraint=False, and the pair by RunSQL",
        "commerce.Parcel.cart": "no foreign key on (shop_id, cart_id)",
        "commerce.Label.parcel": "one of the two has no column for the shop",
    }


@pytest.mark.django_db
def test_a_check_of_a_reference_has_an_index_on_either_side():
    """What PostgreSQL asks when a row is written (its target) and when a target goes (who refers to it)."""
    bare = []
    for reference in of_the_project():
        if str(reference) in ARGUED:
            continue
        target = reference.field.target_field.column
        sides = [
            (reference.target, reference.target_shop, target),
            (reference.table, reference.shop, reference.field.column),
        ]
        bare += [f"{table}: ({shop}, {key})" for table, shop, key in sides if not _finds(table, shop, key)]
    assert bare == []


def _finds(table: str, shop: str | None, key: str) -> bool:
    """Whether an index of the whole table begins with `key`, or with the shop and then `key`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT array_agg(a.attname ORDER BY k.position)
            FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = %s::regclass AND i.indpred IS NULL GROUP BY i.indexrelid
            """,
            [table],
        )
        found = [columns for (columns,) in cursor.fetchall()]
    return any(columns[0] == key or columns[:2] == [shop, key] for columns in found)


@pytest.fixture
def world(transactional_db: None, standin: StandIn) -> World:
    return build(standin)


def test_no_row_is_attached_to_another_shops(world: World):
    """Every guarded reference, by SQL past all of our code: this shop's row pointed at the other shop's.

    Rows of the other shop that a unique key would meet are out of the way, so that nothing but the shop is wrong.
    """
    before = world.untouched()
    for reference in of_the_project():
        if str(reference) in ARGUED:
            continue
        model, name = reference.field.model, reference.field.name
        row = world.here.rows(model).filter(**{f"{name}__isnull": False}).first()
        theirs = world.there.rows(reference.field.related_model).first()
        assert row and theirs, f"tests/isolation/business.py: a row with {reference}, in both shops"
        ((key, _, _),) = keys(reference)
        with pytest.raises(IntegrityError, match=f'"{key}"'), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {reference.table} DISABLE TRIGGER USER")  # append-only, one direction
            cursor.execute(f"DELETE FROM {reference.table} WHERE {reference.shop} = %s", [world.there.shop_id])
            change = f"UPDATE {reference.table} SET {reference.field.column} = %s WHERE id = %s"
            cursor.execute(change, [theirs.pk, row.pk])
            assert cursor.rowcount == 1
            cursor.execute(f"SET CONSTRAINTS {key} IMMEDIATE")
    assert world.untouched() == before


def test_no_row_is_moved_away_from_what_refers_to_it(world: World):
    """The other end: an order given to another shop while its lines stay."""
    order = world.here.rows(Order).first()
    with pytest.raises(IntegrityError, match="_of_its_shop"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE commerce_order SET shop_id = %s WHERE id = %s", [world.there.shop_id, order.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    order.refresh_from_db()
    assert order.shop_id == world.here.shop_id

"""PostgreSQL keeps shops apart underneath the ORM: a forgotten filter, or a forgotten scope, finds nothing (T9)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from commerce.models import Cart, Product
from config.checks import check_login
from inventory.holds import Line, place_hold
from inventory.models import Hold, StockRow
from tenants.audit import Actor
from tenants.context import bind_shop, load_shop
from tenants.database import SYSTEM_ROLE, WEB_ROLE, as_shop, as_system, in_shop_tx, shop_tx
from tenants.models import AuditEntry, Shop
from tests.factories.commerce import ProductFactory
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory

pytestmark = pytest.mark.django_db
TESTER = Actor("system", "test")

# Tables of the platform, which no shop's rows are in: name → why the web role has no right there, or what it may read.
GLOBAL = {
    "tenants_frontdoortoken": "Which edges are trusted is asked before any shop is known.",
    "webhooks_eventcursor": "How far a Stripe account's events were listed; the platform's account is all shops'.",
    "webhooks_eventdelivery": "Deliveries are recorded before their event has a shop.",
    "inventory_inventoryrun": "A run of the reaper or of the proof spans shops.",
}


@pytest.fixture
def two() -> tuple[Shop, Shop]:
    """Two shops with a product and a stock row each."""
    shops = ShopFactory(id="acme"), ShopFactory(id="other")
    for shop in shops:
        ProductFactory(shop=shop, sku=f"{shop.pk}-1")
        StockRowFactory(owner__id=shop.pk, owner__shop=shop, sku="A", variant_key="A", on_hand=5)
    return shops


def own_models() -> list[type[Model]]:
    places = ("tenants", "inventory", "commerce", "checkout", "webhooks")
    return [model for model in apps.get_models() if model._meta.app_label in places and not model._meta.proxy]


@pytest.mark.parametrize("model", own_models(), ids=lambda model: model._meta.db_table)
def test_every_table_is_kept_or_is_global_for_a_reason(model: type[Model]):
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", [table])
        (kept,) = cursor.fetchone()
        cursor.execute("SELECT unnest(roles)::text, qual FROM pg_policies WHERE tablename = %s", [table])
        policies = dict(cursor.fetchall())
        cursor.execute("SELECT has_any_column_privilege(%s, %s, 'SELECT, INSERT, UPDATE')", [WEB_ROLE, table])
        (open_to_web,) = cursor.fetchone()
    if table in GLOBAL:
        assert not open_to_web
        return
    assert kept, "its migration says rows_of_a_shop(…), or GLOBAL above says why not"
    assert policies[SYSTEM_ROLE] == "true"
    assert "current_setting('holdfast.shop'" in policies[WEB_ROLE]


def test_a_forgotten_filter_finds_the_own_shop_alone(two: tuple[Shop, Shop]):
    with as_shop("acme"):
        assert [product.shop_id for product in Product.objects.all()] == ["acme"]
        assert [row.owner_id for row in StockRow.objects.all()] == ["acme"]
        assert [shop.pk for shop in Shop.objects.all()] == ["acme"]
        assert StockRow.objects.update(low_stock_threshold=3) == 1
        assert Hold.objects.all().delete()[0] == 0
    assert Product.objects.count() == 2, "the test itself is the owner, and sees everything"
    assert list(StockRow.objects.order_by("owner_id").values_list("low_stock_threshold", flat=True)) == [3, 0]


def test_another_shops_row_can_not_be_written(two: tuple[Shop, Shop]):
    with as_shop("acme"), pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
        Cart.objects.create(shop_id="other")
    with as_shop("acme"), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        StockRow.objects.update(owner_id="other")
    assert not Cart.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tenants_frontdoortoken",
        "SELECT * FROM webhooks_stripeevent",
        "SELECT * FROM tenants_membership",
        "UPDATE tenants_shop SET name = 'mine'",
        "UPDATE inventory_stockmovement SET delta = 1",
        "DELETE FROM commerce_journalline",
        "TRUNCATE commerce_cart",
        "SELECT * FROM auth_user",
    ],
)
def test_a_shops_scope_has_no_right_to_what_is_not_its_business(two: tuple[Shop, Shop], statement: str):
    refused = pytest.raises(ProgrammingError, match="permission denied")
    with as_shop("acme"), connection.cursor() as cursor, refused, transaction.atomic():
        cursor.execute(statement)


def test_the_system_sees_all_shops_and_owns_nothing(two: tuple[Shop, Shop]):
    with as_system(), connection.cursor() as cursor:
        assert Product.objects.count() == 2
        with pytest.raises(ProgrammingError, match="must be owner"), transaction.atomic():
            cursor.execute("ALTER TABLE commerce_product DISABLE ROW LEVEL SECURITY")


def test_a_bound_shop_is_the_databases_too(two: tuple[Shop, Shop]):
    with bind_shop(load_shop("other")):
        assert Product.objects.get().sku == "other-1"
        with pytest.raises(RuntimeError, match="can't turn to acme"), as_shop("acme"):
            pass
    with bind_shop(None):
        assert Product.objects.count() == 2


@pytest.mark.parametrize("shop_id", ["", "ACME", "a'b", "acme'; DROP TABLE commerce_cart; --", "a\nb", "x" * 64])
def test_only_a_shops_id_becomes_part_of_a_statement(shop_id: str):
    with pytest.raises(ValueError, match="no shop's id"), as_shop(shop_id):
        pass


class TestScopesFollowTransactions:
    def test_savepoints_and_errors_take_the_scope_back_with_them(self, two: tuple[Shop, Shop]):
        with transaction.atomic():
            with as_system():
                assert Product.objects.count() == 2
            with as_shop("acme"), pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
            with as_shop("acme"):
                assert Product.objects.get().shop_id == "acme"
                with pytest.raises(ZeroDivisionError), transaction.atomic():
                    Product.objects.count()
                    raise ZeroDivisionError
                assert Product.objects.get().shop_id == "acme"
            assert Product.objects.count() == 2

    @pytest.mark.django_db(transaction=True)
    def test_nothing_of_it_stays_on_the_connection(self, two: tuple[Shop, Shop]):
        setting = "SELECT current_user, current_setting('holdfast.shop', true)"
        with connection.cursor() as cursor:
            cursor.execute(setting)
            (owner, _) = cursor.fetchone()
            with as_shop("acme"):
                cursor.execute(setting)
                assert cursor.fetchone() == (WEB_ROLE, "acme")
                cursor.execute("SELECT %s::text", ["100 % of 'it'"])
                assert cursor.fetchone() == ("100 % of 'it'",)
            with shop_tx("other"):
                cursor.execute(setting)
                assert cursor.fetchone() == (WEB_ROLE, "other")
            cursor.execute(setting)
            assert cursor.fetchone() == (owner, "")

    @pytest.mark.django_db(transaction=True)
    def test_a_scope_is_not_another_threads(self, two: tuple[Shop, Shop]):
        seen: list[int] = []

        def count() -> None:
            seen.append(Product.objects.count())
            connection.close()

        with as_shop("acme"):
            thread = threading.Thread(target=count)
            thread.start()
            thread.join(20)
        assert seen == [2]

    def test_it_costs_no_statement(self, two: tuple[Shop, Shop]):
        with CaptureQueriesContext(connection) as asked, as_shop("acme"):
            assert Product.objects.get().shop_id == "acme"
            assert StockRow.objects.get().owner_id == "acme"
        assert len(asked) == 2
        assert [str(query["sql"]).count("set_config") for query in asked.captured_queries] == [2, 0]

    def test_a_statement_for_many_can_not_begin_one(self, two: tuple[Shop, Shop]):
        with as_shop("acme"), connection.cursor() as cursor, pytest.raises(TypeError):
            cursor.executemany("UPDATE inventory_stockrow SET low_stock_threshold = %s", [[1], [2]])


@pytest.mark.django_db(transaction=True)
def test_a_verb_is_lowered_to_its_shop_whoever_calls(two: tuple[Shop, Shop]):
    @in_shop_tx
    def rows(*, shop_id: str) -> list[str]:
        return [row.owner_id for row in StockRow.objects.all()]

    with as_system():
        assert rows(shop_id="acme") == ["acme"]
        placed = place_hold(shop_id="acme", key="k", lines=[Line("A", "A", 2)], ttl_seconds=60, acting=TESTER)
        assert Hold.objects.get().pk == placed.hold_id
        assert AuditEntry.objects.count() == 0
    with as_shop("other"):
        assert not Hold.objects.exists()


class TestTheApplicationsLogin:
    """As production connects, and `dev.py up`: a login that owns nothing and takes what its scope gives it."""

    @pytest.fixture
    def ask(self, two: tuple[Shop, Shop], transactional_db: None) -> Callable[..., list[Any]]:
        own = connection.settings_dict
        given = {"host": own["HOST"] or own["OPTIONS"].get("host"), "port": own["PORT"], "dbname": own["NAME"]}
        given = {name: value for name, value in given.items() if value}

        def run(statement: str, scope: str = "") -> list[Any]:
            with psycopg.connect(user="holdfast_app", **given) as login:
                if scope:
                    login.execute(scope)
                return login.execute(statement).fetchall()

        return run

    def test_without_a_scope_it_may_nothing(self, ask: Callable[..., list[Any]]):
        for table in ("commerce_product", "tenants_host", "auth_user", "django_session"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ask(f"SELECT * FROM {table}")

    def test_with_one_it_may_what_that_says(self, ask: Callable[..., list[Any]]):
        web = "SELECT set_config('role', 'holdfast_web', true), set_config('holdfast.shop', 'acme', true)"
        assert ask("SELECT shop_id FROM commerce_product", web) == [("acme",)]
        assert ask("SELECT count(*) FROM commerce_product", "SET LOCAL ROLE holdfast_web") == [(0,)]
        assert ask("SELECT count(*) FROM commerce_product", "SET LOCAL ROLE holdfast_system") == [(2,)]


def test_a_check_tells_which_logins_it_binds(db: None, settings: Settings):
    settings.ENVIRONMENT = "production"
    assert [found.id for found in check_login()] == ["holdfast.W023"], "the owner, who runs the tests, sees everything"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {WEB_ROLE}")
        assert [found.id for found in check_login()] == ["holdfast.E022"]

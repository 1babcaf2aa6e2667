"""Holds through routes (I9): the same engine and the same guarantees, with a pool's row underneath."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import IntegrityError, connection, transaction

from inventory.availability import available_by_key, available_for_skus
from inventory.errors import HoldNotFound, InsufficientStock, StockHeld
from inventory.holds import Line, commit_hold, extend_hold, place_hold, release_hold
from inventory.models import Hold, HoldItem, PoolRoute, StockMovement
from inventory.reaper import run_once
from inventory.stock import adjust_stock, holders_of, recount_stock, return_stock_within, take_stock_within
from inventory.verify import verify_stock
from tests.factories.inventory import PoolRouteFactory, StockRowFactory
from tests.inventory.steps import API, NOW, STAFF, counters, place
from tests.inventory.test_contention import together

pytestmark = pytest.mark.django_db


def through(route, quantity=1, *, key="k", now=NOW, ttl_seconds=1200):
    """A hold of the route's variant."""
    line = Line(route.sku, route.variant_key, quantity)
    return place_hold(shop_id=route.shop_id, key=key, lines=[line], ttl_seconds=ttl_seconds, acting=API, now=now)


def allocation(*routes):
    """(held, sold) per route."""
    return [PoolRoute.objects.values_list("held", "sold").get(pk=route.pk) for route in routes]


def sql(statement, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def two():
    """Two shops that sell one row of a pool, each under a SKU of its own."""
    one = PoolRouteFactory()
    return one, PoolRouteFactory(stock_row=one.stock_row)


# ---------------------------------------------------------------- one engine
def test_two_shops_hold_one_row_and_each_ends_its_own(two):
    one, other = two
    first, second = through(one, 4), through(other, 5)
    assert counters(one.stock_row) == [(10, 9, 1)]
    assert allocation(one, other) == [(4, 0), (5, 0)]
    with pytest.raises(InsufficientStock) as short:
        through(one, 2, key="more")
    assert [(item.sku, item.variant_key, item.requested, item.available) for item in short.value.items] == [
        (one.sku, one.variant_key, 2, 1)
    ], "in the shop's own words"
    for verb in (release_hold, commit_hold):
        with pytest.raises(HoldNotFound):
            verb(shop_id=other.shop_id, hold_id=first.hold_id, reason="", acting=API)

    release_hold(shop_id=one.shop_id, hold_id=first.hold_id, reason="", acting=API)
    commit_hold(shop_id=other.shop_id, hold_id=second.hold_id, reason="", acting=API)

    assert counters(one.stock_row) == [(5, 0, 5)]
    assert allocation(one, other) == [(0, 0), (0, 5)]
    sale = StockMovement.objects.get(stock_row=one.stock_row, reason="sale")
    assert (sale.owner_id, sale.for_shop_id, sale.delta, sale.reference) == (
        one.pool_id, other.shop_id, -5, str(second.hold_id),
    )  # fmt: skip
    assert verify_stock().clean


def test_a_cart_mixes_the_pool_with_own_stock():
    route = PoolRouteFactory()
    own = StockRowFactory(owner__shop=route.shop)
    lines = [Line(route.sku, route.variant_key, 2), Line(own.sku, own.variant_key, 3)]
    hold = place(own, lines=lines)
    assert counters(route.stock_row, own) == [(10, 2, 8), (10, 3, 7)]
    assert place(own, lines=lines).idempotent_hit
    commit_hold(shop_id=route.shop_id, hold_id=hold.hold_id, reason="", acting=API)
    assert counters(route.stock_row, own) == [(8, 0, 8), (7, 0, 7)]
    movements = StockMovement.objects.filter(reason="sale").order_by("owner_id").values_list("owner_id", "for_shop_id")
    assert list(movements) == [(route.pool_id, route.shop_id), (own.owner_id, None)]


def test_own_stock_of_a_routed_variant_is_left_alone():
    route = PoolRouteFactory()
    own = StockRowFactory(owner__shop=route.shop, sku=route.sku)
    through(route, 10)
    assert counters(route.stock_row, own) == [(10, 10, 0), (10, 0, 10)]
    with pytest.raises(InsufficientStock):
        through(route, 1, key="next")


def test_a_route_that_has_ended_finishes_what_it_began(two):
    one, _ = two
    own = StockRowFactory(owner__shop=one.shop, sku=one.sku)
    hold = through(one, 4)
    PoolRoute.objects.filter(pk=one.pk).update(enabled=False)
    through(one, 3, key="after")
    assert counters(one.stock_row, own) == [(10, 4, 6), (10, 3, 7)]
    commit_hold(shop_id=one.shop_id, hold_id=hold.hold_id, reason="", acting=API)
    assert counters(one.stock_row) == [(6, 0, 6)]
    assert allocation(one) == [(0, 4)]


def test_expiry_revival_and_extension_are_those_of_every_hold(two):
    one, other = two
    late = NOW + timedelta(hours=1)
    mine, theirs = through(one, 2), through(other, 3)
    assert through(one, 2, now=late).hold_id == mine.hold_id
    extend_hold(shop_id=one.shop_id, hold_id=mine.hold_id, ttl_seconds=600, acting=API, now=late)
    report = run_once(now=late, pause_seconds=0)
    assert report.per_shop == {other.shop_id: 1}
    assert Hold.objects.get(pk=theirs.hold_id).status == "expired"
    assert counters(one.stock_row) == [(10, 2, 8)]
    assert allocation(one, other) == [(2, 0), (0, 0)]


def test_overdue_holds_make_room_for_the_shop_that_had_them(two):
    one, other = two
    late = NOW + timedelta(hours=1)
    through(one, 10)
    with pytest.raises(InsufficientStock):
        through(other, 1, now=late)
    assert Hold.objects.get().status == "active", "another shop's hold is not this one's to end"
    assert through(one, 5, key="again", now=late).status == "active"
    assert counters(one.stock_row) == [(10, 5, 5)]


def test_staff_of_the_pool_see_every_holder_and_cannot_take_what_is_held(two):
    one, other = two
    through(one, 4)
    through(other, 5)
    row = one.stock_row
    holders = holders_of(owner_id=row.owner_id, stock_row_id=row.pk)
    assert {(holder.shop_id, holder.quantity) for holder in holders} == {(one.shop_id, 4), (other.shop_id, 5)}
    with pytest.raises(StockHeld):
        recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=8, note="", acting=STAFF)
    adjust_stock(shop_id=row.owner_id, stock_row_id=row.pk, delta=90, reason="receipt", note="", acting=STAFF)
    assert counters(row) == [(100, 9, 91)]
    assert StockMovement.objects.filter(stock_row=row, reason="receipt").get().for_shop_id is None


def test_sales_without_a_hold_and_returns_go_through_the_route():
    route = PoolRouteFactory(allocation_cap=5)
    lines = [Line(route.sku, route.variant_key, 4)]
    take_stock_within(shop_id=route.shop_id, lines=lines, reference="order", acting=API, now=NOW)
    assert (counters(route.stock_row), allocation(route)) == ([(6, 0, 6)], [(0, 4)])
    return_stock_within(shop_id=route.shop_id, lines=lines, reference="return", acting=API, now=NOW)
    return_stock_within(shop_id=route.shop_id, lines=lines, reference="of before", acting=API, now=NOW)
    assert (counters(route.stock_row), allocation(route)) == ([(14, 0, 14)], [(0, 0)])
    told = StockMovement.objects.exclude(reason="opening").values_list("for_shop_id", "reference").order_by("pk")
    assert list(told) == [(route.shop_id, "order"), (route.shop_id, "return"), (route.shop_id, "of before")]
    assert verify_stock().clean


# ---------------------------------------------------------------- looks
def test_availability_answers_through_routes_in_one_query(django_assert_num_queries):
    route = PoolRouteFactory(allocation_cap=3)
    own = StockRowFactory(owner__shop=route.shop, low_stock_threshold=10)
    with django_assert_num_queries(1):
        assert available_by_key(shop_id=route.shop_id, variant_keys=[route.variant_key, own.variant_key, "NONE"]) == {
            route.variant_key: 3,
            own.variant_key: 10,
        }
    through(route, 2)
    with django_assert_num_queries(1):
        found = available_for_skus(shop_id=route.shop_id, skus=[route.sku, own.sku, "NONE"])
    assert [(item.variant_key, item.available, item.state) for item in found] == [
        (route.variant_key, 1, "in_stock"),
        (own.variant_key, 10, "low"),
        ("NONE", 0, "out"),
    ]
    through(route, 1, key="last")
    (gone,) = available_for_skus(shop_id=route.shop_id, skus=[route.sku])
    assert (gone.variant_key, gone.state) == (route.variant_key, "out"), "listed all the same"


# ---------------------------------------------------------------- what the database refuses
ITEM = "INSERT INTO inventory_holditem (shop_id, hold_id, stock_row_id, quantity, route_id) VALUES (%s, %s, %s, 1, %s)"


def test_no_item_points_at_anybody_elses_row(two):
    one, other = two
    hold = through(one, 1)
    foreign, pooled = StockRowFactory(), StockRowFactory(owner=one.pool)
    stranger = PoolRouteFactory()
    for row, route, refusal in (
        (foreign, None, "hold_item_of_own_stock"),
        (pooled, None, "hold_item_of_own_stock"),
        (pooled, one, "hold_item_of_its_route"),
        (foreign, one, "hold_item_of_its_route"),
        (stranger.stock_row, stranger, "hold_item_of_its_route"),
        (one.stock_row, other, "hold_item_of_its_route|hold_item_one_per_row"),
    ):
        with pytest.raises(IntegrityError, match=refusal):
            sql(ITEM, one.shop_id, hold.hold_id, row.pk, route and route.pk)
    with pytest.raises(IntegrityError, match="hold_item_of_own_stock"):
        sql("UPDATE inventory_holditem SET route_id = NULL WHERE hold_id = %s", hold.hold_id)
    with pytest.raises(IntegrityError, match="hold_item_of_its_route"):
        sql("UPDATE inventory_poolroute SET stock_row_id = %s WHERE id = %s", pooled.pk, one.pk)


@pytest.mark.parametrize(
    ("refusal", "change"),
    [
        ("allocation_within_cap", "held = 4"),
        ("allocation_within_cap", "sold = 4"),
        ("allocation_within_cap", "held = 2, sold = 2"),
        ("allocation_within_cap", "allocation_cap = 2, sold = 3"),
        ("allocation_not_negative", "held = -1"),
        ("allocation_not_negative", "sold = -1"),
        ("route_leads_to_a_pool", "pool_id = shop_id"),
        ("route_of_its_pool", "pool_id = 'pool:elsewhere'"),
    ],
)
def test_an_allocation_is_never_exceeded_whoever_writes(refusal, change):
    route = PoolRouteFactory(allocation_cap=3)
    sql("INSERT INTO inventory_stockowner (id) VALUES ('pool:elsewhere')")
    StockRowFactory(owner__shop=route.shop)
    with pytest.raises(IntegrityError, match=refusal):
        sql(f"UPDATE inventory_poolroute SET {change} WHERE id = %s", route.pk)
    assert allocation(route) == [(0, 0)]


@pytest.mark.parametrize("pool_id", ["central", "pool:", "pool:Big", "pool:-", "POOL:x"])
def test_a_pool_never_stands_where_a_shop_could(pool_id):
    with pytest.raises(IntegrityError, match="stock_owner_pool_id"):
        sql("INSERT INTO inventory_stockowner (id) VALUES (%s)", pool_id)


def test_one_variant_has_one_route_and_one_row_serves_one_variant(two):
    one, _ = two
    copy = (
        "INSERT INTO inventory_poolroute (shop_id, sku, variant_key, pool_id, stock_row_id, enabled, held, sold,"
        " created_at) SELECT shop_id, sku, {}, pool_id, {}, {}, 0, 0, now() FROM inventory_poolroute WHERE id = %s"
    )
    other = StockRowFactory(owner=one.pool)
    with pytest.raises(IntegrityError, match="route_one_per_variant"):
        sql(copy.format("variant_key", other.pk, "true"), one.pk)
    with pytest.raises(IntegrityError, match="route_one_per_row"):
        sql(copy.format("'ELSE'", "stock_row_id", "true"), one.pk)
    sql(copy.format("variant_key", "stock_row_id", "false"), one.pk)


def test_movements_of_own_stock_name_no_other_shop(two):
    own = StockRowFactory()
    with pytest.raises(IntegrityError, match="movement_shop_of_a_pool"):
        sql(
            "INSERT INTO inventory_stockmovement (owner_id, stock_row_id, for_shop_id, delta, on_hand_after, reason,"
            " actor, reference, note, request_id, at) VALUES (%s, %s, %s, 1, 1, 'return', 'x', '', '', '', now())",
            own.owner_id, own.pk, two[0].shop_id,
        )  # fmt: skip


def test_the_proof_sees_an_allocation_that_drifted(two):
    one, _ = two
    through(one, 2)
    sql("UPDATE inventory_poolroute SET held = 1 WHERE id = %s", one.pk)
    proof = verify_stock()
    assert (proof.drifted, proof.drifts, proof.clean) == ({one.shop_id: 1}, (), False)
    assert [(d.route_id, d.held, d.held_by_items) for d in proof.route_drifts] == [(one.pk, 1, 2)]


# ---------------------------------------------------------------- many at once
@pytest.mark.django_db(transaction=True)
def test_shops_collide_on_a_pool_and_nothing_is_oversold(two):
    """Sixteen threads of two shops with caps, mixed carts in any order; some release, some commit."""
    one = two[0]
    PoolRoute.objects.filter(pk=one.pk).update(allocation_cap=4)
    extra = [PoolRouteFactory(shop=route.shop, stock_row=StockRowFactory(owner=one.pool)) for route in two]
    own = [StockRowFactory(owner__shop=route.shop, on_hand=50) for route in two]

    def buyer(number):
        route, second, row = two[number % 2], extra[number % 2], own[number % 2]
        lines = [Line(r.sku, r.variant_key, 1) for r in (route, second, row)]

        def work():
            ends = Counter()
            for turn in range(4):
                try:
                    hold = place(row, key=f"{number}-{turn}", lines=lines[turn % 2 :][:: -1 if number % 3 else 1])
                    ends["held"] += 1
                    verb = (release_hold, commit_hold, None)[(number + turn) % 3]
                    if verb:
                        verb(shop_id=route.shop_id, hold_id=hold.hold_id, reason="", acting=API)
                except Exception as error:
                    ends[getattr(error, "code", repr(error))] += 1
            return ends

        return work

    ends = together(*[buyer(number) for number in range(16)])
    assert all(isinstance(end, Counter) for end in ends), ends
    total = sum(ends, Counter())
    assert set(total) <= {"held", "inventory_insufficient", "inventory_busy"}, total
    assert total["held"] > 4
    assert PoolRoute.objects.get(pk=one.pk).left >= 0
    assert verify_stock().clean


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_fifty_processes_share_an_allocation_of_five():
    """The row has ten units, the shop may have five of them, and no more than five it gets."""
    route = PoolRouteFactory(allocation_cap=5, sku="CAPPED")
    run = subprocess.run(
        [sys.executable, "-m", "tests.inventory.buyers", "50", route.shop_id, route.sku],
        capture_output=True,
        text=True,
        env={**os.environ, "HOLDFAST_TEST_DB": django_settings.DATABASES["default"]["NAME"]},
        cwd=django_settings.BASE_DIR,
        timeout=60,
        check=False,
    )
    assert Counter(run.stdout.split()) == {"held": 5, "insufficient": 45}, run.stderr
    assert (counters(route.stock_row), allocation(route)) == ([(10, 5, 5)], [(5, 0)])
    assert HoldItem.objects.filter(route=route).count() == 5
    assert verify_stock().clean

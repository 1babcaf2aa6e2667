"""Holds placed together: every caller gets what `place_hold` would have said, whoever placed for whom."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from prometheus_client import REGISTRY

from inventory import combiner
from inventory.combiner import Wish, place_hold_together, place_together
from inventory.errors import HoldKeyConflict, InsufficientStock, InventoryBusy
from inventory.holds import Line, place_hold
from inventory.lines import combined
from inventory.models import Hold, HoldItem, StockRow
from inventory.verify import verify_stock
from tenants.database import as_shop
from tenants.errors import InvalidRequest
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.factories.tenants import HostFactory
from tests.fixtures.workers import Worker, issue
from tests.inventory.steps import API, NOW, STAFF, counters, hold_within, line, place
from tests.inventory.test_contention import elsewhere, in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)


def together(row, quantity=1, *, key, lines=None, acting=API, now=NOW, ttl_seconds=1200):
    with as_shop(row.owner_id):
        return place_hold_together(
            shop_id=row.owner_id,
            key=key,
            lines=[line(row, quantity)] if lines is None else lines,
            ttl_seconds=ttl_seconds,
            acting=acting,
            now=now,
        )


def waiting():
    """How many callers of this process wait for their turn, in all lanes."""
    return sum(len(lane) for lane in combiner._lanes.values())


def backends_waiting(row):
    """Sessions that queue for the row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s", [row.pk])
        return [pid for (pid,) in cursor.fetchall()]


@contextmanager
def a_crowd(works):
    """All of `works` at once on connections of their own; yields their futures."""
    with ThreadPoolExecutor(len(works)) as pool:
        yield [pool.submit(in_thread(work)) for work in works]


def ended(future):
    """A placement's answer, or the error that it raised."""
    try:
        return future.result(30)
    except Exception as error:
        return error


def counted(name, row):
    return REGISTRY.get_sample_value(name, {"shop_id": row.owner_id}) or 0.0


def said(work):
    """What a placement came to, without ids."""
    try:
        placed = work()
    except (InsufficientStock, HoldKeyConflict) as refused:
        return type(refused).__name__
    return "repeated" if placed.idempotent_hit else placed.status


@pytest.mark.parametrize("seed", range(12))
def test_any_batch_comes_to_what_one_after_the_other_comes_to(seed):
    """Twin shops, the same wishes: in one the batch first and the rest by the verb, in the other the verb alone."""
    chance = random.Random(seed)
    keys = [f"SKU-{number}" for number in range(4)]
    stock = [chance.randint(0, 6) for _ in keys]
    mine, twin = (
        [
            StockRowFactory(owner=first.owner, sku=key, on_hand=units)
            for key, units in zip(keys[1:], stock[1:], strict=True)
        ]
        for first in (StockRowFactory(sku=keys[0], on_hand=stock[0]), StockRowFactory(sku=keys[0], on_hand=stock[0]))
    )
    shops = [rows[0].owner_id for rows in (mine, twin)]
    carts = [
        [Line(key, key, chance.randint(1, 3)) for key in chance.sample([*keys, "UNKNOWN"], chance.randint(1, 3))]
        for _ in range(12)
    ]
    # Some of the keys are taken already, for the same lines or for others.
    for number, shop in ((number, shop) for number in (0, 3) for shop in shops):
        said(lambda number=number, shop=shop: verb(shop, f"k{number}", carts[number]))
        said(lambda number=number, shop=shop: verb(shop, f"k{number + 1}", carts[number]))

    wishes = [
        Wish(key=f"k{number}", lines=combined(cart), ttl_seconds=600, now=NOW, request_id="r")
        for number, cart in enumerate(carts)
    ]
    with as_shop(shops[0]):
        place_together(shop_id=shops[0], wishes=wishes)
    answers = [
        "active" if wish.placed else said(lambda number=number: verb(shops[0], f"k{number}", carts[number]))
        for number, wish in enumerate(wishes)
    ]
    assert answers == [said(lambda number=number: verb(shops[1], f"k{number}", carts[number])) for number in range(12)]
    held = [list(StockRow.objects.filter(owner_id=shop).order_by("sku").values_list("sku", "held")) for shop in shops]
    assert held[0] == held[1]
    assert verify_stock().clean


def verb(shop_id, key, lines):
    return place_hold(shop_id=shop_id, key=key, lines=lines, ttl_seconds=600, acting=API, now=NOW)


@pytest.mark.parametrize("seed", range(6))
def test_colliding_keys_within_a_batch_make_one_hold_each(seed):
    chance = random.Random(seed)
    row = StockRowFactory(on_hand=8)  # two for each of four keys
    wishes = [
        Wish(
            key=f"k{chance.randint(0, 3)}",
            lines=combined([line(row, chance.randint(1, 2))]),
            ttl_seconds=600,
            now=NOW,
            request_id="",
        )
        for _ in range(10)
    ]
    with as_shop(row.owner_id):
        place_together(shop_id=row.owner_id, wishes=wishes)
    placed = [wish for wish in wishes if wish.placed]
    assert placed and len({wish.key for wish in placed}) == len(placed)
    for wish in wishes:
        first = next(other for other in placed if other.key == wish.key)
        if wish.placed is None:
            answer = said(lambda wish=wish: verb(row.owner_id, wish.key, wish.lines))
            assert answer == ("repeated" if wish.lines == first.lines else "HoldKeyConflict")
    assert Hold.objects.count() == len(placed)
    assert verify_stock().clean


def test_what_a_batch_writes_is_what_the_verb_writes():
    row = StockRowFactory()
    other = StockRowFactory(owner=row.owner)
    wanted = [line(row, 2), line(other, 1)]
    alone = place(row, key="alone", lines=wanted, ttl_seconds=90)
    wish = Wish(key="batch", lines=combined(wanted), ttl_seconds=90, now=NOW, request_id="")
    with as_shop(row.owner_id):
        place_together(shop_id=row.owner_id, wishes=[wish])
    assert wish.placed is not None
    written = [
        {
            **Hold.objects.filter(pk=hold_id).values().get(),
            "id": None, "idempotency_key": None, "active_idempotency_key": None,
            "items": list(HoldItem.objects.filter(hold_id=hold_id).order_by("stock_row").values_list(
                "shop_id", "stock_row_id", "quantity", "route_id")),
        }
        for hold_id in (alone.hold_id, wish.placed.hold_id)
    ]  # fmt: skip
    assert written[0] == written[1]
    assert wish.placed.expires_at == NOW + timedelta(seconds=90)
    assert counters(row, other) == [(10, 4, 6), (10, 2, 8)]


def test_nobody_else_there_is_the_plain_verb():
    row = StockRowFactory()
    before = counted("inventory_hold_combined_total", row)
    assert not together(row, key="k").idempotent_hit
    assert together(row, key="k").idempotent_hit
    with pytest.raises(HoldKeyConflict):
        together(row, 2, key="k")
    with pytest.raises(InsufficientStock):
        together(row, 99, key="l")
    with pytest.raises(InvalidRequest):
        together(row, 0, key="m")
    with pytest.raises(InvalidRequest):
        together(row, key="n", ttl_seconds=5)
    with pytest.raises(InvalidRequest):
        together(row, key="")
    assert counters(row) == [(10, 1, 9)]
    assert counted("inventory_hold_combined_total", row) == before
    assert combiner._lanes == {}


def test_whoever_waits_is_placed_with_the_others(settings):
    """One goes ahead and meets a lock; those behind her are placed by one statement, the last units by arrival."""
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory(on_hand=8)
    created = counted("inventory_hold_created_total", row)
    works = [lambda number=number: together(row, key=f"k{number}") for number in range(12)]
    with ExitStack() as crowd:
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            futures = crowd.enter_context(a_crowd(works))
            until(lambda: waiting() == 11)
        answers = [ended(future) for future in futures]

    kinds = Counter(type(answer).__name__ for answer in answers)
    assert kinds == {"PlacedHold": 7, "InsufficientStock": 5}
    assert counters(row) == [(8, 8, 0)]
    assert counted("inventory_hold_combined_total", row) == 6
    assert counted("inventory_hold_created_total", row) == created + 8, "somebody else's as well"
    assert verify_stock().clean
    assert combiner._lanes == {}


def test_repeats_and_conflicts_among_those_who_wait(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory(on_hand=50)
    quantities = [1, 1, 1, 2, 1, 1]
    keys = ["a", "b", "b", "b", "c", "c"]
    works = [
        lambda key=key, units=units: together(row, units, key=key) for key, units in zip(keys, quantities, strict=True)
    ]
    with ExitStack() as crowd:
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            futures = crowd.enter_context(a_crowd(works))
            until(lambda: waiting() == 5)
        answers = [ended(future) for future in futures]

    holds = {hold.pk: hold.idempotency_key for hold in Hold.objects.exclude(idempotency_key="somebody else")}
    assert sorted(holds.values()) == ["a", "b", "c"]
    for key, answer in zip(keys, answers, strict=True):
        assert isinstance(answer, HoldKeyConflict) or holds[answer.hold_id] == key
    assert sum(isinstance(answer, HoldKeyConflict) for answer in answers) in (1, 2), "of the three b's"
    assert verify_stock().clean


def test_a_turn_that_does_not_come_is_busy_and_leaves_nothing(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory()
    with ExitStack() as crowd:
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            (first,) = crowd.enter_context(a_crowd([lambda: together(row, key="first")]))
            until(lambda: len(backends_waiting(row)) == 1)
            settings.INVENTORY_LOCK_TIMEOUT_MS = 60
            with pytest.raises(InventoryBusy):
                together(row, key="second")
            assert waiting() == 0
            assert not first.done()
        assert ended(first).status == "active"
    assert not Hold.objects.filter(idempotency_key="second").exists()
    assert not together(row, key="second").idempotent_hit


def test_more_than_may_wait_do_not(settings, monkeypatch):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    monkeypatch.setattr(combiner, "WAITING_AT_MOST", 2)
    row = StockRowFactory()
    works = [lambda number=number: together(row, key=f"k{number}") for number in range(6)]
    with ExitStack() as crowd:
        with elsewhere(lambda: hold_within(row, key="somebody else")):
            futures = crowd.enter_context(a_crowd(works))
            until(lambda: waiting() == 2)
        assert [ended(future).status for future in futures] == ["active"] * 6
    assert counters(row) == [(10, 7, 3)]


def test_a_connection_that_dies_in_the_middle_leaves_nothing_half(settings):
    """The one who places for all loses his connection while they wait: each then finds out alone, under his own key."""
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory(sku="AAA")
    other = StockRowFactory(owner=row.owner, sku="BBB", on_hand=20)
    works = [
        lambda number=number: together(row, key=f"k{number}", lines=[line(row), line(other)]) for number in range(4)
    ]
    with ExitStack() as crowd:
        with elsewhere(lambda: hold_within(other, key="somebody else")):
            with elsewhere(lambda: hold_within(row, key="somebody else, too")):
                (first,) = crowd.enter_context(a_crowd([lambda: together(row, key="ahead")]))
                until(lambda: combiner._lanes != {})
                futures = crowd.enter_context(a_crowd(works))
                until(lambda: waiting() == 4)
            # The first has its row now; the four, in one statement, queue for the other.
            assert ended(first).status == "active"
            until(lambda: len(backends_waiting(other)) == 1)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", backends_waiting(other))
        answers = [ended(future) for future in futures]

    assert [answer.status for answer in answers] == ["active"] * 4
    assert Hold.objects.filter(idempotency_key__startswith="k").count() == 4
    assert counters(row, other) == [(10, 6, 4), (20, 5, 15)]
    assert verify_stock().clean
    assert combiner._lanes == {}


def test_lanes_are_a_shops_own(settings):
    """The same variant of two shops is two rows, and nobody places for another shop."""
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    mine, theirs = StockRowFactory(sku="BAND"), StockRowFactory(sku="BAND")
    with ExitStack() as crowd, elsewhere(lambda: hold_within(mine, key="somebody else")):
        crowd.enter_context(a_crowd([lambda: together(mine, key="k")]))
        until(lambda: combiner._lanes != {})
        assert not together(theirs, key="k").idempotent_hit
        assert waiting() == 0
    assert counters(mine, theirs) == [(10, 2, 8), (10, 1, 9)]
    wish = Wish(key="x", lines=combined([line(theirs)]), ttl_seconds=60, now=NOW, request_id="")
    with as_shop(mine.owner_id):
        place_together(shop_id=theirs.owner_id, wishes=[wish])
    assert wish.placed is None, "row-level security: there is no such shop in this scope"
    assert counters(theirs) == [(10, 1, 9)]


@pytest.mark.parametrize("why", ["closed", "required", "routed"])
def test_what_is_not_simple_is_left_to_the_verb(why):
    row = StockRowFactory()
    shop = row.owner.shop
    if why == "closed":
        shop.status = "closed"
        shop.save()
    elif why == "required":
        shop.settings.requires_central_inventory = True
        shop.settings.save()
    else:
        pooled = StockRowFactory(owner=PoolFactory(), sku="POOLED")
        PoolRouteFactory(shop=shop, stock_row=pooled)
    wish = Wish(key="k", lines=combined([line(row)]), ttl_seconds=60, now=NOW, request_id="")
    with as_shop(row.owner_id):
        place_together(shop_id=row.owner_id, wishes=[wish])
    assert wish.placed is None
    assert (Hold.objects.count(), counters(row)) == (0, [(10, 0, 10)])


def test_staff_and_the_switch_place_alone(settings):
    row = StockRowFactory()
    together(row, key="staff", acting=STAFF)
    settings.INVENTORY_COMBINES_HOLDS = False
    together(row, key="off")
    assert counters(row) == [(10, 2, 8)]


def test_a_caller_with_a_transaction_of_its_own_is_refused():
    row = StockRowFactory()
    with transaction.atomic(), pytest.raises(RuntimeError, match="owns its transaction"):
        together(row, key="k")
    assert combiner._lanes == {}


def test_a_forked_process_begins_without_anybody_waiting(settings):
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory()
    with ExitStack() as crowd, elsewhere(lambda: hold_within(row, key="somebody else")):
        crowd.enter_context(a_crowd([lambda: together(row, key="k")]))
        until(lambda: combiner._lanes != {})
        child = os.fork()
        if child == 0:
            os._exit(0 if combiner._lanes == {} and not combiner._guard.locked() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert combiner._lanes != {}, "and its parent goes on"


def test_over_http_many_at_once_sell_what_there_is(settings):
    settings.SERVICE_TOKEN_SECONDS = 60.0
    settings.INVENTORY_LOCK_TIMEOUT_MS = 20_000
    row = StockRowFactory(owner__shop=HostFactory(shop__id="acme").shop, sku="BAND", on_hand=5)
    token = issue(row.owner_id)
    together_at = threading.Barrier(12)

    def ask():
        worker = Worker(token, host="acme.localhost")
        together_at.wait(10)
        return worker.post("holds", {"items": [{"sku": "BAND", "quantity": 1}]})

    with a_crowd([ask] * 12) as futures:
        answers = [future.result(60) for future in futures]
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: 7}
    assert len({answer.json()["holdId"] for answer in answers if answer.status_code == 201}) == 5
    assert counters(row) == [(5, 5, 0)]

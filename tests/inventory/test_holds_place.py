"""Placing holds (I3): all lines or none, once per key."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction

from inventory.errors import HoldKeyConflict, InsufficientStock, Shortage
from inventory.holds import Line, PlacedHold, lines_digest, place_hold, place_hold_within, release_hold
from inventory.models import Hold, HoldItem, StockMovement
from tenants.errors import InvalidRequest, ShopExpired
from tenants.models import AuditEntry, Shop
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import API, NOW, STAFF, counters, place

pytestmark = pytest.mark.django_db


def test_holds_units_until_the_time_is_up():
    row = StockRowFactory(on_hand=10)

    placed = place(row, 3, ttl_seconds=60)

    assert placed == PlacedHold(placed.hold_id, "active", NOW + timedelta(seconds=60), idempotent_hit=False)
    assert counters(row) == [(10, 3, 7)]
    hold = Hold.objects.get()
    assert (hold.pk, hold.shop_id, hold.created_at, hold.held_for) == (placed.hold_id, row.owner_id, NOW, "direct")
    assert (hold.idempotency_key, hold.active_idempotency_key, hold.ttl_seconds) == ("k", "k", 60)
    assert list(HoldItem.objects.values_list("shop_id", "hold_id", "stock_row_id", "quantity")) == [
        (row.owner_id, placed.hold_id, row.pk, 3)
    ]
    assert StockMovement.objects.filter(stock_row=row).count() == 1, "a hold moves nothing: the opening movement alone"


def test_one_round_trip_when_there_is_stock(django_assert_num_queries):
    row = StockRowFactory()
    with django_assert_num_queries(1):
        place(row)


def test_several_lines_and_duplicates_summed():
    first = StockRowFactory(on_hand=5)
    second = StockRowFactory(owner=first.owner, on_hand=5)
    lines = [
        Line(second.sku, second.variant_key, 1),
        Line(first.sku, first.variant_key, 2),
        Line(second.sku, second.variant_key, 3),
    ]

    place(first, lines=lines)

    assert counters(first, second) == [(5, 2, 3), (5, 4, 1)]
    assert HoldItem.objects.count() == 2


@pytest.mark.parametrize("unlocked_look", [True, False])
def test_all_lines_or_none(unlocked_look):
    plenty = StockRowFactory(on_hand=5)
    scarce = StockRowFactory(owner=plenty.owner, on_hand=1)
    lines = [Line(plenty.sku, plenty.variant_key, 2), Line(scarce.sku, scarce.variant_key, 2)]
    if not unlocked_look:
        lines = [lines[0], Line("NONE", "NONE#size:M", 1)]

    with pytest.raises(InsufficientStock) as refused:
        place(plenty, lines=lines)

    short = lines[1]
    expected = Shortage(short.sku, short.variant_key, short.quantity, 1 if unlocked_look else 0)
    assert refused.value.items == (expected,), "only the short line, and 0 of what isn't known"
    assert counters(plenty, scarce) == [(5, 0, 5), (1, 0, 1)]
    assert not Hold.objects.exists()
    assert not HoldItem.objects.exists()


def test_a_repeat_answers_the_same_hold_and_moves_nothing():
    row = StockRowFactory(on_hand=4)
    first = place(row, 3)

    again = place(row, 3, now=NOW + timedelta(seconds=100))

    assert again == PlacedHold(first.hold_id, "active", first.expires_at, idempotent_hit=True)
    assert counters(row) == [(4, 3, 1)]
    assert HoldItem.objects.count() == 1


def test_a_repeat_is_answered_when_the_rest_is_sold_out():
    """The unlocked look finds a shortage that this very hold has caused."""
    row = StockRowFactory(on_hand=3)
    first = place(row, 3)
    assert place(row, 3).hold_id == first.hold_id


@pytest.mark.parametrize("quantity", [2, 1000])
def test_the_same_key_with_other_lines_is_a_conflict(quantity):
    row = StockRowFactory(on_hand=10)
    place(row, 1)
    with pytest.raises(HoldKeyConflict):
        place(row, quantity)
    assert counters(row) == [(10, 1, 9)]


def test_the_same_key_for_a_checkout_is_a_conflict():
    row = StockRowFactory()
    place(row)
    with pytest.raises(HoldKeyConflict):
        place(row, held_for="checkout")


def test_a_key_belongs_to_its_shop():
    row, other = StockRowFactory(), StockRowFactory()
    assert place(row).hold_id != place(other).hold_id
    assert counters(row, other) == [(10, 1, 9), (10, 1, 9)]


def test_another_shops_stock_is_not_there():
    row = StockRowFactory()
    stranger = ShopFactory()
    with pytest.raises(InsufficientStock) as refused:
        place(row, shop_id=stranger.pk)
    assert [item.available for item in refused.value.items] == [0]
    assert counters(row) == [(10, 0, 10)]


def test_a_closed_shop_places_nothing_new():
    row = StockRowFactory()
    before = place(row, key="before")
    Shop.objects.update(status="closed")
    with pytest.raises(ShopExpired):
        place(row, key="after")
    assert place(row, key="before").hold_id == before.hold_id
    assert counters(row) == [(10, 1, 9)]
    with pytest.raises(ShopExpired):
        place(row, shop_id="nobody")


def test_a_released_key_is_free_again():
    row = StockRowFactory(on_hand=1)
    first = place(row)
    release_hold(shop_id=row.owner_id, hold_id=first.hold_id, reason="test", acting=API, now=NOW)
    second = place(row)
    assert second.hold_id != first.hold_id
    assert counters(row) == [(1, 1, 0)]


def test_an_overdue_direct_hold_lives_again():
    row = StockRowFactory(on_hand=1)
    first = place(row, ttl_seconds=60)
    late = NOW + timedelta(seconds=60)

    revived = place(row, now=late, ttl_seconds=120)

    assert revived == PlacedHold(first.hold_id, "active", late + timedelta(seconds=120), idempotent_hit=True)
    assert counters(row) == [(1, 1, 0)]
    assert Hold.objects.get().ttl_seconds == 120


def test_an_overdue_checkout_hold_does_not_live_again():
    """Its time is its session's."""
    row = StockRowFactory(on_hand=1)
    first = place(row, ttl_seconds=60, held_for="checkout")
    again = place(row, now=NOW + timedelta(seconds=90), held_for="checkout")
    assert again == PlacedHold(first.hold_id, "active", first.expires_at, idempotent_hit=True)


def test_overdue_direct_holds_of_others_make_room():
    row = StockRowFactory(on_hand=2)
    gone = place(row, 2, key="gone", ttl_seconds=60)

    placed = place(row, 2, key="new", now=NOW + timedelta(seconds=61))

    assert not placed.idempotent_hit
    assert counters(row) == [(2, 2, 0)]
    ended = Hold.objects.get(pk=gone.hold_id)
    assert (ended.status, ended.finish_reason, ended.finished_by) == ("expired", "time was up", "system:making-room")


def test_no_room_is_made_for_what_would_be_short_anyway():
    row = StockRowFactory(on_hand=2)
    place(row, 2, key="current")
    with pytest.raises(InsufficientStock):
        place(row, 1, key="new")
    assert counters(row) == [(2, 2, 0)]


def test_overdue_checkout_holds_are_the_guards_to_free(guard):
    row = StockRowFactory(on_hand=7)
    owned = [place(row, 1, key=f"c{n}", ttl_seconds=60 + n, held_for="checkout").hold_id for n in range(7)]
    elsewhere = StockRowFactory(owner=row.owner, on_hand=1)
    place(elsewhere, 1, key="elsewhere", ttl_seconds=60, held_for="checkout")

    with pytest.raises(InsufficientStock):
        place(row, 1, key="new", now=NOW + timedelta(seconds=100))

    assert guard.asked == [("free", row.owner_id, tuple(owned), 2.0)], "the oldest first, on this row"
    assert counters(row) == [(7, 7, 0)]


def test_within_joins_the_callers_transaction():
    row = StockRowFactory()
    hold_id = uuid4()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        placed = place_hold_within(
            shop_id=row.owner_id,
            hold_id=hold_id,
            key="attempt",
            lines=[Line(row.sku, row.variant_key, 2)],
            ttl_seconds=1200,
            held_for="checkout",
            now=NOW,
            request_id="r-1",
        )
        assert placed.hold_id == hold_id
        assert Hold.objects.get().request_id == "r-1"
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("250ms",)
        raise ZeroDivisionError
    assert counters(row) == [(10, 0, 10)]


def test_a_durable_verb_refuses_a_transaction():
    row = StockRowFactory()
    with transaction.atomic(), pytest.raises(RuntimeError, match="place_hold owns its transaction"):
        place(row)


def test_staff_placements_are_audited():
    row = StockRowFactory()
    placed = place_hold(
        shop_id=row.owner_id,
        key="k",
        lines=[Line(row.sku, row.variant_key, 1)],
        ttl_seconds=60,
        acting=STAFF,
    )
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.actor_name) == ("hold.placed", str(placed.hold_id), "ada")


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, True, 1.0, "1", None])
def test_quantities_are_whole_numbers(quantity):
    row = StockRowFactory()
    with pytest.raises(InvalidRequest):
        place(row, quantity)


@pytest.mark.parametrize("ttl_seconds", [59, 3601, True, 60.0, "60"])
def test_time_to_live_is_bounded(ttl_seconds):
    with pytest.raises(InvalidRequest):
        place(StockRowFactory(), ttl_seconds=ttl_seconds)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "\ud800"])
def test_keys_are_text_that_can_be_stored(key):
    with pytest.raises(InvalidRequest):
        place(StockRowFactory(), key=key)


def test_lines_are_limited():
    row = StockRowFactory()
    with pytest.raises(InvalidRequest):
        place(row, lines=[Line(f"S{n}", f"S{n}", 1) for n in range(101)])
    with pytest.raises(InvalidRequest):
        place_hold(shop_id=row.owner_id, key="k", lines=[], ttl_seconds=60, acting=API)
    with pytest.raises(InvalidRequest):
        place(row, lines=[Line(row.sku, row.variant_key, 600_000)] * 2)


def test_the_digest_is_of_what_is_asked_for():
    a, b = Line("A", "A", 1), Line("B", "B#size:M", 2)
    assert lines_digest([a, b]) == lines_digest([b, a])
    assert lines_digest([a, a]) == lines_digest([Line("A", "A", 2)])
    assert lines_digest([a]) != lines_digest([b])

"""Holds on periods (P2, I3): never more units out than owned, on any day, whoever books at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from inventory.early_returns import BookedDays, free_days_within
from inventory.errors import (
    HoldKeyConflict,
    HoldNotActive,
    InventoryUnavailable,
    RentalUnavailable,
    StockBooked,
)
from inventory.holds import Line, commit_hold, extend_hold, place_hold
from inventory.models import Hold, HoldPeriod, StockDay, StockMovement, StockRow
from inventory.periods import available_for_periods, available_skus, short_periods
from inventory.reaper import run_once
from inventory.stock import adjust_stock, book_periods_within, recount_stock, set_buffer_days
from inventory.verify import verify_stock
from tenants.errors import InvalidRequest, NotFound, ShopExpired
from tenants.models import Shop, ShopSettings
from tests.factories.inventory import StockRowFactory
from tests.inventory.booking import book, booked, day, end, wish
from tests.inventory.steps import API, STAFF


def test_days_are_booked_and_the_stock_stays_owned(db: None) -> None:
    row = StockRowFactory(on_hand=3)
    placed = book(row, 0, 2, 2)
    assert booked(row) == {0: 2, 1: 2, 2: 2}
    assert StockRow.objects.values_list("on_hand", "held").get() == (3, 0)
    assert HoldPeriod.objects.values_list("starts", "ends", "blocked_until", "quantity").get() == (
        day(0), day(2), day(2), 2,
    )  # fmt: skip
    end(row, placed, commit_hold)
    assert booked(row) == {0: 2, 1: 2, 2: 2}
    assert StockRow.objects.values_list("on_hand", "held").get() == (3, 0)
    assert StockMovement.objects.filter(reason="sale").count() == 0
    assert verify_stock().clean


def test_what_is_taken_is_refused_with_its_days(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    book(row, 2, 3)
    with pytest.raises(RentalUnavailable) as refused:
        book(row, 0, 4, 2)
    assert refused.value.members() == {
        "items": [
            {
                "sku": row.sku, "variantKey": row.variant_key, "requested": 2, "available": 1,
                "rental": {"start": str(day(0)), "end": str(day(4))}, "days": [str(day(2)), str(day(3))],
            }
        ]
    }  # fmt: skip
    assert (Hold.objects.count(), booked(row)) == (1, {2: 1, 3: 1})
    book(row, 0, 1, 2)
    book(row, 4, 4, 2)
    with pytest.raises(RentalUnavailable):
        book(row, 1, 1)


def test_lines_of_one_hold_count_together(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    other = StockRowFactory(owner=row.owner, on_hand=1)
    both = [wish(row, 0, 3), wish(row, 2, 5), wish(other, 0, 0)]
    placed = book(row, 0, 0, lines=both)
    assert booked(row) == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1, 5: 1} and booked(other) == {0: 1}
    end(row, placed)
    assert booked(row) == {} == booked(other)
    with pytest.raises(RentalUnavailable) as refused:
        book(row, 0, 0, lines=[wish(row, 0, 3, 2), wish(row, 2, 5)])
    assert [(item.requested, item.available, item.days) for item in refused.value.periods] == [
        (2, 2, (day(2), day(3))), (1, 2, (day(2), day(3))),
    ]  # fmt: skip
    assert verify_stock().clean


def test_cleaning_days_come_after_the_return(db: None) -> None:
    row = StockRowFactory(on_hand=1)
    set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=2, note="Dry cleaner", acting=STAFF)
    first = book(row, 3, 4)
    assert booked(row) == {3: 1, 4: 1, 5: 1, 6: 1}
    for begin, last in ((5, 5), (6, 7), (0, 1), (2, 2)):  # the last two leave no days to clean before the next pick-up
        with pytest.raises(RentalUnavailable):
            book(row, begin, last)
    book(row, 0, 0)
    book(row, 7, 7)
    # What is booked keeps the days that it was booked with.
    set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=0, note="Washable now", acting=STAFF)
    end(row, first)
    assert booked(row) == {0: 1, 1: 1, 2: 1, 7: 1, 8: 1, 9: 1}
    assert verify_stock().clean
    for days in (-1, 31, True, "2"):
        with pytest.raises(InvalidRequest):
            set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=days, note="x", acting=STAFF)  # type: ignore[arg-type]


def test_a_repeat_finds_its_hold_and_other_days_are_a_conflict(db: None) -> None:
    row = StockRowFactory(on_hand=1)
    placed = book(row, 0, 1, key="k")
    again = book(row, 0, 1, key="k")
    assert (again.hold_id, again.idempotent_hit) == (placed.hold_id, True)
    assert booked(row) == {0: 1, 1: 1}
    with pytest.raises(HoldKeyConflict):
        book(row, 5, 6, key="k")
    with pytest.raises(HoldKeyConflict):
        place_hold(
            shop_id=row.owner_id, key="k", lines=[Line(row.sku, row.variant_key, 1)], ttl_seconds=60, acting=API
        )  # fmt: skip
    end(row, placed, commit_hold)
    assert book(row, 0, 1, key="k").status == "committed"


def test_an_overdue_hold_is_revived_extended_or_reaped(db: None) -> None:
    row = StockRowFactory(on_hand=1)
    placed = book(row, 0, 1, key="k", now=timezone.now() - timedelta(hours=1))
    assert book(row, 0, 1, key="k").hold_id == placed.hold_id
    extend_hold(shop_id=row.owner_id, hold_id=placed.hold_id, ttl_seconds=60, acting=API)
    assert booked(row) == {0: 1, 1: 1}
    run_once(now=timezone.now() + timedelta(seconds=120), limit=100)
    assert (Hold.objects.get().status, booked(row)) == ("expired", {})
    with pytest.raises(HoldNotActive):
        end(row, placed, commit_hold)
    assert verify_stock().clean


def test_overdue_days_are_freed_for_the_next_customer(transactional_db: None) -> None:
    row = StockRowFactory(on_hand=1)
    book(row, 0, 5, now=timezone.now() - timedelta(hours=1))
    book(row, 3, 8)
    assert sorted(Hold.objects.values_list("status", flat=True)) == ["active", "expired"]
    assert booked(row) == dict.fromkeys(range(3, 9), 1)


def test_units_that_are_not_there(db: None) -> None:
    row = StockRowFactory(on_hand=1)
    unknown = [Line("NOPE", "NOPE", 1, day(0), day(1))]
    with pytest.raises(RentalUnavailable):
        book(row, 0, 0, lines=unknown)
    assert available_for_periods(shop_id=row.owner_id, lines=unknown) == [0]
    held = place_hold(
        shop_id=row.owner_id, key="u", lines=[Line(row.sku, row.variant_key, 1)], ttl_seconds=60, acting=API
    )  # fmt: skip
    with pytest.raises(RentalUnavailable):
        book(row, 0, 0)  # a unit that is held without days is away
    end(row, held)
    book(row, 0, 0)


def test_bad_periods_and_mixtures(db: None) -> None:
    row = StockRowFactory()
    for lines in (
        [Line(row.sku, row.variant_key, 1, day(1), day(0))],
        [Line(row.sku, row.variant_key, 1, day(0), None)],
        [Line(row.sku, row.variant_key, 1, day(0), day(366))],
        [wish(row, 0, 1), Line(row.sku, row.variant_key, 1)],
    ):
        with pytest.raises(InvalidRequest):
            book(row, 0, 0, lines=lines)
    assert not Hold.objects.exists()


def test_a_closed_shop_books_nothing_and_settles(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    placed = book(row, 0, 1, key="k")
    Shop.objects.update(status="closed")
    with pytest.raises(ShopExpired):
        book(row, 0, 1)
    assert book(row, 0, 1, key="k").idempotent_hit
    end(row, placed)
    assert booked(row) == {}


def test_who_needs_central_inventory_books_nothing(db: None, settings: Any) -> None:
    row = StockRowFactory()
    ShopSettings.objects.update(requires_central_inventory=True)
    book(row, 0, 1)
    settings.ENVIRONMENT, settings.ENFORCE_CENTRAL_INVENTORY = "production", True
    with pytest.raises(InventoryUnavailable):
        book(row, 0, 1)


# ---------------------------------------------------------------- how many there are
def test_fewer_than_booked_can_not_be_left(db: None) -> None:
    row = StockRowFactory(on_hand=4)
    placed = book(row, 0, 1, 2)
    end(row, book(row, 1, 3), commit_hold)
    with pytest.raises(StockBooked) as refused:
        recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=2, note="Counted", acting=STAFF)
    assert "3 of 4 units are booked on one day" in refused.value.detail
    assert f"2 from {day(0)} to {day(1)} in hold {placed.hold_id}" in refused.value.detail
    assert [item["quantity"] for item in refused.value.members()["bookings"]] == [2, 1]
    with pytest.raises(StockBooked):
        adjust_stock(
            shop_id=row.owner_id, stock_row_id=row.pk, delta=-2, reason="adjustment", note="Torn", acting=STAFF
        )  # fmt: skip
    recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=3, note="Counted", acting=STAFF)
    assert set(StockDay.objects.values_list("capacity", flat=True)) == {3}
    with pytest.raises(RentalUnavailable):
        book(row, 1, 1)
    recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=5, note="Bought", acting=STAFF)
    book(row, 1, 1, 2)
    assert verify_stock().clean


def test_days_that_are_over_keep_what_they_had(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    placed = book(row, 0, 0, 2)
    today = timezone.now().date()
    StockDay.objects.update(day=today - timedelta(days=5))
    HoldPeriod.objects.update(
        starts=today - timedelta(days=5), ends=today - timedelta(days=5), blocked_until=today - timedelta(days=5)
    )
    recount_stock(shop_id=row.owner_id, stock_row_id=row.pk, counted=1, note="One was lost", acting=STAFF)
    assert StockDay.objects.values_list("booked", "capacity").get() == (2, 2)
    assert verify_stock().clean and placed


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE inventory_stockday SET booked = capacity + 1",
        "UPDATE inventory_stockday SET booked = -1",
        "UPDATE inventory_stockday SET capacity = booked - 1",
        "UPDATE inventory_stockrow SET on_hand = 1",
    ],
)
def test_no_way_past_the_database(db: None, statement: str) -> None:
    row = StockRowFactory(on_hand=3)
    book(row, 0, 1, 2)
    refused = pytest.raises(IntegrityError, match="booked_within_capacity")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert booked(row) == {0: 2, 1: 2}


def test_the_proof_finds_days_that_differ(db: None) -> None:
    row = StockRowFactory(on_hand=3)
    book(row, 0, 1, 2)
    StockDay.objects.filter(day=day(0)).update(booked=1)
    StockDay.objects.filter(day=day(1)).delete()
    proof = verify_stock(owner_id=row.owner_id)
    assert proof.drifted == {row.owner_id: 2}
    assert [(drift.day, drift.booked, drift.booked_by_holds) for drift in proof.day_drifts] == [
        (str(day(0)), 1, 2), (str(day(1)), 0, 2),
    ]  # fmt: skip
    assert proof.as_json()["dayDrifts"][0]["booked"] == {"day": 1, "holds": 2}


def test_paid_without_a_hold(db: None) -> None:
    row = StockRowFactory(on_hand=1)
    with transaction.atomic():
        book_periods_within(
            shop_id=row.owner_id, lines=[wish(row, 0, 1)], reference="o-1", acting=API, now=timezone.now()
        )  # fmt: skip
    assert (booked(row), Hold.objects.get().status) == ({0: 1, 1: 1}, "committed")
    with pytest.raises(RentalUnavailable), transaction.atomic():
        book_periods_within(
            shop_id=row.owner_id, lines=[wish(row, 1, 2)], reference="o-2", acting=API, now=timezone.now()
        )  # fmt: skip
    assert (booked(row), Hold.objects.count()) == ({0: 1, 1: 1}, 1)


def test_looks_and_their_queries(db: None, django_assert_num_queries: Any) -> None:
    row = StockRowFactory(on_hand=2, low_stock_threshold=1)
    with django_assert_num_queries(1):
        book(row, 2, 2)
    lines = [wish(row, 0, 1), wish(row, 1, 2), wish(row, 2, 2, 2)]
    with django_assert_num_queries(1):
        assert available_for_periods(shop_id=row.owner_id, lines=lines) == [2, 1, 1]
    assert [short.days for short in short_periods(shop_id=row.owner_id, lines=lines[2:])] == [(day(2),)]
    with django_assert_num_queries(2):
        [known, unknown] = available_skus(shop_id=row.owner_id, skus=[row.sku, "NOPE"], starts=day(1), ends=day(2))
    assert (known.available, known.state, known.short_days) == (1, "low", ())
    assert (unknown.available, unknown.state) == (0, "out")


# ---------------------------------------------------------------- days that aren't needed any more
def free(row: StockRow, placed: Any, first: int, last: int, quantity: int = 1, *, today: int) -> int:
    with transaction.atomic():
        return free_days_within(
            shop_id=row.owner_id,
            booked=[BookedDays(placed.hold_id, row.variant_key, quantity, day(first), day(last))],
            today=day(today),
        )


def test_a_booking_that_is_called_off_goes_whole_or_in_part(db: None) -> None:
    row = StockRowFactory(on_hand=3)
    set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=1, note="x", acting=STAFF)
    placed = book(row, 2, 4, 3)
    with pytest.raises(NotFound):
        free(row, placed, 2, 4, today=0)  # an active hold is released instead
    end(row, placed, commit_hold)
    assert free(row, placed, 2, 4, 1, today=1) == 4
    assert booked(row) == {2: 2, 3: 2, 4: 2, 5: 2}
    with pytest.raises(NotFound):
        free(row, placed, 2, 4, 3, today=1)
    assert free(row, placed, 2, 4, 2, today=1) == 8
    assert booked(row) == {} and verify_stock().clean
    with pytest.raises(NotFound):
        free(row, placed, 2, 4, 1, today=1)


def test_what_comes_back_early_is_cleaned_first(db: None) -> None:
    row = StockRowFactory(on_hand=2)
    set_buffer_days(shop_id=row.owner_id, stock_row_id=row.pk, days=1, note="x", acting=STAFF)
    placed = book(row, 0, 6, 2)
    end(row, placed, commit_hold)
    assert free(row, placed, 0, 6, 1, today=2) == 4  # days 4 to 7: today and one for cleaning stay
    assert booked(row) == {0: 2, 1: 2, 2: 2, 3: 2, 4: 1, 5: 1, 6: 1, 7: 1}
    book(row, 4, 6)
    assert free(row, placed, 0, 6, 1, today=2) == 4
    assert free(row, placed, 0, 2, 1, today=5) == 0  # back as agreed, by now: nothing is left to free
    assert verify_stock().clean

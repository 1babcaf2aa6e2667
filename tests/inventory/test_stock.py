"""Stock rows (I1): every change of `on_hand` is a movement with reason, actor, note and time."""

from __future__ import annotations

import pytest
from django.db import transaction

from inventory.errors import InsufficientStock, Shortage, StockHeld
from inventory.holds import Line
from inventory.models import StockMovement, StockOwner, StockRow
from inventory.stock import (
    StockChange,
    adjust_stock,
    create_stock_row,
    holders_of,
    recount_stock,
    return_stock_within,
    take_stock_within,
)
from inventory.verify import verify_stock
from tenants.errors import InvalidRequest, NotFound
from tenants.models import AuditEntry
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import API, NOW, STAFF, counters, line, place

pytestmark = pytest.mark.django_db


def movements(row):
    fields = ("delta", "on_hand_after", "reason", "reference", "actor", "note")
    return list(StockMovement.objects.filter(stock_row=row).order_by("pk").values_list(*fields))


def adjust(row, delta, *, reason="adjustment", shop_id=None):
    return adjust_stock(
        shop_id=shop_id or row.owner_id,
        stock_row_id=row.pk,
        delta=delta,
        reason=reason,
        note="why",
        acting=STAFF,
        now=NOW,
    )


def recount(row, counted):
    return recount_stock(
        shop_id=row.owner_id, stock_row_id=row.pk, counted=counted, note="counted", acting=STAFF, now=NOW
    )


def audited():
    return list(AuditEntry.objects.values_list("action", "object_type", "reason", "data"))


def test_opening_a_row():
    shop = ShopFactory()

    row = create_stock_row(
        shop_id=shop.pk, sku="HB", variant_key="HB#size:M", on_hand=7, acting=STAFF, note="first", low_stock_threshold=2
    )

    assert StockOwner.objects.values_list("id", "shop_id").get() == (shop.pk, shop.pk)
    row.refresh_from_db()
    assert (row.sku, row.variant_key, row.available, row.low_stock_threshold) == ("HB", "HB#size:M", 7, 2)
    assert movements(row) == [(7, 7, "opening", "", "staff:ada", "first")]
    assert audited() == [("stock.opened", "stock_row", "first", {"variantKey": "HB#size:M", "onHand": 7})]


def test_an_empty_row_has_nothing_to_explain():
    row = create_stock_row(shop_id=ShopFactory().pk, sku="A", variant_key="A", on_hand=0, acting=STAFF, note="")
    assert movements(row) == []
    assert verify_stock().clean


@pytest.mark.parametrize(
    "wrong",
    [
        {"variant_key": "B#size:M"},
        {"variant_key": "A#b:1|a:2"},
        {"on_hand": -1},
        {"on_hand": True},
        {"on_hand": 1_000_000_001},
    ],
)
def test_a_row_that_makes_no_sense(wrong):
    wish = {"sku": "A", "variant_key": "A", "on_hand": 1, **wrong}
    with pytest.raises(InvalidRequest):
        create_stock_row(shop_id=ShopFactory().pk, acting=STAFF, note="", **wish)
    assert not StockRow.objects.exists()


def test_a_row_is_opened_once():
    row = StockRowFactory()
    with pytest.raises(InvalidRequest):
        create_stock_row(shop_id=row.owner_id, sku=row.sku, variant_key=row.sku, on_hand=5, acting=STAFF, note="")
    assert counters(row) == [(10, 0, 10)]


@pytest.mark.parametrize(("delta", "reason"), [(5, "receipt"), (-4, "adjustment"), (1, "return")])
def test_adjusting(delta, reason):
    row = StockRowFactory()
    assert adjust(row, delta, reason=reason) == StockChange(row.pk, 10 + delta, 0, delta)
    assert counters(row) == [(10 + delta, 0, 10 + delta)]
    assert movements(row)[1:] == [(delta, 10 + delta, reason, "", "staff:ada", "why")]
    assert audited() == [
        ("stock.adjusted", "stock_row", "why", {"delta": delta, "onHand": 10 + delta, "reason": reason})
    ]
    assert verify_stock().clean


@pytest.mark.parametrize("delta", [0, True, 1.5, "3", 1_000_000_000])
def test_an_adjustment_moves_a_whole_number(delta):
    row = StockRowFactory()
    with pytest.raises(InvalidRequest):
        adjust(row, delta)
    assert counters(row) == [(10, 0, 10)]
    assert audited() == []


@pytest.mark.parametrize("reason", ["sale", "opening", "recount", "", "whim"])
def test_sales_and_counts_are_no_adjustments(reason):
    with pytest.raises(InvalidRequest):
        adjust(StockRowFactory(), 1, reason=reason)


def test_held_units_can_not_be_taken_away():
    row = StockRowFactory(on_hand=10)
    hold = place(row, 4, held_for="checkout")

    for change in (lambda: adjust(row, -7), lambda: recount(row, 3)):
        with pytest.raises(StockHeld) as refused:
            change()
        assert refused.value.code == "wrong_state"
        assert refused.value.members() == {
            "onHand": 10,
            "held": 4,
            "available": 6,
            "holders": [{"holdId": str(hold.hold_id), "quantity": 4, "expiresAt": "2026-03-01T12:20:00Z"}],
        }
    assert counters(row) == [(10, 4, 6)]
    assert len(movements(row)) == 1
    assert adjust(row, -6).on_hand == 4


def test_recounting_counts_held_units_too():
    row = StockRowFactory(on_hand=10)
    place(row, 4)
    assert recount(row, 9) == StockChange(row.pk, 9, 4, -1)
    assert movements(row)[1:] == [(-1, 9, "recount", "", "staff:ada", "counted")]
    assert recount(row, 9) == StockChange(row.pk, 9, 4, 0)
    assert len(movements(row)) == 2, "nothing moved, so nothing to explain; that somebody counted is audited"
    assert [action for action, *_ in audited()] == ["stock.recounted", "stock.recounted"]
    for counted in (-1, "9", 1_000_000_001):
        with pytest.raises(InvalidRequest):
            recount(row, counted)


def test_another_shops_row_is_not_there():
    row, stranger = StockRowFactory(), ShopFactory()
    with pytest.raises(NotFound):
        adjust(row, 1, shop_id=stranger.pk)
    assert holders_of(owner_id=stranger.pk, stock_row_id=row.pk) == []
    assert counters(row) == [(10, 0, 10)]


def take(row, lines):
    with transaction.atomic():
        take_stock_within(shop_id=row.owner_id, lines=lines, reference="order-1", acting=API, now=NOW)


def test_taking_without_a_hold():
    first = StockRowFactory(on_hand=10)
    second = StockRowFactory(owner=first.owner, on_hand=2)
    place(first, 4)

    take(first, [line(second, 2), line(first, 3), line(first, 3)])

    assert counters(first, second) == [(4, 4, 0), (0, 0, 0)]
    assert movements(first)[1:] == [(-6, 4, "sale", "order-1", "api:worker", "")]
    assert movements(second)[1:] == [(-2, 0, "sale", "order-1", "api:worker", "")]
    assert verify_stock().clean


def test_taking_takes_all_or_nothing():
    first = StockRowFactory(on_hand=10)
    second = StockRowFactory(owner=first.owner, on_hand=10)
    place(second, 9)
    wanted = [line(first, 1), line(second, 2), Line("NONE", "NONE", 1)]
    with pytest.raises(InsufficientStock) as refused:
        take(first, wanted)
    assert refused.value.items == (Shortage("NONE", "NONE", 1, 0), Shortage(second.sku, second.sku, 2, 1))
    assert counters(first, second) == [(10, 0, 10), (10, 9, 1)]
    assert len(movements(first)) == 1


def test_taking_from_another_shop():
    row = StockRowFactory()
    with pytest.raises(InsufficientStock), transaction.atomic():
        take_stock_within(shop_id=ShopFactory().pk, lines=[line(row)], reference="", acting=API, now=NOW)
    assert counters(row) == [(10, 0, 10)]


def test_returning():
    row = StockRowFactory(on_hand=1)
    with transaction.atomic():
        return_stock_within(
            shop_id=row.owner_id, lines=[line(row, 2)], reference="return-1", acting=STAFF, now=NOW, note="unworn"
        )
    assert counters(row) == [(3, 0, 3)]
    assert movements(row)[1:] == [(2, 3, "return", "return-1", "staff:ada", "unworn")]
    with pytest.raises(NotFound, match="NONE"), transaction.atomic():
        return_stock_within(shop_id=row.owner_id, lines=[Line("NONE", "NONE", 1)], reference="", acting=STAFF, now=NOW)


def test_who_holds_what():
    row = StockRowFactory()
    late = place(row, 2, key="late", ttl_seconds=1200)
    soon = place(row, 1, key="soon", ttl_seconds=60, held_for="checkout")
    place(StockRowFactory(owner=row.owner), 1, key="elsewhere")
    holders = holders_of(owner_id=row.owner_id, stock_row_id=row.pk)
    assert [(holder.hold_id, holder.held_for, holder.quantity) for holder in holders] == [
        (soon.hold_id, "checkout", 1),
        (late.hold_id, "direct", 2),
    ]
    assert (holders[0].shop_id, holders[0].expires_at) == (row.owner_id, soon.expires_at)

"""Stock rows in the back office (A2): adjusted, recounted and opened with a reason, by the verbs that all call."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from inventory.models import StockMovement, StockRow
from inventory.stock import adjust_stock
from tenants.models import AuditEntry
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.desk import HOLDS, STOCK, act, ask, text_of
from tests.inventory.steps import STAFF, counters, place

pytestmark = pytest.mark.django_db


def test_the_stock_list(staff):
    shop = ShopFactory(id="amber")
    plenty = StockRowFactory(owner__shop=shop, sku="HB", variant_key="HB#size:L", on_hand=9)
    low = StockRowFactory(owner=plenty.owner, sku="HB", variant_key="HB#size:M", on_hand=3, low_stock_threshold=5)
    out = StockRowFactory(owner=plenty.owner, sku="CAP", variant_key="CAP", on_hand=4)
    place(out, 4)

    page = text_of(staff.get(STOCK))
    for word in ("HB#size:L", "HB#size:M", "CAP", "In stock", "Low", "Out", "amber"):
        assert word in page

    def found(query):
        page = text_of(staff.get(f"{STOCK}?{query}"))
        return [row.variant_key for row in (out, plenty, low) if f"{STOCK}{row.pk}/change/" in page]

    assert found("state=out") == ["CAP"]
    assert found("state=low") == ["HB#size:M"]
    assert found("state=held") == ["CAP"]
    assert found("q=HB") == ["HB#size:L", "HB#size:M"]
    assert found("q=HB%23size:M") == ["HB#size:M"]
    assert found("owner__id__exact=amber") == ["CAP", "HB#size:L", "HB#size:M"]


def test_a_rows_page_tells_its_history_and_who_holds_it(staff):
    row = StockRowFactory(on_hand=10)
    adjust_stock(shop_id=row.owner_id, stock_row_id=row.pk, delta=5, reason="receipt", note="pallet", acting=STAFF)
    hold = place(row, 2, now=timezone.now())

    page = text_of(staff.get(f"{STOCK}{row.pk}/change/"))

    assert f'href="{HOLDS}{hold.hold_id}/change/"' in page
    assert "15 on hand − 2 held = 13 available" in page
    assert "Customers can buy 13 now." in page
    assert "in 19 min" in page
    assert "The reaper puts the units back on sale" in page
    assert "pallet" in page
    assert "staff:ada" in page


def test_adjusting(staff):
    row = StockRowFactory(on_hand=10)
    place(row, 4)
    page = ask(staff, STOCK, "adjust", row)
    assert "10 on hand, 4 of them held: at most 6 can be taken away." in page

    done = act(staff, STOCK, "adjust", row, delta="-3", kind="adjustment", reason="Broken in transit")

    assert "-3: now 7 on hand, 4 of them held." in done
    assert counters(row) == [(7, 4, 3)]
    movement = StockMovement.objects.latest("pk")
    assert (movement.delta, movement.reason, movement.actor, movement.note) == (
        -3,
        "adjustment",
        "staff:ada",
        "Broken in transit",
    )
    assert AuditEntry.objects.get(action="stock.adjusted").reason == "Broken in transit"


def test_a_second_click_adjusts_nothing(staff):
    row = StockRowFactory(on_hand=10)
    token = re.search(r'name="token" value="([^"]+)"', ask(staff, STOCK, "adjust", row))[1]
    fields = {"token": token, "delta": "5", "kind": "receipt", "reason": "A pallet"}
    for _ in range(2):
        text_of(staff.post(f"{STOCK}act/adjust/", fields, follow=True))
    assert counters(row) == [(15, 0, 15)]


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("adjust", {"delta": "-7", "kind": "adjustment"}, "at most 6 can be taken away"),
        ("recount", {"counted": "3"}, "at most 6 can be taken away"),
        ("adjust", {"delta": "0", "kind": "adjustment"}, "An adjustment moves something"),
    ],
)
def test_what_the_verb_refuses_is_said(staff, name, fields, says):
    row = StockRowFactory(on_hand=10)
    place(row, 4)
    assert says in act(staff, STOCK, name, row, reason="Trying", **fields)
    assert counters(row) == [(10, 4, 6)]


@pytest.mark.parametrize("fields", [{"reason": ""}, {"reason": "why", "delta": ""}, {"reason": "why", "kind": "sale"}])
def test_no_adjustment_without_a_reason_and_a_number(staff, fields):
    row = StockRowFactory()
    act(staff, STOCK, "adjust", row, **{"delta": "1", "kind": "receipt", **fields})
    assert counters(row) == [(10, 0, 10)]


def test_recounting_and_the_threshold(staff):
    row = StockRowFactory(on_hand=10)
    assert "+2: now 12 on hand" in act(staff, STOCK, "recount", row, counted="12", reason="Stocktaking")
    assert "nothing moved" in act(staff, STOCK, "recount", row, counted="12", reason="Stocktaking again")
    assert "Low at and below 4" in act(staff, STOCK, "threshold", row, threshold="4", reason="Sells fast")
    assert StockRow.objects.get().low_stock_threshold == 4
    assert AuditEntry.objects.get(action="stock.threshold_set").data == {"before": 0, "after": 4}


def test_opening_a_row(staff):
    shop = ShopFactory()
    url = f"{STOCK}add/"
    text_of(staff.get(url))
    fields = {"shop": shop.pk, "sku": "HB", "variant": "size:M|color:red", "on_hand": "7", "low_stock_threshold": "2"}

    refused = text_of(staff.post(url, fields))
    assert "This field is required" in refused
    assert not StockRow.objects.exists()
    answer = staff.post(url, {**fields, "reason": "New product"})

    assert answer.status_code == 302, answer.content
    row = StockRow.objects.get()
    assert (row.owner_id, row.variant_key, row.on_hand, row.low_stock_threshold) == (
        shop.pk,
        "HB#color:red|size:M",
        7,
        2,
    )
    assert row.movements.get().note == "New product"
    assert "already" in text_of(staff.post(url, {**fields, "reason": "Again"}))
    assert "name:value" in text_of(staff.post(url, {**fields, "variant": "M", "reason": "Odd"}))

"""“Why is it not available?”: a stock row's page answers with holders, what stands behind them, and what is left."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from inventory.models import StockRow
from inventory.stock import adjust_stock
from tenants.models import AuditEntry
from tests.factories.inventory import StockRowFactory
from tests.inventory.desk import HOLDS, STOCK, act, held_by_a_checkout, queries, text_of
from tests.inventory.steps import STAFF, counters, place

pytestmark = pytest.mark.django_db


def why(client, row):
    """The panel that explains a row, without tags and runs of spaces."""
    page = text_of(client.get(f"{STOCK}{row.pk}/change/"))
    panel = page[page.index("on hand −") - 200 : page.index("This row")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", panel)).split())


def test_why_something_is_not_available(staff, guard):
    """On hand − held = available, and every unit that is held has a holder with time left, session and what follows."""
    row = StockRowFactory(on_hand=6)
    paying = held_by_a_checkout(guard, row, 3)
    place(row, 2, key="direct", now=timezone.now() - timedelta(minutes=30))
    place(row, 1, key="late", now=timezone.now())

    said = why(staff, row)

    assert "6 on hand − 6 held = 0 available Out" in said
    assert "Every unit on hand is held. The first hold's time is up: the reaper looks at it within a minute." in said
    assert "10 min ago" in said
    assert "in 19 min" in said
    assert f"3 …{str(paying.hold_id)[-12:]} Checkout" in said
    assert "…est_checkout Its session is made unpayable." in said
    assert "Placed directly The reaper puts the units back on sale" in said
    assert said.count("…") >= 3
    assert "6 held" in said
    page = text_of(staff.get(f"{STOCK}{row.pk}/change/"))
    assert f'href="{HOLDS}{paying.hold_id}/change/"' in page
    assert f'href="/admin/tenants/shop/{row.owner_id}/change/"' in page, "what stands behind it is a link"
    assert "Why it is not available" in page


def test_what_no_hold_explains_is_said(staff):
    row = StockRowFactory(on_hand=5)
    place(row, 1, now=timezone.now())
    StockRow.objects.filter(pk=row.pk).update(held=3)
    said = why(staff, row)
    assert "5 on hand − 3 held = 2 available" in said
    assert "2 explained by no hold A defect: the nightly stock proof reports it" in said


def test_more_holders_than_are_listed_still_add_up(staff):
    row = StockRowFactory(on_hand=100)
    for number in range(53):
        place(row, 1, key=f"{number}", now=timezone.now())
    said = why(staff, row)
    assert "100 on hand − 53 held = 47 available" in said
    assert "3 in further holds" in said


@pytest.mark.parametrize(
    ("on_hand", "says"),
    [(0, "There is nothing on hand"), (4, "Customers can buy 4 now. Low at and below 5."), (9, "can buy 9 now.")],
)
def test_a_row_that_nobody_holds(staff, on_hand, says):
    row = StockRowFactory(on_hand=on_hand, low_stock_threshold=5)
    said = why(staff, row)
    assert says in said
    assert "Nobody holds any of it." in said


def test_a_rows_page_costs_the_same_however_many_hold_it(staff, guard):
    row = StockRowFactory(on_hand=100)
    held_by_a_checkout(guard, row, key="first")
    url = f"{STOCK}{row.pk}/change/"
    text_of(staff.get(url))
    assert queries(staff, url) == 7
    for number in range(20):
        held_by_a_checkout(guard, row, key=f"{number}")
        adjust_stock(shop_id=row.owner_id, stock_row_id=row.pk, delta=1, reason="receipt", note="", acting=STAFF)
    assert queries(staff, url) == 7


@pytest.mark.parametrize(
    ("name", "fields"), [("recount", {"counted": "3"}), ("adjust", {"delta": "-8", "kind": "adjustment"})]
)
def test_a_refusal_names_and_links_the_holders(staff, guard, name, fields):
    row = StockRowFactory(on_hand=10)
    first, second = held_by_a_checkout(guard, row, 3), place(row, 1, key="late", now=timezone.now())

    page = act(staff, STOCK, name, row, reason="Stocktaking", **fields)

    assert "4 of 10 units are held; at most 6 can be taken away." in page
    for hold, words in ((first, "3 in hold"), (second, "1 in hold")):
        assert f'href="{HOLDS}{hold.hold_id}/change/"' in page
        assert f"{words} …{str(hold.hold_id)[-12:]}, which ends in 19 min" in page
    assert counters(row) == [(10, 4, 6)]
    assert not AuditEntry.objects.exists()


def test_whoever_may_not_see_what_stands_behind_a_hold_gets_no_link(onlooker, guard):
    row = StockRowFactory()
    held_by_a_checkout(guard, row)
    page = text_of(onlooker.get(f"{STOCK}{row.pk}/change/"))
    assert f"/admin/tenants/shop/{row.owner_id}/" not in page
    assert "cs_test_checkout" in page

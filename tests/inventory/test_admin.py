"""The back office's pages (A2, A3): seen by staff, acted on with a reason, by the verbs that everybody calls."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inventory.models import Hold, InventoryRun, StockMovement, StockRow
from inventory.reaper import run_once
from inventory.release_guard import HoldStory
from inventory.stock import adjust_stock
from inventory.verify import prove_stock
from tenants.models import AuditEntry
from tests.factories.inventory import StockRowFactory
from tests.factories.tenants import ShopFactory
from tests.inventory.steps import STAFF, counters, place

pytestmark = pytest.mark.django_db
STOCK, HOLDS = "/admin/inventory/stockrow/", "/admin/inventory/hold/"
MOVEMENTS, RUNS = "/admin/inventory/stockmovement/", "/admin/inventory/inventoryrun/"


def visit(user):
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def staff():
    return visit(User.objects.create_superuser("ada", password="not a secret"))


@pytest.fixture
def onlooker():
    """May see everything of this app and change nothing."""
    user = User.objects.create_user("bob", password="not a secret", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="inventory", codename__startswith="view_")
    )
    user.user_permissions.add(Permission.objects.get(codename="see_every_shop"))
    return visit(user)


def text_of(answer):
    assert answer.status_code == 200, (answer.status_code, answer.content[:500])
    return answer.content.decode()


def ask(client, path, name, row):
    return text_of(client.get(f"{path}{row.pk}/act-{name}/"))


def act(client, path, name, row, **fields):
    """Opens the page that asks, answers it, and reads what became of it."""
    page = ask(client, path, name, row)
    token = re.search(r'name="token" value="([^"]+)"', page)[1]
    answer = client.post(f"{path}act/{name}/", {"token": token, **fields}, follow=True)
    return text_of(answer)


def queries(client, url):
    with CaptureQueriesContext(
        connection,
    ) as seen:
        text_of(client.get(url))
    return len(seen)


def make_stock():
    row = StockRowFactory(on_hand=10, low_stock_threshold=3)
    place(row, 2, now=timezone.now())


def make_hold():
    row = StockRowFactory()
    other = StockRowFactory(owner=row.owner)
    place(row, lines=None, key="k", now=timezone.now())
    place(other, key="o", held_for="checkout", now=timezone.now())


def make_run():
    run_once(now=timezone.now(), pause_seconds=0)
    prove_stock()


@pytest.mark.parametrize(
    ("url", "make", "count"),
    [
        (STOCK, make_stock, 7),
        (HOLDS, make_hold, 9),
        (MOVEMENTS, make_stock, 7),
        (RUNS, make_run, 6),
    ],
)
def test_a_lists_queries_do_not_grow(staff, url, make, count):
    make()
    text_of(staff.get(url))
    assert queries(staff, url) == count
    make()
    make()
    assert queries(staff, url) == count


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


def held_by_a_checkout(guard, row, quantity=1, *, key="checkout", now=None, then="Its session is made unpayable."):
    """A hold with a shop as what stands behind it: inventory's own tests know no orders."""
    hold = place(row, quantity, key=key, held_for="checkout", now=now or timezone.now())
    guard.stories[hold.hold_id] = HoldStory(
        rows=(row.owner.shop,),
        session=f"cs_test_{key}",
        session_url=None,
        then=then,
        latest=timezone.now() + timedelta(minutes=55),
    )
    return hold


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


def test_the_hold_list(staff):
    row = StockRowFactory(on_hand=10)
    active = place(row, 3, key="active", now=timezone.now())
    overdue = place(row, 1, key="overdue", held_for="checkout", now=timezone.now() - timedelta(hours=1))

    page = text_of(staff.get(HOLDS))
    assert f"3 × {row.variant_key}" in page
    assert "in 19 min" in page
    assert "40 min ago" in page

    def found(query):
        page = text_of(staff.get(f"{HOLDS}?{query}"))
        return [hold.hold_id for hold in (active, overdue) if f"{HOLDS}{hold.hold_id}/change/" in page]

    assert found("time=overdue") == [overdue.hold_id]
    assert found("held_for__exact=direct") == [active.hold_id]
    assert found("status__exact=released") == []
    assert found(f"q={active.hold_id}") == [active.hold_id]
    assert found("q=overdue") == [overdue.hold_id]
    assert found("q=nothing") == []
    assert found(f"shop__id__exact={row.owner_id}") == [active.hold_id, overdue.hold_id]


def test_releasing_extending_committing(staff):
    row = StockRowFactory(on_hand=10)
    given, longer, sold = (place(row, 2, key=key, now=timezone.now()) for key in ("given", "longer", "sold"))
    hold = {placed.hold_id: Hold.objects.get(pk=placed.hold_id) for placed in (given, longer, sold)}

    assert f"2 × {row.variant_key} go back on sale at once." in ask(staff, HOLDS, "release", hold[given.hold_id])
    assert "Now released." in act(staff, HOLDS, "release", hold[given.hold_id], reason="Customer called")
    assert "Held until" in act(staff, HOLDS, "extend", hold[longer.hold_id], ttl_seconds="3600", reason="On the phone")
    assert "leave the stock as sold" in ask(staff, HOLDS, "commit", hold[sold.hold_id])
    assert "Now committed." in act(staff, HOLDS, "commit", hold[sold.hold_id], reason="Paid in cash")

    assert counters(row) == [(8, 2, 6)]
    assert Hold.objects.get(pk=longer.hold_id).ttl_seconds == 3600
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "reason", "actor_name")) == [
        ("hold.released", "Customer called", "ada"),
        ("hold.extended", "On the phone", "ada"),
        ("hold.committed", "Paid in cash", "ada"),
    ]
    assert "It is committed already." in ask(staff, HOLDS, "release", hold[sold.hold_id])


def test_a_checkouts_hold_is_left_to_its_checkout(staff, guard):
    row = StockRowFactory(on_hand=10)
    placed = place(row, 2, held_for="checkout", now=timezone.now())
    guard.owned = {placed.hold_id}
    hold = Hold.objects.get()
    for name in ("release", "commit"):
        page = ask(staff, HOLDS, name, hold)
        assert "A checkout owns this hold" in page
        assert "Nothing can be done here" in page
    assert counters(row) == [(10, 2, 8)]


def test_a_holds_page(staff):
    row = StockRowFactory()
    placed = place(row, 2, now=timezone.now())
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    for word in (str(placed.hold_id), row.variant_key, "Active", "act-release", "act-extend", "act-commit"):
        assert word in page
    assert f'href="{STOCK}{row.pk}/change/"' in page, "the items lead to their stock"
    assert "Placed directly" in page
    assert "The reaper puts the units back on sale" in page
    assert queries(staff, f"{HOLDS}{placed.hold_id}/change/") == 8


def test_what_stands_behind_a_hold_and_how_long_it_can_be_extended(staff, guard):
    row = StockRowFactory()
    placed = held_by_a_checkout(guard, row, 2)
    hold = Hold.objects.get(pk=placed.hold_id)
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    assert "cs_test_checkout" in page
    assert "Its session is made unpayable." in page
    assert f'href="/admin/tenants/shop/{row.owner_id}/change/"' in page
    asked = ask(staff, HOLDS, "extend", hold)
    assert f"2 × {row.variant_key} stay held for as long from now as you enter, but not beyond 20" in asked

    guard.session_ends[placed.hold_id] = timezone.now() + timedelta(minutes=30)
    refused = act(staff, HOLDS, "extend", hold, ttl_seconds="3600", reason="On the phone")
    assert "A checkout owns this hold" in refused
    assert Hold.objects.get().expires_at == placed.expires_at


def test_a_hold_that_has_ended_says_how(staff):
    row = StockRowFactory()
    placed = place(row, 2, now=timezone.now())
    act(staff, HOLDS, "release", Hold.objects.get(pk=placed.hold_id), reason="Customer called")
    page = text_of(staff.get(f"{HOLDS}{placed.hold_id}/change/"))
    for word in ("Released", "staff:ada", "Customer called"):
        assert word in page
    assert "When its time is up" not in page


def test_movements_and_runs(staff):
    row = StockRowFactory()
    run_once(now=timezone.now(), pause_seconds=0)
    StockRow.objects.filter(pk=row.pk).update(on_hand=11)
    prove_stock()
    page = text_of(staff.get(MOVEMENTS))
    assert row.variant_key in page
    assert "Opening stock" in page
    assert f"{STOCK}{row.pk}/change/" in page
    page = text_of(staff.get(RUNS))
    for word in ("1 of 1 rows differ", "0 of 0 overdue holds given back", "Look into it", "Clean"):
        assert word in page


@pytest.mark.django_db(transaction=True)
def test_a_runs_page_lists_what_it_found(staff):
    """A row that drifted, and a hold that can't be given back because of it."""
    row = StockRowFactory()
    hold = place(row, 2, now=timezone.now() - timedelta(hours=1))
    StockRow.objects.filter(pk=row.pk).update(held=1)
    prove_stock()
    run_once(now=timezone.now(), pause_seconds=0)
    proof, reaped = InventoryRun.objects.get(kind="verify"), InventoryRun.objects.get(kind="reap")

    page = text_of(staff.get(f"{RUNS}{proof.pk}/change/"))
    said = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("What it found") :]).split())
    assert f"{row.variant_key} {row.owner_id} 1 2 10 10" in said
    assert f'href="{STOCK}{row.pk}/change/"' in page
    page = text_of(staff.get(f"{RUNS}{reaped.pk}/change/"))
    assert f'href="{HOLDS}{hold.hold_id}/change/"' in page
    assert "held_within_on_hand" in page


@pytest.mark.parametrize("url", [STOCK, HOLDS, MOVEMENTS, RUNS])
def test_nothing_is_edited_or_deleted(staff, url):
    make_stock()
    make_run()
    model = {STOCK: StockRow, HOLDS: Hold, MOVEMENTS: StockMovement}.get(url)
    if model:
        pk = model.objects.first().pk
        assert staff.post(f"{url}{pk}/change/", {"on_hand": 5, "status": "released"}).status_code == 403
        assert staff.post(f"{url}{pk}/delete/", {"post": "yes"}).status_code == 403
    if url != STOCK:
        assert staff.get(f"{url}add/").status_code == 403


def test_whoever_only_looks_may_not_act(onlooker):
    row = StockRowFactory()
    placed = place(row, now=timezone.now())
    text_of(onlooker.get(STOCK))
    assert "act-adjust" not in text_of(onlooker.get(f"{STOCK}{row.pk}/change/"))
    assert onlooker.get(f"{STOCK}{row.pk}/act-adjust/").status_code == 403
    assert onlooker.get(f"{HOLDS}{placed.hold_id}/act-release/").status_code == 403
    assert onlooker.post(f"{HOLDS}act/release/", {}).status_code == 403
    assert onlooker.get(f"{STOCK}add/").status_code == 403
    assert counters(row) == [(10, 1, 9)]

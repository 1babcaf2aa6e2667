"""A pool's stock in and out by the platform's staff: the same preview, movements and undo as a shop's (I9, I10)."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from inventory.bulk.batches import confirm_import, receive_import_within
from inventory.bulk.corrections import retry_row
from inventory.bulk.formats import FileRefused
from inventory.bulk.rows import Mode
from inventory.models import Pool, StockImport, StockImportRow, StockMovement, StockRow
from inventory.tasks import work_on_pool_import
from inventory.verify import verify_stock
from tenants.errors import NotFound
from tenants.models import AuditEntry
from tests.commerce.backoffice import address, desk, text
from tests.factories.inventory import PoolFactory, PoolRouteFactory, StockRowFactory
from tests.inventory.bulk.steps import ADA, confirm, csv_of, moved, on_hand, read, receive, rows_of, shop_with, undo
from tests.inventory.bulk.test_admin import ADD, clerk, upload
from tests.inventory.steps import place

pytestmark = pytest.mark.django_db
POOL = "pool:main"


@pytest.fixture
def rows():
    """Ten A and five B in the pool, three of the A held by a shop that sells them as its own X."""
    pool = PoolFactory(id=POOL)
    a = StockRowFactory(owner=pool, sku="A", on_hand=10)
    b = StockRowFactory(owner=pool, sku="B", on_hand=5)
    shop = shop_with(S=5)
    route = PoolRouteFactory(shop=shop, sku="X", stock_row=a)
    place(route, 3, shop_id=shop.pk, now=timezone.now())
    return a, b


def export(at, **query):
    answer = at.client.get(address(StockImport, "export"), {"format": "csv", **query})
    return b"".join(answer.streaming_content) if answer.streaming else answer


def test_from_export_to_undo(rows):
    owner = desk()
    file = export(owner, pool=POOL).decode("utf-8-sig")
    assert file.splitlines() == ["variant_key,on_hand,held,available,low_stock_threshold", "A,10,3,7,0", "B,5,0,5,0"]
    page = text(upload(owner, file.replace("A,10", "A,14").replace("B,5,0,5,0", "B,5,0,5,2").encode(), "", pool=POOL))
    batch = StockImport.objects.get()
    assert (batch.owner_id, batch.shop_id) == (POOL, None)
    assert "Being read" in page

    work_on_pool_import(pool_id=POOL, import_id=batch.pk)
    page = text(owner.page(batch))
    for said in ("To be confirmed", "Other numbers 1", "Other thresholds alone 1", POOL):
        assert said in page
    assert "A Will change: other number 10 → 14 (+4)" in text(owner.list(StockImportRow, batch__exact=batch.pk))
    assert on_hand(POOL) == {"A": 10, "B": 5}, "a preview"
    assert "Being applied" in owner.do(StockImport, "confirm", batch, reason="Delivery 12")

    work_on_pool_import(pool_id=POOL, import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.status, on_hand(POOL)) == ("applied", {"A": 14, "B": 5})
    assert moved(batch) == [("A", 4, "recount")]
    movement = StockMovement.objects.get(reference=batch.movement_reference)
    assert (movement.for_shop, movement.actor, movement.note) == (None, "staff:owner", "Delivery 12")
    assert "Being undone" in owner.do(StockImport, "undo", batch, reason="Of another depot")

    work_on_pool_import(pool_id=POOL, import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.status, on_hand(POOL)) == ("undone", {"A": 10, "B": 5})
    assert StockRow.objects.get(owner_id=POOL, sku="B").low_stock_threshold == 0
    assert verify_stock(owner_id=POOL).clean
    entries = AuditEntry.objects.filter(action__startswith="stock_import.").order_by("pk")
    told = list(entries.values_list("action", "shop_id"))
    steps = ("received", "confirmed", "applied", "undo_begun", "undone")
    assert told == [(f"stock_import.{step}", None) for step in steps], "the platform's trail"
    assert on_hand("acme")["HB#size:S"] == 5


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_an_export_imports_as_unchanged_and_nowhere_else(rows, kind):
    file = export(desk(), pool=POOL, format=kind)
    batch = confirm(read(file, POOL))
    assert rows_of(batch, "state") == [("unchanged",), ("unchanged",)]
    assert moved(batch) == []
    if kind == "json":
        assert json.loads(file)["shop"] == POOL
        assert "another shop" in read(file, "acme").problem
        assert "another shop" in read(file.replace(b"pool:main", b"pool:other"), POOL).problem


def test_fewer_than_are_held_are_refused_and_say_who_holds_them(rows):
    batch = confirm(read(csv_of("A,2,", "B,4,"), POOL))
    refused = StockImportRow.objects.get(state="failed")
    assert (refused.code, "3 of 10 units are held" in refused.problem) == ("held", True)
    assert on_hand(POOL) == {"A": 10, "B": 4}
    after = retry_row(shop_id=POOL, row_id=refused.pk, reason="Typo", acting=ADA, corrected={"quantity": "12"})
    assert (after.state, after.owner_id, after.shop_id) == ("applied", POOL, None)
    assert on_hand(POOL) == {"A": 12, "B": 4}
    assert undo(batch).status == "undone"
    assert on_hand(POOL) == {"A": 10, "B": 5}


def test_a_variant_that_the_pool_lacks_is_refused_unless_it_is_meant(rows):
    """There is no catalog to ask: what a pool has rows of is what it knows."""
    assert rows_of(read(csv_of("A,11,", "HB#size:S,3,"), POOL), "variant_key", "state", "problem") == [
        ("A", "pending", ""), ("HB#size:S", "failed", "The pool has no row of this variant."),
    ]  # fmt: skip
    batch = confirm(read(csv_of("NEW,3,1"), POOL, unknown_skus=True))
    assert moved(batch) == [("NEW", 3, "opening")]
    assert on_hand(POOL)["NEW"] == 3


def test_a_delivery_counts_once_per_pool_and_reference(rows):
    PoolFactory(id="pool:other")
    StockRowFactory(owner_id="pool:other", owner=Pool.objects.get(pk="pool:other"), sku="A", on_hand=1)
    data = csv_of("A,5", header="variant_key,delta")
    for owner_id in (POOL, "pool:other"):
        confirm(read(data, owner_id, Mode.DELTA, reference="LS-1"))
        with pytest.raises(FileRefused, match="added before"):
            receive(data, owner_id, Mode.DELTA, reference="LS-1")
    assert (on_hand(POOL)["A"], on_hand("pool:other")["A"]) == (15, 6)


def test_pools_that_are_not_there(rows):
    with pytest.raises(NotFound):
        receive_import_within(shop_id="pool:none", file_name="x", data=csv_of("A,1,"), mode=Mode.SET, acting=ADA)
    batch = read(csv_of("A,1,"), POOL)
    for other in ("acme", "pool:other", "pool:none"):
        with pytest.raises(NotFound):
            confirm_import(shop_id=other, import_id=batch.pk, reason="Mine", acting=ADA)
    assert StockImport.objects.get().status == "ready"


class TestWhoMay:
    def test_staff_choose_a_shop_or_a_pool(self, rows):
        owner = desk()
        for both in ({"shop": "acme", "pool": POOL}, {"shop": "", "pool": ""}):
            assert "one of the two" in text(upload(owner, csv_of("A,1,"), **both))
            assert "one of the two" in text(export(owner, **both))
        assert not StockImport.objects.exists()

    def test_a_shops_staff_come_near_no_pool(self, rows):
        own = rows[0].routes.get().shop
        kinds = ("stockimport", "stockimportrow")
        permissions = tuple(f"{act}_{kind}" for act in ("view", "add", "change") for kind in kinds)
        at = clerk(own, permissions=(*permissions, "view_stockrow", "change_stockrow"))
        page = at.client.get(ADD)
        assert (page.status_code, 'name="pool"' in page.content.decode()) == (200, False)
        refused = upload(at, csv_of("A,1,"), "", pool=POOL)
        assert "Select a valid choice" in refused.content.decode() or "one of the two" in text(refused)
        assert "one of the two" in text(export(at, pool=POOL))
        assert not StockImport.objects.exists()
        theirs = read(csv_of("A,9,"), POOL)
        assert text(at.list(StockImport)).count("stock.csv") == 0
        assert at.page(theirs).status_code in {302, 403, 404}
        assert at.client.get(address(StockImport, "failed_rows", theirs.pk)).status_code == 404
        assert theirs.status == "ready"


class TestCommands:
    def test_a_pool_is_named_like_a_shop(self, rows, tmp_path, capsys):
        out = tmp_path / "pool.csv"
        call_command("export_stock", "--shop", POOL, "--output", str(out))
        out.write_bytes(out.read_bytes().replace(b"B,5", b"B,8"))
        call_command("import_stock", str(out), "--shop", POOL, "--apply", "--reason", "Count")
        assert on_hand(POOL) == {"A": 10, "B": 8}
        call_command("import_stock", "--shop", POOL, "--undo", str(StockImport.objects.get().pk), "--reason", "Wrong")
        assert on_hand(POOL) == {"A": 10, "B": 5}

    @pytest.mark.parametrize("command", ["export_stock", "import_stock"])
    def test_one_that_is_not_there(self, rows, command, tmp_path):
        with pytest.raises(CommandError, match="no shop or pool 'pool:none'"):
            call_command(command, *([str(tmp_path)] if command == "import_stock" else []), "--shop", "pool:none")

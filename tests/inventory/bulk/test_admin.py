"""Staff upload a file, look at what it would do, confirm, take back, correct and export (A2, I10)."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from inventory.bulk.formats import MAX_BYTES
from inventory.models import StockImport, StockImportRow, StockRow
from tenants.models import Membership
from tests.commerce.backoffice import Desk, address, desk, queries, text
from tests.inventory.bulk.steps import csv_of, key, on_hand, read, shop_with, work

pytestmark = pytest.mark.django_db
ADD = address(StockImport, "add")


def upload(at, data, shop="acme", name="stock.csv", **fields):
    file = SimpleUploadedFile(name, data)
    return at.client.post(ADD, {"shop": shop, "file": file, "mode": "set", **fields}, follow=True)


def clerk(*shops, permissions=("view_stockimport", "add_stockimport", "view_stockimportrow")):
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    for shop in shops:
        Membership.objects.create(user=user, shop=shop)
    client = Client(headers={"Host": "localhost"})
    client.force_login(user)
    return Desk(client)


def test_from_upload_to_undo():
    shop_with(S=5)
    owner = desk()
    page = text(upload(owner, csv_of(f"{key('S')},9,2", f"{key('L')},4,", "nonsense|,3,")))
    batch = StockImport.objects.get()
    assert f"Import {batch.pk}: stock.csv" in page
    assert "Being read" in page
    assert "looks again every two seconds" in page
    page = text(owner.page(work(batch)))
    for word in ("To be confirmed", "New rows 1", "Other numbers 1", "Can't be applied 1"):
        assert word in page
    rows = text(owner.list(StockImportRow, batch__exact=batch.pk))
    assert f"{key('S')} Will change: other number 5 → 9 (+4) 0 → 2" in rows
    asked = text(owner.ask(StockImport, "confirm", batch))
    assert (
        "Opens 1 rows, changes 1 and 0 thresholds alone; 0 stay as they are; 1 can't be applied and are kept." in asked
    )
    assert "Being applied" in owner.do(StockImport, "confirm", batch, reason="Stocktaking")
    assert "0 of 3 rows" not in text(owner.page(batch))
    assert on_hand() == {key("S"): 5}
    page = text(owner.page(work(batch)))
    assert "Applied 2" in page
    assert on_hand() == {key("S"): 9, key("L"): 4}
    assert "Takes 2 rows back" in text(owner.ask(StockImport, "undo", batch))
    owner.do(StockImport, "undo", batch, reason="Wrong file")
    assert "Undone 2" in text(owner.page(work(batch)))
    assert on_hand() == {key("S"): 5, key("L"): 0}


def test_no_action_without_a_reason_and_none_twice():
    shop_with(S=5)
    owner, batch = desk(), read(csv_of(f"{key('S')},9,"))
    owner.do(StockImport, "confirm", batch, reason="")
    assert StockImport.objects.get().status == "ready"
    asked = owner.ask(StockImport, "confirm", batch)
    for _ in range(2):
        owner.confirm(StockImport, "confirm", asked, reason="Stocktaking")
    work(batch)
    assert on_hand() == {key("S"): 9}
    assert "Nothing can be done here" in text(owner.ask(StockImport, "confirm", batch))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\x89PNG\x00", "neither CSV, nor an .xlsx workbook, nor JSON"),
        ("sku,on_hand\nÄ,1".encode("latin-1"), "Line 2 is not UTF-8"),
        (b"a" * (MAX_BYTES + 1), "more than 16 MiB"),
    ],
    ids=["empty", "picture", "latin", "large"],
)
def test_what_is_no_stock_file_is_refused_at_once(data, says):
    shop_with()
    assert says in text(upload(desk(), data))
    assert not StockImport.objects.exists()


def test_an_upload_beyond_all_measure_is_not_even_read():
    shop_with()
    answer = upload(desk(), b"a" * (18 * 1024 * 1024))
    assert (answer.status_code, StockImport.objects.exists()) == (413, False)
    elsewhere = desk_post(address(StockRow, "add"), b"a" * (2 * 1024 * 1024))
    assert elsewhere.status_code == 413


def desk_post(url, data):
    client = Client(headers={"Host": "localhost"})
    return client.post(url, {"file": SimpleUploadedFile("x", data)})


def test_the_files_name_is_shown_and_never_believed():
    shop_with(S=5)
    page = text(upload(desk(), b'{"A": 1}', name="..\\..\\<b>evil</b>\x07.xlsx"))
    batch = StockImport.objects.get()
    assert (batch.format, batch.file_name) == ("json", "b>.xlsx")
    assert "b>.xlsx" in page


def test_correcting_and_dismissing_rows():
    shop_with(S=5)
    owner = desk()
    batch = read(csv_of(f"{key('S')},1O,", "HB#size:XXL,2,"))
    first, second = StockImportRow.objects.order_by("position")
    assert "joins the preview" in text(owner.ask(StockImportRow, "correct", first))
    done = owner.do(StockImportRow, "correct", first, reason="A letter O", quantity="10")
    assert "Will change, +5 units." in done
    assert "The catalog has no such variant." in owner.do(StockImportRow, "retry", second, reason="Now?")
    assert "It said: The catalog has no such variant." in text(owner.ask(StockImportRow, "dismiss", second))
    owner.do(StockImportRow, "dismiss", second, reason="No such size")
    owner.do(StockImport, "confirm", batch, reason="Stocktaking")
    work(batch)
    assert (on_hand(), StockImportRow.objects.get(pk=second.pk).state) == ({key("S"): 10}, "dismissed")


def test_a_clerk_uploads_for_the_own_shop_alone_and_moves_nothing():
    own, other = shop_with(S=5), shop_with("other", S=5)
    at = clerk(own)
    page = at.client.get(ADD)
    assert "other" not in {value for value, _ in page.context["adminform"].form.fields["shop"].choices}
    refused = upload(at, csv_of(f"{key('S')},1,"), shop="other")
    assert "Select a valid choice" in text(refused)
    assert not StockImport.objects.exists()
    upload(at, csv_of(f"{key('S')},1,"))
    batch = work(StockImport.objects.get())
    assert batch.shop_id == "acme"
    assert at.ask(StockImport, "confirm", batch).status_code in {302, 200}
    assert "act_confirm" not in dict(at.list(StockImport).context["action_form"].fields["action"].choices)
    theirs = read(csv_of(f"{key('S')},2,"), other.pk)
    failed = reverse_failed(theirs)
    assert at.page(theirs).status_code in {302, 403, 404}
    assert at.client.get(failed).status_code == 404
    assert at.client.get(address(StockImport, "export"), {"shop": "acme", "format": "csv"}).status_code == 403


def reverse_failed(batch):
    return address(StockImport, "failed_rows", batch.pk)


def test_downloads():
    shop_with(S=5, M=0)
    owner, batch = desk(), read(csv_of(f"{key('S')},x,"))
    answer = owner.client.get(reverse_failed(batch))
    assert b"whole number" in b"".join(answer.streaming_content)
    answer = owner.client.get(address(StockImport, "template"), {"mode": "delta"})
    assert b"".join(answer.streaming_content).decode("utf-8-sig") == "variant_key,delta,low_stock_threshold\r\n"
    form = owner.client.get(address(StockImport, "export"))
    assert "Variant begins with" in text(form)
    answer = owner.client.get(address(StockImport, "export"), {"shop": "acme", "format": "csv", "which": "out"})
    assert answer["Content-Disposition"] == 'attachment; filename="stock-acme.csv"'
    assert b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()[1:] == [f"{key('M')},0,0,0,0"]
    answer = owner.client.get(address(StockImport, "export"), {"shop": "acme", "format": "pdf"})
    assert "Select a valid choice" in text(answer)


def test_the_stock_list_leads_to_import_and_export():
    shop_with(S=5)
    owner = desk()
    page = owner.list(StockRow).content.decode()
    links = re.findall(r'href="([^"]*(?:import|export)-link[^"]*)"', page)
    assert [owner.client.get(link)["Location"] for link in links] == [ADD, address(StockImport, "export")]


@pytest.mark.parametrize(("model", "count"), [(StockImport, 7), (StockImportRow, 7)])
def test_a_lists_queries_do_not_grow(model, count):
    shop_with(S=5)
    owner = desk()
    read(csv_of(f"{key('S')},9,", "nonsense|,1,"))
    assert queries(lambda: owner.list(model)) == count
    for number in range(3):
        read(csv_of(f"{key('S')},{number},", "nonsense|,1,"))
    assert queries(lambda: owner.list(model)) == count

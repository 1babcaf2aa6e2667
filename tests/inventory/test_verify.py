"""The proof (I13): any drift is found, none is repaired."""

from __future__ import annotations

import json

import pytest
from celery import current_app
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection

from inventory import tasks
from inventory.alert_channels import NotTold
from inventory.drift_mail import mail_drift
from inventory.holds import commit_hold, release_hold
from inventory.models import InventoryRun, StockRow
from inventory.stock import adjust_stock
from inventory.verify import Drift, prove_stock, verify_stock
from tests.factories.inventory import StockRowFactory
from tests.inventory.steps import API, NOW, STAFF, counters, place

pytestmark = pytest.mark.django_db


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def busy_shop():
    row = StockRowFactory(on_hand=20)
    place(row, 1, key="active")
    sold, given = place(row, 2, key="sold"), place(row, 4, key="given back")
    commit_hold(shop_id=row.owner_id, hold_id=sold.hold_id, reason="", acting=API, now=NOW)
    release_hold(shop_id=row.owner_id, hold_id=given.hold_id, reason="", acting=API, now=NOW)
    adjust_stock(
        shop_id=row.owner_id, stock_row_id=row.pk, delta=-3, reason="adjustment", note="", acting=STAFF, now=NOW
    )
    return row


def test_a_true_history_is_clean():
    row = busy_shop()
    StockRowFactory(on_hand=0)
    assert counters(row) == [(15, 1, 14)]
    proof = verify_stock()
    assert (proof.rows, proof.drifted, proof.drifts, proof.clean) == (2, {}, (), True)


@pytest.mark.parametrize(
    ("tamper", "held", "on_hand"),
    [
        ("UPDATE inventory_stockrow SET held = 0 WHERE id = %s", (0, 1), (15, 15)),
        ("UPDATE inventory_stockrow SET on_hand = 16 WHERE id = %s", (1, 1), (16, 15)),
        ("DELETE FROM inventory_holditem WHERE stock_row_id = %s", (1, 0), (15, 15)),
        (
            "INSERT INTO inventory_stockmovement"
            " (owner_id, stock_row_id, delta, on_hand_after, reason, reference, actor, note, request_id, at)"
            " SELECT owner_id, id, 5, 20, 'receipt', '', '', '', '', now() FROM inventory_stockrow WHERE id = %s",
            (1, 1),
            (15, 20),
        ),
    ],
)
def test_drift_is_found_and_left_alone(tamper, held, on_hand):
    row, other = busy_shop(), busy_shop()
    sql(tamper, row.pk)
    before = counters(row, other)

    proof = verify_stock()

    assert proof.drifts == (Drift(row.pk, row.owner_id, row.variant_key, *held, *on_hand),)
    assert proof.drifted == {row.owner_id: 1}
    assert not proof.clean
    assert counters(row, other) == before
    assert verify_stock(owner_id=other.owner_id).clean
    assert not verify_stock(owner_id=row.owner_id).clean


def test_a_report_is_cut_and_its_counts_are_not():
    owner = StockRowFactory(on_hand=0).owner
    StockRow.objects.bulk_create(StockRow(owner=owner, sku="X", variant_key=f"X{n:05}", on_hand=1) for n in range(1500))
    proof = verify_stock()
    assert (proof.rows, proof.drifted, len(proof.drifts)) == (1501, {owner.pk: 1500}, 1000)
    assert proof.drifts[-1].variant_key == "X00999"


def test_a_proof_is_one_statement(django_assert_num_queries):
    """One statement is one moment: sales go on meanwhile."""
    busy_shop()
    with django_assert_num_queries(1):
        assert verify_stock().clean


def test_the_run_is_remembered():
    row = busy_shop()
    assert prove_stock().clean
    StockRow.objects.filter(pk=row.pk).update(held=0)
    assert tasks.verify_stock.name == "inventory.verify_stock"
    tasks.verify_stock.apply(throw=True)
    runs = list(InventoryRun.objects.order_by("finished_at").values_list("kind", "healthy", "report__drifted"))
    assert runs == [("verify", True, {}), ("verify", False, {row.owner_id: 1})]


@pytest.fixture
def drifted(settings):
    """A remembered proof that isn't clean, and somebody to tell."""
    settings.EMAIL_URL, settings.STOCK_ALERT_RECIPIENT = "consolemail://", ("ops@platform.test",)
    row = busy_shop()
    StockRow.objects.filter(pk=row.pk).update(held=0)
    return row


def test_drift_is_mailed_to_the_platform(drifted):
    proof = prove_stock()
    tasks.mail_drift.apply(kwargs={"run_id": proof.run_id}, throw=True)
    (message,) = mail.outbox
    assert (message.subject, message.to) == ("Stock differs from its history: 1 of 1 rows", ["ops@platform.test"])
    assert message.extra_headers["Message-ID"].startswith(f"<stock-proof-{proof.run_id}@")
    assert f"{drifted.owner_id}  {drifted.variant_key}" in message.body
    assert "held 0, by hold items 1; on hand 15, by movements 15" in message.body
    assert f"/admin/inventory/inventoryrun/{proof.run_id}/change/" in message.body
    assert "more" not in message.body


@pytest.mark.parametrize(("setting", "value"), [("EMAIL_URL", ""), ("STOCK_ALERT_RECIPIENT", ())])
def test_nobody_to_tell_is_in_the_log(drifted, settings, setting, value, caplog):
    setattr(settings, setting, value)
    tasks.mail_drift.apply(kwargs={"run_id": prove_stock().run_id}, throw=True)
    assert mail.outbox == []
    assert "stock_drift_not_mailed" in caplog.text


def test_a_mail_server_that_is_away_is_asked_again(drifted, settings):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    settings.EMAIL_PORT = 9
    with pytest.raises(NotTold, match="ConnectionRefusedError"):
        mail_drift(run_id=prove_stock().run_id)
    assert NotTold in tasks.mail_drift.autoretry_for


def test_the_nightly_task_tells_only_of_drift(drifted):
    current_app.conf.task_always_eager = True
    try:
        tasks.verify_stock.apply(throw=True)
        assert len(mail.outbox) == 1
        StockRow.objects.filter(pk=drifted.pk).update(held=1)
        tasks.verify_stock.apply(throw=True)
        assert len(mail.outbox) == 1
    finally:
        current_app.conf.task_always_eager = False


def test_the_command(tmp_path, capsys):
    row = busy_shop()
    target = tmp_path / "proof.json"
    call_command("verify_stock", "--json", str(target))
    assert "1 rows agree with their history" in capsys.readouterr().out
    assert json.loads(target.read_text())["clean"] is True

    StockRow.objects.filter(pk=row.pk).update(held=0)
    with pytest.raises(CommandError, match="1 of 1 rows differ"):
        call_command("verify_stock", "--json", str(target))
    assert row.variant_key in capsys.readouterr().err
    with pytest.raises(CommandError, match="nobody has no stock"):
        call_command("verify_stock", "--shop", "nobody")
    other, runs = busy_shop(), InventoryRun.objects.count()
    call_command("verify_stock", "--shop", other.owner_id)
    with pytest.raises(CommandError, match="1 of 1 rows differ"):
        call_command("verify_stock", "--shop", row.owner_id)
    assert InventoryRun.objects.count() == runs, "one shop's proof is no news of the platform"
    report = json.loads(target.read_text())
    assert report["drifts"] == [
        {
            "stockRowId": row.pk,
            "owner": row.owner_id,
            "variantKey": row.variant_key,
            "held": {"row": 0, "holdItems": 1},
            "onHand": {"row": 15, "movements": 15},
        }
    ]

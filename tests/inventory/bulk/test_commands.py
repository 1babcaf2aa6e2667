"""`manage.py import_stock` and `export_stock`, as an operator calls them."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from inventory.models import StockImport, StockMovement
from tests.inventory.bulk.steps import csv_of, key, on_hand, shop_with

pytestmark = pytest.mark.django_db


def call(command, *arguments):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue() + str(error)
    return out.getvalue(), ""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "stock.csv"
    path.write_bytes(csv_of(f"{key('S')},9,", f"{key('M')},4,"))
    return path


def test_a_look_moves_nothing_and_apply_does(file):
    shop_with(S=5)
    out, _ = call("import_stock", str(file), "--shop", "acme")
    assert f"line 2: {key('S')} 5 -> 9" in out
    assert "Nothing has been moved." in out
    assert on_hand() == {key("S"): 5}
    out, err = call("import_stock", str(file), "--shop", "acme", "--apply", "--reason", "Count", "--json")
    assert (json.loads(out)["counts"], err) == ({"applied": 2}, "")
    assert on_hand() == {key("S"): 9, key("M"): 4}
    assert set(StockMovement.objects.exclude(reference="").values_list("note", flat=True)) == {"Count"}
    batch = StockImport.objects.get()
    out, err = call("import_stock", "--shop", "acme", "--undo", str(batch.pk), "--reason", "Wrong file")
    assert (f"Import {batch.pk}: Undone." in out, err, on_hand()) == (True, "", {key("S"): 5, key("M"): 0})


def test_rows_that_fail_are_said_and_the_command_fails(tmp_path):
    shop_with(S=5)
    path = tmp_path / "inventory.json"
    path.write_text(f'{{"{key("S")}": 7,\n "HB": {{"size:XXL": 1}}}}')
    out, err = call("import_stock", str(path), "--shop", "acme", "--apply", "--reason", "Moving in")
    assert "line 2: HB#size:XXL The catalog has no such variant." in err
    assert "kept with their reasons" in err
    assert "applied: 1" in out
    assert on_hand() == {key("S"): 7}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shop", "nobody"], "There is no shop or pool 'nobody'."),
        (["--shop", "acme", "--apply"], "Say why with --reason."),
        (["--shop", "acme", "--apply", "--reason", " a "], "Say why with --reason."),
        (["--shop", "acme", "--undo", "1", "--reason", "Why"], "Name a file, or an import to --undo."),
    ],
)
def test_what_is_not_said_is_asked_for(file, arguments, says):
    shop_with(S=5)
    assert says in call("import_stock", str(file), *arguments)[1]
    assert (on_hand(), StockImport.objects.count()) == ({key("S"): 5}, 0)


def test_other_refusals(tmp_path):
    shop_with(S=5)
    assert "can't be read: No such file" in call("import_stock", str(tmp_path / "none.csv"), "--shop", "acme")[1]
    (tmp_path / "empty.csv").write_text("")
    assert "The file is empty." in call("import_stock", str(tmp_path / "empty.csv"), "--shop", "acme")[1]
    assert "no such import" in call("import_stock", "--shop", "acme", "--undo", "99", "--reason", "Why")[1]
    assert "There is no shop" in call("export_stock", "--shop", "nobody")[1]
    assert "CSV or xlsx" in call("export_stock", "--shop", "acme", "--template", "set", "--format", "json")[1]
    assert "can't be written" in call("export_stock", "--shop", "acme", "--output", str(tmp_path / "no" / "x"))[1]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_what_is_exported_imports_as_unchanged(tmp_path, kind):
    shop_with(S=5, M=0)
    path = tmp_path / f"stock.{kind}"
    assert call("export_stock", "--shop", "acme", "--format", kind, "--output", str(path)) == ("", "")
    out, err = call("import_stock", str(path), "--shop", "acme", "--json")
    assert (json.loads(out)["counts"], err) == ({"unchanged": 2}, "")


def test_an_export_of_some_rows_to_standard_output(capfdbinary):
    shop_with(S=5, M=0)
    call("export_stock", "--shop", "acme", "--rows", "out")
    assert capfdbinary.readouterr().out.decode("utf-8-sig").splitlines()[1:] == [f"{key('M')},0,0,0,0"]

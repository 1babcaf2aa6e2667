"""The benchmark runs, says what the contract says, and leaves nothing. What it measures is for quiet machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from commerce.models import JournalEntry, Order
from config.bench import front_door, holds, http, reaper
from config.bench.hold_callers import Callers
from config.bench.hold_stage import counted as counted_now
from config.bench.hold_stage import prove, stage
from config.bench.report import Row, percentile, table, write_json
from inventory.models import Hold, InventoryRun, StockMovement, StockRow
from tenants.models import AuditEntry, Host, Shop
from tests.fixtures.prepared import own_database_url
from webhooks.models import StripeEvent

MEMBERS = {
    "case", "lines", "hot", "callers", "perSecond", "ratioToFloor", "ratioToClassic", "p50Ms", "p95Ms", "p99Ms",
}  # fmt: skip


@pytest.fixture
def shared_database(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers and callers are other processes: they must meet the test database."""
    monkeypatch.setenv("DATABASE_URL", own_database_url())


def nothing_is_left() -> bool:
    models = (Shop, Host, Hold, StockRow, InventoryRun, Order, StockMovement, JournalEntry, AuditEntry, StripeEvent)
    return not any(model._default_manager.exists() for model in models)


def says_what_the_contract_says(rows: list[Row], folder: Path) -> bool:
    write_json(folder / "bench.json", "name", rows)
    report = json.loads((folder / "bench.json").read_text())
    return set(report) == {"name", "machine", "rows"} and all(set(row) == MEMBERS for row in report["rows"])


def test_the_front_door_beside_an_empty_view(shared_database: None, tmp_path: Path):
    rows = front_door.run(rounds=1)
    cases = [(row.case, row.callers) for row in rows]
    assert cases == [(case, callers) for callers in (1, 4) for case in ("floor", "front_door", "empty_view")]
    for row in rows:
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
        assert row.per_second > 0
    assert {row.ratio_to_floor for row in rows if row.case == "floor"} == {1.0}
    assert says_what_the_contract_says(rows, tmp_path)
    assert len(table(rows).splitlines()) == 7
    assert nothing_is_left()


def test_holds_beside_pgbench_and_the_classic_way(shared_database: None, tmp_path: Path):
    size = holds.Size(rounds=1, warming=0, turn_seconds=0.05, floor_seconds=1, skus=30, past=100, callers=((1, 2),))
    rows = holds.run(size)
    cases = ("pgbench", "verb", "together", "verb_as_owner", "classic")
    expected = [(case, lines, hot, 2) for hot in (False, True) for lines in (1, 3) for case in cases]
    assert [(row.case, row.lines, row.hot, row.callers) for row in rows] == expected
    assert {row.ratio_to_floor for row in rows if row.case == "pgbench"} == {1.0}
    assert {row.ratio_to_classic for row in rows if row.case == "classic"} == {1.0}
    assert says_what_the_contract_says(rows, tmp_path)
    assert nothing_is_left()


def test_what_a_caller_does_not_account_for_is_found(transactional_db: None):
    with stage(skus=3, past=100):
        before = counted_now()
        StockRow.objects.filter(owner_id="bench-holds", variant_key="bench-1").update(held=1)
        with pytest.raises(RuntimeError, match="not conserved"):
            prove(before, placed=0, lines=1)


def test_callers_that_fail_say_so(shared_database: None):
    # Without a stage there is no shop to hold for.
    with (
        holds.started(1, 1) as callers,
        pytest.raises(RuntimeError, match="callers failed"),
    ):
        assert isinstance(callers, Callers)
        callers.take(holds.Turn("verb", 1, hot=False, skus=3, seconds=0.05))


def test_the_reaper_beside_the_classic_way(shared_database: None, tmp_path: Path):
    size = reaper.Size(
        holds=150, classic_holds=5, rounds=2, alone_seconds=0.1, turn_seconds=0.05, skus=30, past=100, callers=(1, 2)
    )
    rows = reaper.run(size)
    reapers = ["reaper", "reaper_full_speed", "reaper_busy"]
    assert [row.case for row in rows] == ["classic", *reapers, "verb_alone", "verb_meanwhile"]
    assert says_what_the_contract_says(rows, tmp_path)
    assert nothing_is_left()


def test_endpoints_beside_an_empty_view(shared_database: None, tmp_path: Path):
    size = http.Size(rounds=1, warming=0, callers=(1, 3), turn_seconds=0.03, skus=30, past=100, checkouts=3)
    rows = http.run(size)
    names = [endpoint.case for endpoint in http.ENDPOINTS]
    expected = [case for _ in size.callers for name in names for case in ("empty_view", name, f"{name}_as_owner")]
    assert [row.case for row in rows] == expected
    assert says_what_the_contract_says(rows, tmp_path)
    assert nothing_is_left()


def test_some_cases_of_the_endpoints_alone():
    assert [(endpoint.case, endpoint.lines) for endpoint in http.chosen(["cart", "hold"])] == [
        ("hold", 1), ("hold", 3), ("cart", 0),
    ]  # fmt: skip
    assert http.chosen(http.CASES) == list(http.ENDPOINTS)


def test_only_endpoints_are_measured_one_by_one():
    with pytest.raises(CommandError, match="compared with each other"):
        call_command("bench", "holds", only=["hold"])


def test_production_is_no_place_for_it(settings: Settings):
    settings.ENVIRONMENT = "production"
    with pytest.raises(CommandError, match="serve nobody"):
        call_command("bench", "front_door")


def test_an_unknown_name_is_refused():
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("bench", "moon")


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_percentiles(share: float, value: float):
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value

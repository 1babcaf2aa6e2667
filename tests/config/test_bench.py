"""The benchmark runs, says what the contract says, and leaves nothing. What it measures is for quiet machines."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from config.bench import front_door
from config.bench.report import percentile, table, write_json
from config.env import env
from tenants.models import Host, Shop

MEMBERS = {
    "case", "lines", "hot", "callers", "perSecond", "ratioToFloor", "ratioToClassic", "p50Ms", "p95Ms", "p99Ms",
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_the_front_door_beside_an_empty_view(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # The server is another process: it must meet the test database.
    url = urlsplit(env.str("DATABASE_URL"))
    monkeypatch.setenv("DATABASE_URL", url._replace(path="/" + str(connection.settings_dict["NAME"])).geturl())
    rows = front_door.run(rounds=1)
    cases = [(row.case, row.callers) for row in rows]
    assert cases == [(case, callers) for callers in (1, 4) for case in ("floor", "front_door", "empty_view")]
    for row in rows:
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
        assert row.per_second > 0
    assert {row.ratio_to_floor for row in rows if row.case == "floor"} == {1.0}
    write_json(tmp_path / "bench.json", "front_door", rows)
    report = json.loads((tmp_path / "bench.json").read_text())
    assert set(report) == {"name", "machine", "rows"}
    assert [set(row) for row in report["rows"]] == [MEMBERS] * 6
    assert len(table(rows).splitlines()) == 7
    assert not Shop.objects.exists()
    assert not Host.objects.exists()


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

"""What is watched exists: rules and panels name metrics and labels of the code's own, and every alert has its chapter.

promtool, where there is one on the PATH, checks and tries the rules itself (Debian: package `prometheus`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from inventory.models import InventoryRun
from tenants.metrics import database_registry

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "config/monitoring"
LINE = re.compile(r"^(?P<indent> *)(?P<item>- )?(?P<name>[a-z_]+):(?: (?P<text>.*))?$")
WORDS = frozenset({"by", "and", "or", "unless", "offset", "sum", "max"})

# Requirement → what the alert's expression must contain.
THRESHOLDS = {
    "HoldsExpireNotice": ("notice", "> 0.1 "),
    "HoldsExpire": ("warning", "> 0.2 "),
    "CommitFailures": ("critical", "[5m])) > 5"),
    "ValidationFailures": ("warning", "* 60 > 50"),
    "RateLimited": ("warning", "> 0.01"),
    "TenantMismatch": ("critical", "> 0"),
    "MoneyInvariantViolated": ("critical", "> 0"),
    "StockInvariantViolated": ("critical", "> 0"),
    "ReaperLate": ("critical", "> 300"),
    "ValidateSlow": ("warning", "> 0.1"),
    "HoldSlow": ("warning", "> 0.2"),
    "WebhookSlow": ("warning", "> 0.5"),
    "FewHoldsCommitted": ("notice", "< 0.8"),
    "ExpiryLevelMissed": ("notice", "> 0.2"),
    "StockAccuracyMissed": ("critical", "< 0.99"),
}


def rules(name: str) -> list[dict[str, str]]:
    """The rules of a file, flat. The files keep to a part of YAML that needs no more: a key and a line of text each."""
    found: list[dict[str, str]] = []
    for line in (FOLDER / name).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        part = LINE.match(line)
        assert part is not None, line
        if part["name"] in {"alert", "record"}:
            found.append({})
        elif part["item"] and part["name"] != "name":
            raise AssertionError(line)
        if found and part["text"] and part["name"] not in {"name", "interval"}:
            assert part["name"] not in found[-1], line
            found[-1][part["name"]] = part["text"].strip('"')
    return found


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return list(dashboard["panels"])


def expressions() -> Iterator[tuple[str, str]]:
    for file in ("alerts.yml", "recording.yml"):
        for rule in rules(file):
            yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.fixture
def exposed(db: None) -> dict[str, set[str]]:
    """Series → its labels, as /metrics has them."""
    now = timezone.now()
    for kind, report in ((InventoryRun.Kind.REAP, {}), (InventoryRun.Kind.VERIFY, {"drifted": {}, "rows": 3})):
        InventoryRun.objects.create(kind=kind, started_at=now, finished_at=now, healthy=True, report=report)
    found: dict[str, set[str]] = {}
    for series, collector in list(REGISTRY._names_to_collectors.items()):
        found[series] = {*getattr(collector, "_labelnames", ()), *(["le"] if series.endswith("_bucket") else [])}
    for family in database_registry.collect():
        found[family.name] = {name for sample in family.samples for name in sample.labels}
    return found


def parts(expression: str) -> Iterator[tuple[str, str]]:
    """`(series, its matchers)` of an expression."""
    bare = re.sub(r"\[[^\]]*\]|offset \w+|by \([^)]*\)", "", expression)
    for series, matchers in re.findall(r"(?<![\w\"~$])([a-z_][\w:]*)(?!\w|\s*\()(\{[^}]*\})?", _without_texts(bare)):
        if series not in WORDS:
            yield series, matchers


def _without_texts(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def test_every_metric_and_every_label_is_the_codes_own(exposed: dict[str, set[str]]) -> None:
    recorded = {rule["record"] for rule in rules("recording.yml")}
    seen = set()
    for where, expression in expressions():
        known: set[str] = set()
        for series, matchers in parts(expression):
            seen.add(series)
            assert series in exposed or series in recorded, f"{where}: there is no {series}"
            labels = exposed.get(series, {"shop_id", "family"})
            known |= labels
            for label in re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", matchers):
                assert label in labels, f"{where}: {series} has no {label}"
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {name.strip() for name in group.split(",")} <= known, where
    assert {"http_requests_total", "webhook_dead_letters", "slo:hold_commit:ratio1d", "stock_rows_checked"} <= seen


def test_thresholds_are_those_of_the_requirements() -> None:
    alerts = {rule["alert"]: rule for rule in rules("alerts.yml")}
    for name, (severity, text) in THRESHOLDS.items():
        assert (alerts[name]["severity"], text in alerts[name]["expr"] + " ") == (severity, True), name


def test_every_alert_has_a_chapter_and_every_chapter_an_alert() -> None:
    chapters = {
        title.lower() for title in re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)
    }
    named = set()
    for rule in rules("alerts.yml"):
        assert set(rule) == {"alert", "expr", "for", "severity", "summary", "runbook_url"}, rule
        assert rule["severity"] in {"critical", "warning", "notice"}
        document, _, anchor = rule["runbook_url"].partition("#")
        assert document == "docs/runbook.md"
        named.add(anchor)
    assert named == chapters


def test_what_is_recorded_is_read() -> None:
    """But for the service levels, whose readers are people."""
    readers = " ".join(expression for _, expression in expressions())
    unread = [
        rule["record"]
        for rule in rules("recording.yml")
        if readers.count(rule["record"]) == 0 and not rule["record"].startswith("slo:")
    ]
    assert unread == []


def test_the_dashboard_is_one_that_grafana_can_import() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found) == len({panel["title"] for panel in found})
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found}
    assert len(places) == len(found)
    for panel in found:
        assert panel["targets"] and panel["description"], panel["title"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    titles = {panel["title"] for panel in found}
    assert {"Checkout success by shop", "Hold lifecycle", "Limiter", "Validation", "Reaper"} <= titles


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't installed")
@pytest.mark.parametrize(
    "words", [("check", "rules", "alerts.yml", "recording.yml"), ("test", "rules", "rules_test.yml")]
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    told = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr

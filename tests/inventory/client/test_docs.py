"""docs/clients.md, run as it is printed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.house.code import ROOT
from tests.inventory.client.authority import Authority, says
from tests.inventory.client.callers import MODULE, NODE

DOCS = ROOT / "docs" / "clients.md"
HOLD_ID = "0198c0de-0000-7000-8000-000000000001"
KEY = "SPORT-HEADBAND#color:teal"
LINE = {"sku": "SPORT-HEADBAND", "variantKey": KEY}
OK = {"ok": True, "shopId": "acme", "items": [{**LINE, "requested": 2, "available": 5}]}
HELD = {
    "holdId": HOLD_ID, "status": "active", "expiresAt": "2026-05-01T12:00:00Z", "idempotentHit": False,
    "items": [{**LINE, "quantity": 2}],
}  # fmt: skip


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return str(found)


def test_the_python_example(monkeypatch: pytest.MonkeyPatch):
    committed = {**HELD, "status": "committed"}
    with Authority([says(200, OK), says(201, HELD), says(200, HELD), says(200, committed)]) as authority:
        monkeypatch.setenv("INVENTORY_AUTHORITY_URL", authority.url)
        monkeypatch.setenv("INVENTORY_AUTHORITY_TOKEN", "tok")
        monkeypatch.setenv("INVENTORY_AUTHORITY_TIMEOUT", "60000")
        exec(example("python"), {})
    assert [line for line, _, _ in authority.asked] == [
        "POST /api/inventory/validate",
        "POST /api/inventory/holds",
        f"POST /api/inventory/holds/{HOLD_ID}/extend",
        f"POST /api/inventory/holds/{HOLD_ID}/commit",
    ]


def test_the_javascript_example(tmp_path: Path):
    if NODE is None:
        pytest.skip("The example is run with Node.js 18 or later: on Debian, apt-get install nodejs.")
    (tmp_path / "inventory-authority-client.js").write_text(MODULE.read_text())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "worker.js").write_text(
        example("js") + "\nconsole.log(JSON.stringify(await reserve(JSON.parse(process.argv[2]))));\n"
    )
    with Authority([says(200, OK), says(201, HELD)]) as authority:
        told = {"URL": authority.url, "TOKEN": "tok", "TIMEOUT": "60000"}
        env = json.dumps({f"INVENTORY_AUTHORITY_{name}": value for name, value in told.items()})
        command = [NODE, str(tmp_path / "worker.js"), env]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, '{"status":201,"holdId":"' + HOLD_ID + '"}\n'), done.stderr

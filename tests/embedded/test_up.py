"""`dev.py up` and `down` for real: a start from nothing, a kill, a start on what that left, every kind of death, an
orderly end.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.development import ROOT
from config.embedded.processes import alive, wait_until
from tests.embedded.conftest import fresh_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

OUTER = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
PROGRAMS = ("web", "worker", "beat", "standin")


class Up:
    """One running `dev.py up` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data of a test"
        self.ready_file = folder / "ready.json"
        # Neither the outer run's servers nor its stand-in keys: this is what a clean clone's user has.
        self.environment = {
            name: value for name, value in os.environ.items() if name not in OUTER and not name.startswith("STRIPE_")
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "up.log"

    def start(self, *options: str) -> dict[str, Any]:
        """Start and wait until all is ready; answers the ready file."""
        self.ready_file.unlink(missing_ok=True)  # a killed one's
        command = ["up", "--port", "0", "--data", str(self.data), "--ready-file", str(self.ready_file), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "dev.py", *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        process = self.process
        assert wait_until(lambda: self.ready_file.exists() or process.poll() is not None, seconds=180), self.said()
        assert process.poll() is None, self.said()
        return self.ready()

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ready_file.read_text())
        return found

    def replaced(self, name: str, before: int) -> bool:
        return self.ready()["pids"][name] not in {None, before}

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]

    def status(self, path: str) -> int:
        port = int(self.ready()["web"].rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": f"localhost:{port}"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def down(self) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "dev.py", "down", "--data", str(self.data)], cwd=ROOT, env=self.environment, check=False
        )


@pytest.fixture(scope="module")
def kept_folder() -> Iterator[Path]:
    """The same for all these tests: the first start of a data folder migrates, which takes longer than all the rest."""
    with fresh_folder() as path:
        yield path


@pytest.fixture
def up(kept_folder: Path) -> Iterator[Up]:
    made = Up(kept_folder)
    yield made
    made.down()
    if made.process is not None:
        made.process.wait(timeout=60)


def test_a_kill_leaves_nothing_that_down_does_not_find(up: Up) -> None:
    pids = up.start("--no-seed")["pids"]
    assert up.process is not None
    up.process.kill()
    up.process.wait()
    if sys.platform == "linux":
        assert wait_until(lambda: not any(alive(pids[name]) for name in PROGRAMS), seconds=30)
    assert up.down().returncode == 0
    assert not [name for name, pid in pids.items() if name != "dev" and alive(pid)]


def test_a_life(up: Up) -> None:
    ready = up.start("--no-seed")
    assert set(ready) == {
        "web", "admin", "hooks", "shops", "standin", "databaseUrl", "redisUrl", "staff", "serviceTokens", "pids",
    }  # fmt: skip
    assert ready["admin"] == f"{ready['web']}/admin/"
    assert up.status("/readyz") == 200
    assert all(alive(pid) for pid in ready["pids"].values())
    second = subprocess.run(
        [sys.executable, "dev.py", "up", "--port", "0", "--data", str(up.data)],
        cwd=ROOT, env=up.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (second.returncode, "Already running" in second.stderr) == (1, True)

    for name in (*PROGRAMS, "postgres", "valkey"):
        before = up.ready()["pids"][name]
        os.kill(before, signal.SIGKILL)
        assert wait_until(partial(up.replaced, name, before), seconds=30), name
    assert wait_until(lambda: up.status("/readyz") == 200, seconds=30), up.said()

    last = up.ready()["pids"]
    assert up.process is not None
    up.process.send_signal(signal.SIGINT)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=40) == 0
    assert not [name for name, pid in last.items() if name != "dev" and alive(pid)]
    assert not up.ready_file.exists()

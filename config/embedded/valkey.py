"""One Valkey per data folder, on a unix socket only."""

from __future__ import annotations

import os
import signal
import socket
import time

from .place import EmbeddedError, Place
from .postgres import Profile
from .processes import (
    HANGING_SECONDS,
    PATIENCE_SECONDS,
    START_SECONDS,
    alive,
    end,
    pid_in,
    serves,
    spawn,
    tail,
    wait_until,
)
from .programs import drop_copies, valkey_program

# The queue and the carts live here: nothing may be evicted, and a killed server loses a second at most.
OPTIONS = {"port": "0", "unixsocketperm": "700", "dir": ".", "save": "", "maxmemory-policy": "noeviction"}
DURABLE = {"appendonly": "yes", "appendfsync": "everysec"}
FAST = {"appendonly": "no"}


def answers(place: Place) -> bool:
    """Whether it answers PING, which it refuses while still loading its data. Waits PATIENCE_SECONDS at each step."""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(PATIENCE_SECONDS)
            channel.connect(str(place.valkey_socket))
            channel.sendall(b"PING\r\n")
            return channel.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def ensure(place: Place, *, profile: Profile) -> int:
    """Have a Valkey that answers; answers its pid. The caller holds the start lock."""
    pid = pid_in(place.valkey / "valkey.pid")
    if serves(place, pid) and wait_until(lambda: answers(place), seconds=PATIENCE_SECONDS):
        return pid
    place.valkey.mkdir(mode=0o700, exist_ok=True)
    os.chown(place.valkey, place.account.uid, place.account.gid)
    if serves(place, pid):
        end(pid, polite=signal.SIGTERM, seconds=HANGING_SECONDS)
    for leftover in (place.valkey / "valkey.pid", place.valkey_socket):
        leftover.unlink(missing_ok=True)
    options = {**OPTIONS, **(FAST if profile == "fast" else DURABLE), "pidfile": "valkey.pid"}
    command = [str(valkey_program(place)), "--unixsocket", str(place.valkey_socket)]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    pid = spawn(place, command, folder=place.valkey, log="valkey.log")
    deadline = time.monotonic() + START_SECONDS
    while alive(pid) and time.monotonic() < deadline:
        if answers(place):
            return pid
        time.sleep(0.02)
    raise EmbeddedError(f"Valkey does not start in {place.data}:\n{tail(place.logs / 'valkey.log')}")


def stop(place: Place) -> None:
    """Stop the server after it has written its data. Harmless when none runs."""
    pid = pid_in(place.valkey / "valkey.pid")
    if serves(place, pid):
        end(pid, polite=signal.SIGTERM)
    drop_copies(place, "valkey")

"""A server of the benchmark's own: the product's gunicorn with one process, on the loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from config.supervisor import die_with_parent

STARTING_SECONDS = 20.0


@contextlib.contextmanager
def serving(application: str, **variables: str) -> Iterator[int]:
    """gunicorn with the product's settings and one process; yields its port. It ends with the block.

    `variables`: environment variables of its own. Raises RuntimeError when it doesn't start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, **variables, "PORT": str(port), "WEB_HOST": "127.0.0.1", "WEB_CONCURRENCY": "1"}
    # Counted as everybody's are, but never refused: one client asks more than any customer.
    env["FRONT_DOOR_RATE_LIMIT_REQUESTS_PER_MINUTE"] = "10000000"
    command = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", application]
    root = Path(__file__).resolve().parent.parent.parent
    # The request lines go to a file, as a supervisor's would: writing them is part of what is measured.
    with tempfile.TemporaryFile() as lines:
        # A process group of its own, to be ended at once: nothing is under way, and gunicorn's own end takes seconds.
        server = subprocess.Popen(  # noqa: S603
            command, cwd=root, env=env, stdout=lines, stderr=lines, start_new_session=True, preexec_fn=die_with_parent
        )
        try:
            _wait_for(port, server)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    over = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < over:
        if server.poll() is not None:
            raise RuntimeError(f"The server ended with {server.returncode}.")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("The server didn't start.")


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection

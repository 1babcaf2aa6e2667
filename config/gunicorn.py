"""gunicorn's settings, for development and production: `gunicorn --config config/gunicorn.py config.wsgi:application`.

Every request spends its time in PostgreSQL, Redis or Stripe, so threads are what serves more of them; a second process
keeps answering while the first one's interpreter is busy. Each thread holds a database connection: processes x threads
stay well below the server's max_connections, with room for workers and a second release during a deployment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

bind = f"{os.environ.get('WEB_HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
# Loaded once and then forked: half the time to start, shared memory, and an application that can't be loaded ends
# gunicorn at once instead of its workers again and again. Nothing opens a connection while loading.
preload_app = True

# A worker that is silent for this long is replaced; Stripe's read timeout (20 s) has to fit in.
timeout = 60
# Seconds that requests under way get after SIGTERM. Platforms kill 30 s after it.
graceful_timeout = int(os.environ.get("WEB_GRACEFUL_SECONDS", "25"))
# Longer than a proxy's pause between requests on one connection, or it would meet a closed one.
keepalive = 5
# The default lies in the home folder and would be shared by every project of this user.
control_socket_disable = True
# The heartbeat must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# No proxy of ours moves the application below a path. By default a client that comes through a proxy on this machine
# could: `SCRIPT_NAME: /x` made the path `/x/admin/`, which the proxy saw and let through, `/admin/` here.
forwarder_headers = ""
# The application writes one line per request, with shop and request id.
accesslog = None


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Take a dead process's gauges out of /metrics; its counters stay."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess  # reads the variable at import

        multiprocess.mark_process_dead(worker.pid)

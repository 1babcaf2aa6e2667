"""Command line of the stand-in: `python -m tests.stripe_standin --help`."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from .app import App
from .endpoints import Endpoint

DEFAULT_SECRET = "whsec_standin"
FILE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


def main() -> int:
    options = _arguments()
    data = _data_file(options.data) if options.data else None
    held = _sole_use(data) if data else None
    endpoint = None
    if options.webhook_url:
        secrets = tuple(options.webhook_secret or [DEFAULT_SECRET])
        endpoint = Endpoint("we_default", options.webhook_url, secrets, events=tuple(options.webhook_events or ["*"]))
    if options.ready_file:
        Path(options.ready_file).unlink(missing_ok=True)  # one that a killed process left would be believed
    try:
        app = App(port=options.port, data=data, endpoint=endpoint)
    except OSError as exc:
        sys.exit(f"Port {options.port} can't be used: {exc.strerror}. Name another one with --port.")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    app.start()
    if options.ready_file:
        _write_ready(Path(options.ready_file), app)
    print(f"Stripe stand-in at {app.url}", flush=True)
    ended.wait()
    app.stop()
    if held:
        held.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stripe_standin", description="A local stand-in for Stripe.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--data", help="file or folder to keep everything in; without it nothing outlives the process")
    parser.add_argument("--webhook-url", type=_web_address, help="where events are sent")
    parser.add_argument("--webhook-secret", action="append", help=f"signing secret, repeatable ({DEFAULT_SECRET})")
    parser.add_argument("--webhook-events", action="append", metavar="TYPE",
                        help="event type or pattern such as 'charge.*', repeatable; all without it")  # fmt: skip
    parser.add_argument("--ready-file", help="JSON with url, port and pid is written here once requests are answered")
    return parser.parse_args()


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text} is not an http(s) address")
    return text


def _data_file(text: str) -> Path:
    """A database's name is taken as the file, anything else as the folder it goes into."""
    path = Path(text)
    if path.is_dir() or not (path.is_file() or path.suffix in FILE_SUFFIXES):
        path = path / "standin.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _sole_use(data: Path) -> IO[str]:
    """Two processes on one file would send every webhook twice; the lock goes with the process, however it ends."""
    handle = open(data.with_name(data.name + ".lock"), "w")  # noqa: SIM115
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another stand-in uses {data}. Stop it, or name another place with --data.")
    return handle


def _write_ready(path: Path, app: App) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": app.url, "port": app.port, "pid": os.getpid()}))
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())

"""Start the stand-in as the separate process that it is, and speak to its control surface. For tests of any app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


class ControlRefused(Exception):
    """The control surface answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Running:
    """A started stand-in. Use it as a context manager, or call `stop` (or `kill`, to lose whatever wasn't stored)."""

    def __init__(
        self,
        *,
        webhook_url: str | None = None,
        secrets: tuple[str, ...] = (),
        events: tuple[str, ...] = (),
        data: Path | None = None,
        port: int = 0,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="standin-")
        ready = Path(self._folder.name) / "ready.json"
        command = [sys.executable, "-m", "tests.stripe_standin", "--port", str(port), "--ready-file", str(ready)]
        command += ["--data", str(data)] if data else []
        command += ["--webhook-url", webhook_url] if webhook_url else []
        command += [part for secret in secrets for part in ("--webhook-secret", secret)]
        command += [part for event in events for part in ("--webhook-events", event)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
        self.url: str = self._await(ready)["url"]

    def _await(self, ready: Path) -> Any:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if ready.exists():
                return json.loads(ready.read_text())
            time.sleep(0.02)
        status = self.process.poll()
        self.kill()
        told = f"ended with status {status}" if status is not None else f"was not ready in {START_SECONDS:.0f} s"
        raise RuntimeError(f"the stand-in {told}; its standard error says why")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call `/_control/<path>`; returns the JSON answer. Raises ControlRefused."""
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}", data=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            with exc:
                raise ControlRefused(exc.code, json.load(exc)) from None

    def stop(self) -> int:
        """End it as `dev.py` would; returns its exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=15)
        self._folder.cleanup()
        return status

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(timeout=15)
        self._folder.cleanup()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()

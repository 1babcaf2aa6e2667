"""The record of API calls that tests read back: who sent what, and what was answered."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .errors import Json
from .messages import Reply, Request

KEPT = 5_000
HEADERS = ("Idempotency-Key", "Stripe-Account", "Stripe-Version", "User-Agent")


@dataclass(frozen=True, slots=True)
class Entry:
    at: float
    request: Request
    request_id: str
    account: str | None
    params: Json
    reply: Reply
    faults: list[str]
    seconds: float

    def as_json(self, number: int) -> Json:
        found = {name: self.request.headers.get(name.lower()) for name in HEADERS}
        return {
            "number": number,
            "at": self.at,
            "seconds": round(self.seconds, 4),
            "requestId": self.request_id,
            "method": self.request.method,
            "path": self.request.path,
            "params": self.params,
            "headers": {name: value for name, value in found.items() if value is not None},
            "account": self.account,
            "status": self.reply.status or None,
            "answer": _readable(self.reply.body),
            "replayed": self.reply.headers.get("Idempotent-Replayed") == "true",
            "dropped": not self.reply.arrives,
            "faults": self.faults,
        }


@dataclass(slots=True)
class Journal:
    """Bounded and in memory: it is a test's view of the wire, not part of the state."""

    _entries: deque[tuple[int, Entry]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: Request, *, request_id: str, account: str | None, params: Json, reply: Reply,
            faults: list[str], started: float) -> None:  # fmt: skip
        seconds = time.monotonic() - started
        entry = Entry(time.time(), request, request_id, account, params, reply, faults, seconds)
        with self._lock:
            self._count += 1
            self._entries.append((self._count, entry))

    def read(self, *, method: str | None, path: str | None, after: int) -> list[Json]:
        """Oldest first; `path` is a prefix, `after` the number of the last entry already seen."""
        with self._lock:
            entries = list(self._entries)
        return [
            entry.as_json(number)
            for number, entry in entries
            if number > after
            and method in (None, entry.request.method)
            and (path is None or entry.request.path.startswith(path))
        ]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._count = 0


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")

"""Failures on demand: what a network, a proxy or a bad day at the payment provider does to one request."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .errors import Json
from .options import BadControl, number

KINDS = ("latency", "drop_before", "drop_after", "reset", "half_answer", "status", "html", "rate_limit")
MEMBERS = {
    "latency": {"seconds", "when"},
    "status": {"status", "when", "body", "type", "code", "message", "save", "headers"},
    "html": {"when"},
    "reset": {"when"},
    "rate_limit": {"code", "headers"},
}


@dataclass(slots=True)
class Fault:
    """One standing instruction. `left` None: until it is deleted."""

    id: int
    kind: str
    method: str
    path: str
    exact: bool
    left: int | None
    settings: Json
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        if self.method not in ("*", method):
            return False
        if any(char in self.path for char in "*?["):
            return fnmatchcase(path, self.path)
        return path == self.path or (not self.exact and path.startswith(self.path))

    def after(self) -> bool:
        """Whether the request is executed first."""
        return self.kind in ("drop_after", "half_answer") or self.settings.get("when") == "after"

    def as_json(self) -> Json:
        match = {"method": self.method, "path": self.path, "exact": self.exact}
        return {"id": self.id, "kind": self.kind, "match": match, "timesLeft": self.left, "hits": self.hits} | (
            self.settings
        )


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls one request: a delay, another fault, or both."""

    delay: Fault | None = None
    fault: Fault | None = None

    def delay_seconds(self, *, after: bool) -> float:
        return float(self.delay.settings["seconds"]) if self.delay and self.delay.after() == after else 0.0

    def is_now(self, kind: str, *, after: bool) -> bool:
        return self.fault is not None and self.fault.kind == kind and self.fault.after() == after

    def names(self) -> list[str]:
        return [fault.kind for fault in (self.delay, self.fault) if fault]


@dataclass(slots=True)
class Faults:
    """The standing faults, first made first matched. Kept in memory only: a restart is a clean slate."""

    _standing: list[Fault] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, wanted: Mapping[str, Any]) -> Fault:
        """Read `POST faults`. Raises BadControl."""
        fault = parse(wanted, next(self._numbers))
        with self._lock:
            self._standing.append(fault)
        return fault

    def take(self, method: str, path: str) -> Strike:
        """The faults for this request; taking uses one of their times up. A delay combines with another kind."""
        with self._lock:
            delay = self._take(method, path, delays=True)
            return Strike(delay, self._take(method, path, delays=False))

    def _take(self, method: str, path: str, *, delays: bool) -> Fault | None:
        for fault in self._standing:
            if (fault.kind == "latency") == delays and fault.left != 0 and fault.matches(method, path):
                fault.hits += 1
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None

    def list(self) -> list[Json]:
        with self._lock:
            return [fault.as_json() for fault in self._standing]

    def clear(self, fault_id: int | None = None) -> int:
        """Delete one or all; returns how many there were."""
        with self._lock:
            kept = [fault for fault in self._standing if fault_id is not None and fault.id != fault_id]
            gone = len(self._standing) - len(kept)
            self._standing = kept
            return gone


def parse(wanted: Mapping[str, Any], number_of_fault: int) -> Fault:
    match, kind, times = wanted.get("match", {}), wanted.get("kind"), wanted.get("times", 1)
    if kind not in KINDS:
        raise BadControl(f"kind must be one of {', '.join(KINDS)}")
    settings = {name: value for name, value in wanted.items() if name not in ("match", "kind", "times")}
    unknown = set(settings) - MEMBERS.get(kind, set())
    if unknown:
        raise BadControl(f"unknown member {', '.join(sorted(unknown))} for kind {kind}")
    if not isinstance(match, dict) or set(match) - {"method", "path", "exact"}:
        raise BadControl("match has the members method, path and exact")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise BadControl("times must be a positive integer, or null for every time")
    method, path = match.get("method", "*"), match.get("path", "/")
    if not isinstance(method, str) or not isinstance(path, str) or not path.startswith(("/", "*")):
        raise BadControl("match.method must be a text, match.path a path, a prefix of one, or a pattern")
    if settings.get("when", "before") not in ("before", "after"):
        raise BadControl("when must be before or after")
    _check_settings(kind, settings)
    return Fault(number_of_fault, kind, method.upper(), path, match.get("exact") is True, times, settings)


def _check_settings(kind: str, settings: Json) -> None:
    if kind == "latency":
        number(settings.get("seconds"), "seconds", high=600)
    if kind == "status":
        status = settings.get("status")
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise BadControl("status must be an HTTP status from 200 to 599")
        if not isinstance(settings.get("body", {}), dict | str):
            raise BadControl("body must be a JSON object or a text")
    if kind == "rate_limit" and settings.get("code", "rate_limit") not in ("rate_limit", "lock_timeout"):
        raise BadControl("code must be rate_limit or lock_timeout")
    headers = settings.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise BadControl("headers must map names to texts")

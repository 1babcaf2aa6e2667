"""Refused credentials: counted each time, told at most once a minute, or whoever guesses could fill the log."""

from __future__ import annotations

import time
from typing import Final

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 60.0


class Refusals:
    """Of one kind of credential. `event` is the log line's name; what was sent is never part of it."""

    def __init__(self, counter: Counter, event: str) -> None:
        self._counter = counter
        self._event = event
        self._count = 0
        self._told_at: float | None = None

    def note(self, shop_label: str) -> None:
        self._counter.labels(shop_label).inc()
        self._count += 1
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= EVERY_SECONDS:
            log.warning(self._event, refused=self._count)
            self._count, self._told_at = 0, now

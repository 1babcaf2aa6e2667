"""The clock that everything in the stand-in reads: the machine's, moved forward as the control surface says."""

from __future__ import annotations

import threading
import time


class Clock:
    """`now()` in whole seconds since the epoch. It only moves forward: objects never come from the future."""

    def __init__(self, offset: float = 0.0) -> None:
        self._offset = offset
        self._lock = threading.Lock()

    @property
    def offset(self) -> float:
        return self._offset

    def now(self) -> int:
        return int(time.time() + self._offset)

    def advance(self, seconds: float) -> float:
        """Move by `seconds` (not negative) and return the new offset."""
        with self._lock:
            self._offset += seconds
            return self._offset

    def set_offset(self, offset: float) -> None:
        with self._lock:
            self._offset = offset

"""Waiting between tries: exponential, with jitter, so that the many who were refused together don't return together."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

# Milliseconds. What is busy for longer isn't worth a customer's waiting.
CAP_MS: Final = 5_000
FIRST_MS: Final = 250
"""Where the authority names no delay: its own default for how long it waits for a lock."""

TRIES: Final = 5


def delay_before_ms(
    retry: int, *, first_ms: int, cap_ms: int = CAP_MS, jitter: Callable[[], float] = random.random
) -> int:
    """Milliseconds before retry number `retry`, 0 being the first: 0.5 to 1.5 times a doubling base that begins with
    `first_ms` and never exceeds `cap_ms`. `jitter` answers from 0 up to 1. The JavaScript twin computes the same.
    """
    base = min(cap_ms, first_ms << min(retry, 32))
    return int(base * (0.5 + jitter()) + 0.5)

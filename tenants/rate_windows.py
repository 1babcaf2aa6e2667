"""How often something happened in the last minute: exact sliding windows in Redis, and without Redis in the process.

A window of a minute holds the moments of what was let in. The next is let in when the limit-th newest of them is a
minute old, so no minute, wherever it begins, has more than the limit. Refusals leave no trace: whoever goes on knocking
is let in as soon as whoever waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import redis
import structlog
from django.conf import settings

from tenants.host_cache import Pause
from tenants.metrics import RATE_LIMITS_LOCAL

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60
WINDOW_MS = WINDOW_SECONDS * 1000
REDIS_SECONDS = 0.25
"""What a limit may cost a customer: a Redis slower than this counts as away."""

MOST_KEYS = 8192
"""Windows that a process keeps, a few megabytes; the longest unused leaves first."""

# One script, so that looking and counting are one step for all processes. The time is Redis's: whoever's own clock
# jumps or runs ahead changes nothing. Moments in the future are left from before its clock was set back; they count as
# of now, so that the limit holds and nobody waits longer than a minute.
ACQUIRE = """
local limit, window, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local clock = redis.call('TIME')
  now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
end
local stamp = string.format('%.0f', now)
local newest = redis.call('LINDEX', KEYS[1], 0)
if newest and tonumber(newest) > now then
  for place, moment in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    if tonumber(moment) > now then redis.call('LSET', KEYS[1], place - 1, stamp) end
  end
  redis.call('PEXPIRE', KEYS[1], window)
end
local oldest = redis.call('LINDEX', KEYS[1], limit - 1)
if oldest and tonumber(oldest) > now - window then
  return string.format('%.0f', tonumber(oldest) + window - now)
end
redis.call('LPUSH', KEYS[1], stamp)
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], window)
return '0'
"""


class LocalWindows:
    """One process's windows. `clock`: seconds that never go backwards."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_KEYS) -> None:
        self._clock, self._most = clock, most
        self._moments: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._moments)

    def acquire(self, key: str, *, limit: int) -> tuple[int, float]:
        """`(0, moment)` when let in, which `give_back` takes, else `(milliseconds to wait, 0.0)`."""
        with self._lock:
            now = self._clock()
            moments = self._moments.setdefault(key, deque())
            self._moments.move_to_end(key)
            while moments and moments[0] <= now - WINDOW_SECONDS:
                moments.popleft()
            if len(moments) >= limit:
                return max(1, math.ceil((moments[-limit] + WINDOW_SECONDS - now) * 1000)), 0.0
            moments.append(now)
            while len(self._moments) > self._most:
                self._moments.popitem(last=False)
            return 0, now

    def give_back(self, key: str, moment: float) -> None:
        """Forgets what was let in here and turned out to be refused elsewhere."""
        with self._lock:
            moments = self._moments.get(key)
            if moments is not None and moment in moments:
                moments.remove(moment)

    def clear(self) -> None:
        with self._lock:
            self._moments.clear()


class SharedWindows:
    """The windows that all processes share. It never raises: while Redis is away each process keeps the limit itself.

    Each process also remembers what it let in while Redis answered. So it lets no more than the limit through in a
    minute in which Redis goes away or comes back, and whoever it alone has let in to the limit costs Redis nothing.
    """

    def __init__(self, *, now_ms: Callable[[], int] | None = None, local: LocalWindows | None = None) -> None:
        self._now_ms = now_ms  # None, but in tests: Redis's own clock
        self._local = LocalWindows() if local is None else local
        self._client: redis.Redis | None = None
        self._url = ""
        self._pause = Pause()

    def acquire(self, key: str, *, limit: int, shop_label: str) -> int:
        """0 when let in, else milliseconds until it is worth another try. `key` names what is counted, and by whom."""
        wait, moment = self._local.acquire(key, limit=limit)
        if wait:
            return wait
        answer = self._ask(key, limit)
        if answer is None:
            RATE_LIMITS_LOCAL.labels(shop_label).inc()
            return 0
        if answer:
            self._local.give_back(key, moment)
        return answer

    def forget(self) -> None:
        """Drops what this process knows, an outage included."""
        self._local.clear()
        self._pause.end()
        if self._client is not None:
            self._client.close()
        self._client = None

    def _ask(self, key: str, limit: int) -> int | None:
        if self._pause:
            return None
        now = "" if self._now_ms is None else self._now_ms()
        try:
            return int(self._connected().eval(ACQUIRE, 1, _name(key), limit, WINDOW_MS, now))
        except (redis.RedisError, OSError) as error:
            log.warning("rate_limits_without_redis", error=type(error).__name__)
            self._pause.begin()
            return None

    def _connected(self) -> redis.Redis:
        if self._client is None or self._url != settings.REDIS_LIMITS_URL:
            self._url = str(settings.REDIS_LIMITS_URL)
            self._client = redis.Redis.from_url(
                self._url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
            )
        return self._client


def _name(key: str) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:rate:{key}"


rate_windows = SharedWindows()

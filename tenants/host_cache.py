"""What a process keeps of the host table: a bounded memory, then Redis, then PostgreSQL, with every value's age known.

A value's age counts from the moment before PostgreSQL was asked and travels with it through Redis: taking it from there
makes it no younger. So nothing is in force for longer than settings.HOST_MAP_SECONDS, whether or not an invalidation
arrived; only while PostgreSQL is away does it serve for KEEP_SECONDS.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import redis
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from tenants.database import as_system
from tenants.errors import HostsUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

KEEP_SECONDS = 60.0
"""How long the last known value serves while PostgreSQL is away: long enough for a fail-over, too short to sell for a
tenant that moved."""

RETRY_SECONDS = 1.0
"""How long a server that failed is left alone: an outage is met once a second, not at every request."""

WAIT_SECONDS = 0.5
REDIS_SECONDS = 0.25
"""Redis saves a query of less than a millisecond: one that is slower than this is worth no waiting."""

# An older row never replaces a newer one, whichever process is slower. A record without data (`outdate`) holds the
# place of a version that nobody has read yet.
WRITE = """
local held = tonumber(redis.call('HGET', KEYS[1], 'v') or '-1')
local version = tonumber(ARGV[1])
if held > version then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
OUTDATE = """
local held = tonumber(redis.call('HGET', KEYS[1], 'v') or '-1')
if held >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1])
redis.call('HDEL', KEYS[1], 'd')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A value, the version of the row it was made from, and when PostgreSQL was asked for it (time.monotonic)."""

    value: T
    version: int
    read_at: float

    def age(self) -> float:
        return time.monotonic() - self.read_at


class Pause:
    """Whether a server has just failed and is to be left alone for RETRY_SECONDS."""

    def __init__(self) -> None:
        self._until = 0.0

    def __bool__(self) -> bool:
        return time.monotonic() < self._until

    def begin(self) -> None:
        self._until = time.monotonic() + RETRY_SECONDS

    def end(self) -> None:
        self._until = 0.0


class Memory(Generic[T]):
    """The process's own tier: at most `most` values, the longest unused leaves first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, Kept[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Kept[T] | None:
        with self._lock:
            kept = self._values.get(key)
            if kept is not None:
                self._values.move_to_end(key)
            return kept

    def put(self, key: str, kept: Kept[T]) -> None:
        with self._lock:
            self._values[key] = kept
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def drop(self, key: str) -> None:
        with self._lock:
            self._values.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


class Shared:
    """The tier that all processes share. It never raises: without Redis it is an empty tier that keeps nothing."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self.pause = Pause()

    def get(self, key: str) -> tuple[bytes, int, float] | None:
        """`(data, version, age in seconds)` of `key`."""

        def ask(client: redis.Redis) -> tuple[bytes, int, float] | None:
            with client.pipeline(transaction=True) as pipe:
                pipe.hmget(_name(key), "d", "v")
                # What is left of its life tells its age, without comparing two machines' clocks.
                pipe.pttl(_name(key))
                (data, version), left = pipe.execute()
            if data is None or version is None or left < 0:
                return None
            return data, int(version), KEEP_SECONDS - left / 1000

        return self._try(ask)

    def put(self, key: str, data: bytes, version: int, age: float) -> None:
        left = int((KEEP_SECONDS - age) * 1000)
        if left > 0:
            self._try(lambda client: client.eval(WRITE, 1, _name(key), version, data, left))

    def drop(self, key: str) -> None:
        self._try(lambda client: client.delete(_name(key)))

    def outdate(self, versions: Mapping[str, int]) -> None:
        """Removes what is older than the version given for each key, and keeps such from being written again."""
        if not versions:
            return

        def tell(client: redis.Redis) -> None:
            with client.pipeline(transaction=False) as pipe:
                for key, version in versions.items():
                    pipe.eval(OUTDATE, 1, _name(key), version, int(KEEP_SECONDS * 1000))
                pipe.execute()

        self._try(tell)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self.pause.end()

    def _try(self, work: Callable[[redis.Redis], T]) -> T | None:
        if self.pause:
            return None
        try:
            return work(self._connected())
        except (redis.RedisError, OSError) as error:
            log.warning("host_cache_without_redis", error=type(error).__name__)
            self.pause.begin()
            return None

    def _connected(self) -> redis.Redis:
        if self._client is None:
            self._client = redis.Redis.from_url(
                str(settings.CACHES["default"]["LOCATION"]),
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
        return self._client


def _name(key: str) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:hosts:{key}"


class Turns:
    """One refresher per key: the others go on with what they have, or wait for it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._changed = threading.Condition()

    def take(self, key: str, wait: float) -> bool:
        """True for the one whose turn it is; False when another one still has it after `wait` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: key not in self._taken, timeout=wait):
                return False
            self._taken.add(key)
            return True

    def give_back(self, key: str) -> None:
        with self._changed:
            self._taken.discard(key)
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """Where values of one kind come from: `read` asks PostgreSQL, `pack` and `unpack` are their form in Redis.

    `unpack` raises ValueError for what another release wrote and this one can't read.
    """

    kind: str
    read: Callable[[str], tuple[T, int] | None]
    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]


class Tiers(Generic[T]):
    """Values of one kind through all three tiers, refreshed from half their life on by one thread."""

    def __init__(self, source: Source[T], *, most: int, shared: Shared, database: Pause) -> None:
        self.memory: Memory[T] = Memory(most)
        self._source = source
        self._shared = shared
        self._database = database
        self._turns = Turns()

    def young(self, key: str) -> T | None:
        """The value of the steady path: in memory, and not yet due for a refresh."""
        kept = self.memory.get(key)
        return kept.value if kept is not None and kept.age() < settings.HOST_MAP_SECONDS / 2 else None

    def cached(self, key: str) -> T | None:
        """The value where it is known and in force without asking PostgreSQL."""
        kept = self.memory.get(key)
        if not self._in_force(kept):
            kept = self._from_shared(key)
        return kept.value if kept is not None and self._in_force(kept) else None

    def find(self, key: str) -> T | None:
        """The value, or None where PostgreSQL has none. Raises HostsUnavailable when nobody can tell."""
        kept = self.memory.get(key)
        # While PostgreSQL is known to be away nobody waits for it: the last value is all there is.
        if not self._turns.take(key, wait=0.0 if self._in_force(kept) else WAIT_SECONDS):
            return self._usable(self.memory.get(key))
        try:
            now = self.memory.get(key)
            if now is not None and now is not kept and self._in_force(now):
                return now.value  # another thread was faster
            return self._refresh(key, now)
        finally:
            self._turns.give_back(key)

    def outdate(self, versions: Mapping[str, int]) -> None:
        """Takes what is older than the version given for each key out of Redis and out of this process."""
        self._shared.outdate({self.shared_key(key): version for key, version in versions.items()})
        for key in versions:
            self.memory.drop(key)

    def shared_key(self, key: str) -> str:
        return f"{self._source.kind}:{key}"

    def _in_force(self, kept: Kept[T] | None) -> bool:
        limit = KEEP_SECONDS if self._database else settings.HOST_MAP_SECONDS
        return kept is not None and kept.age() < limit

    def _refresh(self, key: str, kept: Kept[T] | None) -> T | None:
        shared = self._from_shared(key)
        if shared is not None and shared.age() < settings.HOST_MAP_SECONDS / 2:
            return shared.value
        if self._database:
            return self._usable(_younger(kept, shared))
        asked_at = time.monotonic()
        try:
            with as_system():  # before any shop is known
                row = self._source.read(key)
        except DatabaseError as error:
            log.warning("hosts_not_read", error=type(error).__name__)
            self._database.begin()
            connection.close_if_unusable_or_obsolete()
            return self._usable(_younger(kept, shared))
        self._database.end()
        if row is None:
            self.memory.drop(key)
            if shared is not None:
                self._shared.drop(self.shared_key(key))
            return None
        fresh = Kept(row[0], row[1], asked_at)
        self.memory.put(key, fresh)
        self._shared.put(self.shared_key(key), self._source.pack(fresh.value), fresh.version, fresh.age())
        return fresh.value

    def _from_shared(self, key: str) -> Kept[T] | None:
        """Redis's value, taken into memory when it is younger than what is there."""
        found = self._shared.get(self.shared_key(key))
        if found is None:
            return None
        data, version, age = found
        try:
            shared = Kept(self._source.unpack(data), version, time.monotonic() - age)
        except ValueError:
            return None
        if _younger(self.memory.get(key), shared) is shared:
            self.memory.put(key, shared)
        return shared

    def _usable(self, kept: Kept[T] | None) -> T:
        if kept is None or kept.age() >= KEEP_SECONDS:
            raise HostsUnavailable("The host table is out of reach at the moment. Nothing was changed; try again.")
        return kept.value


def _younger(one: Kept[T] | None, other: Kept[T] | None) -> Kept[T] | None:
    if one is None or other is None:
        return one or other
    return other if other.read_at > one.read_at else one

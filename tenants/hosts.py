"""Host name → shop, from memory. The whole host table is kept per process, so an unknown host costs no query at all.

The table is small beside everything else a platform stores. Keeping all of it makes negative caching free: a scan of
random names neither asks the database nor grows memory. Whether it changed is asked at most once per refresh interval,
by a query over the row versions of three small tables; only then are the rows themselves read.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from tenants.allowlist import HostRole
from tenants.context import ShopContext, shop_context
from tenants.errors import HostsUnavailable, ShopRequired
from tenants.models import Host
from tenants.redirects import HostFacts

log = structlog.get_logger(__name__)

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*\Z")
# With an optional port; anything else in a Host header (user info, brackets, commas, spaces) is nobody's host.
HOST_HEADER = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,254})(?::(?P<port>[0-9]{1,5}))?\Z")

KEEP_WHEN_AWAY_SECONDS = 60.0
"""How long the last snapshot serves while PostgreSQL is away: long enough for a fail-over, too short to sell for a
tenant that moved."""

RETRY_SECONDS = 1.0
WAIT_FOR_REFRESH_SECONDS = 0.5

# xmin changes with every write, whoever makes it and by whatever way; ctid tells two writes of one transaction apart.
FINGERPRINT = """
SELECT
    (SELECT count(*) || ':' || coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0) FROM tenants_host),
    (SELECT count(*) || ':' || coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0) FROM tenants_shop),
    (SELECT count(*) || ':' || coalesce(sum(hashtextextended(xmin::text || ctid::text, 0)), 0)
       FROM tenants_shopsettings)
"""


@dataclass(frozen=True, slots=True)
class HostEntry:
    """What a host name stands for. `shop` carries no request id yet; None on hooks and platform hosts.

    `role` is the allowlist's; `kind` the stored one, which tells a canonical host from an alias.
    """

    hostname: str
    role: HostRole
    mode: str
    expires_at: datetime | None
    shop: ShopContext | None
    kind: str = Host.Role.PLATFORM


@dataclass(frozen=True, slots=True)
class Snapshot:
    fingerprint: tuple[object, ...]
    by_name: Mapping[str, HostEntry]
    canonical: Mapping[str, str]


def normalise_host(raw: str) -> tuple[str, int | None] | None:
    """`(host name, port)` of a Host header, lower-case and without a trailing dot; None when it can't name a host."""
    match = HOST_HEADER.match(raw)
    if match is None:
        return None
    name = match["name"].lower().removesuffix(".")
    port = int(match["port"]) if match["port"] else None
    if not HOSTNAME.match(name) or (port is not None and not 0 < port < 65536):
        return None
    return name, port


class HostMap:
    """One process's copy of the host table, never older than settings.HOST_MAP_SECONDS while PostgreSQL answers."""

    def __init__(self) -> None:
        self._refreshing = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._checked_at = 0.0
        self._failed_at: float | None = None

    def find(self, hostname: str) -> HostEntry | None:
        """The entry of a normalised host name. Raises HostsUnavailable when nothing recent enough is known."""
        if hostname in settings.PLATFORM_HOSTS:
            return HostEntry(hostname, HostRole.PLATFORM, Host.Mode.ACTIVE, None, None)
        return self._current().by_name.get(hostname)

    def canonical_host(self, shop_id: str) -> str | None:
        return self._current().canonical.get(shop_id)

    def forget(self) -> None:
        """Drops the copy: the next caller reads the table."""
        self._snapshot = None
        self._checked_at = 0.0
        self._failed_at = None

    def _current(self) -> Snapshot:
        now = time.monotonic()
        age = now - self._checked_at
        snapshot = self._snapshot
        if snapshot is not None and age < settings.HOST_MAP_SECONDS / 2:
            return snapshot
        # From half of its life on one thread refreshes and the others go on; past its life they wait for it, briefly,
        # but not while PostgreSQL is known to be away: then the last copy is all there is.
        goes_on = snapshot is not None and (age < settings.HOST_MAP_SECONDS or self._failed_at is not None)
        if self._refreshing.acquire(timeout=0.0 if goes_on else WAIT_FOR_REFRESH_SECONDS):
            try:
                self._refresh(now)
            finally:
                self._refreshing.release()
        return self._usable()

    def _usable(self) -> Snapshot:
        if self._snapshot is None or time.monotonic() - self._checked_at > KEEP_WHEN_AWAY_SECONDS:
            raise HostsUnavailable("The host table is out of reach at the moment. Nothing was changed; try again.")
        return self._snapshot

    def _refresh(self, asked_at: float) -> None:
        """Called under the lock. A failure leaves the last snapshot in force and is not tried again at once."""
        if self._snapshot is not None and self._checked_at > asked_at:
            return  # another thread was faster
        started = time.monotonic()
        if self._failed_at is not None and started - self._failed_at < RETRY_SECONDS:
            return
        try:
            fingerprint = _fingerprint()
            if self._snapshot is None or self._snapshot.fingerprint != fingerprint:
                self._snapshot = _load(fingerprint)
        except DatabaseError as error:
            log.warning("host_map_not_refreshed", error=type(error).__name__)
            self._failed_at = time.monotonic()
            connection.close_if_unusable_or_obsolete()
        else:
            # The moment before the question, not after the answer: a slow answer is an old one.
            self._checked_at, self._failed_at = started, None


def _fingerprint() -> tuple[object, ...]:
    with connection.cursor() as cursor:
        cursor.execute(FINGERPRINT)
        return tuple(cursor.fetchone() or ())


def _load(fingerprint: tuple[object, ...]) -> Snapshot:
    rows = list(Host.objects.select_related("shop__settings"))
    canonical = {row.shop_id: row.hostname for row in rows if row.shop_id and row.role == Host.Role.CANONICAL}
    by_name: dict[str, HostEntry] = {}
    for row in rows:
        shop = None
        if row.shop is not None:
            if not hasattr(row.shop, "settings"):
                log.error("host_of_a_shop_without_settings", host=row.hostname, shop_id=row.shop_id)
                continue
            shop = shop_context(
                row.shop, request_id="", host=row.hostname, canonical_host=canonical.get(row.shop_id or "", "")
            )
        by_name[row.hostname] = HostEntry(row.hostname, role_of(row.role), row.mode, row.expires_at, shop, row.role)
    return Snapshot(fingerprint, by_name, canonical)


def role_of(role: str) -> HostRole:
    """What a stored role means to the allowlist: every kind of shop host serves the shop."""
    return HostRole(role) if role in {Host.Role.HOOKS, Host.Role.PLATFORM} else HostRole.SHOP


host_map = HostMap()


def for_request(entry: HostEntry, request_id: str) -> ShopContext | None:
    """The entry's shop as this request's context."""
    return replace(entry.shop, request_id=request_id) if entry.shop else None


def canonical_host_of(shop_id: str) -> str:
    """The shop's own host name, for jobs, which have no request. Raises ShopRequired when it has none."""
    hostname = host_map.canonical_host(shop_id)
    if hostname is None:
        raise ShopRequired(f"The shop {shop_id!r} has no canonical host. Add one under Tenants, Hosts.")
    return hostname


def public_url(shop: ShopContext, path: str) -> str:
    """Absolute address of `path` (which begins with a slash) on the shop's canonical host, as customers reach it."""
    return public_origin(shop.canonical_host or canonical_host_of(shop.shop_id)) + path


def public_origin(hostname: str) -> str:
    """Scheme, name and port under which customers reach `hostname`."""
    default = {"https": 443, "http": 80}.get(settings.PUBLIC_SCHEME)
    port = "" if default == settings.PUBLIC_PORT else f":{settings.PUBLIC_PORT}"
    return f"{settings.PUBLIC_SCHEME}://{hostname}{port}"


def host_facts(entry: HostEntry, now: datetime) -> HostFacts:
    """The entry as the redirect decision sees it at `now`."""
    mode = Host.Mode.EXPIRED if entry.expires_at is not None and entry.expires_at <= now else entry.mode
    if entry.shop is None:
        return HostFacts(entry.hostname, entry.kind, mode)
    return HostFacts(
        hostname=entry.hostname,
        role=entry.kind,
        mode=mode,
        canonical=public_origin(entry.shop.canonical_host) if entry.shop.canonical_host else "",
        locales=entry.shop.policy.locales,
        default_locale=entry.shop.policy.default_locale,
    )


def is_own_host(shop_id: str, hostname: str) -> bool:
    """Whether `hostname` is one of the shop's hosts, in any letter case."""
    parts = normalise_host(hostname)
    if parts is None:
        return False
    entry = host_map.find(parts[0])
    return entry is not None and entry.shop is not None and entry.shop.shop_id == shop_id

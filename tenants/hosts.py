"""Host name → what it stands for: from memory, else from Redis, else from PostgreSQL (tenants/host_cache.py)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tenants.allowlist import HostRole
from tenants.context import ShopContext
from tenants.errors import HostsUnavailable, ShopRequired
from tenants.host_cache import Pause, Shared, Tiers
from tenants.host_rows import CANONICAL, ENTRIES, SLICES, SLICES_OF_NAMES, HostEntry, slice_of
from tenants.models import Host
from tenants.redirects import HostFacts

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*\Z")
# With an optional port; anything else in a Host header (user info, brackets, commas, spaces) is nobody's host.
HOST_HEADER = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,254})(?::(?P<port>[0-9]{1,5}))?\Z")


LONGEST_HOST_HEADER = 254 + len(":65535")


def normalise_host(raw: str) -> tuple[str, int | None] | None:
    """`(host name, port)` of a Host header, lower-case and without a trailing dot; None when it can't name a host."""
    return _normalised(raw) if len(raw) <= LONGEST_HOST_HEADER else None


@lru_cache(maxsize=4096)
def _normalised(raw: str) -> tuple[str, int | None] | None:
    match = HOST_HEADER.match(raw)
    if match is None:
        return None
    name = match["name"].lower().removesuffix(".")
    port = int(match["port"]) if match["port"] else None
    if not HOSTNAME.match(name) or (port is not None and not 0 < port < 65536):
        return None
    return name, port


class HostMap:
    """One process's view of the host table: nothing older than settings.HOST_MAP_SECONDS while PostgreSQL answers.

    Known names are kept one by one. Unknown ones aren't kept at all: what is kept is which names exist, a slice of the
    table at a time, so that no number of invented names grows the memory or reaches the database again.
    """

    MOST_ENTRIES = 4096
    """A few megabytes. A process that serves more hosts than that at a time fetches the rest from Redis."""

    def __init__(self) -> None:
        self._shared, self._database = Shared(), Pause()
        self._entries = Tiers(ENTRIES, most=self.MOST_ENTRIES, shared=self._shared, database=self._database)
        self._canonical = Tiers(CANONICAL, most=self.MOST_ENTRIES, shared=self._shared, database=self._database)
        self._slices = Tiers(SLICES_OF_NAMES, most=SLICES, shared=self._shared, database=self._database)

    def find(self, hostname: str) -> HostEntry | None:
        """The entry of a normalised host name, None for a host that isn't ours.

        Raises HostsUnavailable when nothing recent enough is known and PostgreSQL can't be asked.
        """
        if hostname in settings.PLATFORM_HOSTS:
            return HostEntry(hostname, HostRole.PLATFORM, Host.Mode.ACTIVE, None, None, Host.Role.PLATFORM, "", True)
        entry = self._entries.young(hostname)
        if entry is not None:
            return entry
        if self._entries.memory.get(hostname) is None and self._surely_unknown(hostname):
            return None
        entry = self._entries.find(hostname)
        if entry is None:
            self._learn_slice(hostname)
        return entry

    def canonical_host(self, shop_id: str) -> str | None:
        """The canonical host of a shop, None when it has none or doesn't exist. Raises HostsUnavailable as `find`."""
        return self._canonical.young(shop_id) or self._canonical.find(shop_id)

    def announce_on_commit(self, *, names: Collection[str], shop_ids: Collection[str]) -> None:
        """`announce` as soon as the transaction has committed; a failure there leaves the commit what it is."""
        transaction.on_commit(lambda: self.announce(names=names, shop_ids=shop_ids), robust=True)

    def announce(self, *, names: Collection[str], shop_ids: Collection[str]) -> None:
        """Takes what is known of `names` and of the shops' hosts out of Redis and of this process, after a commit.

        Other processes see the change when their own copies end; so do all when Redis can't be told. One query.
        """
        wanted = Host.objects.filter(Q(hostname__in=names) | Q(shop_id__in=shop_ids))
        rows = list(wanted.values_list("hostname", "version", "shop_id", "role"))
        newest = max((version for _, version, _, _ in rows), default=0)
        # What has no row any more is outdated by whatever changed last.
        hosts = dict.fromkeys(names, newest) | {name: version for name, version, _, _ in rows}
        shops = dict.fromkeys(shop_ids, newest) | {
            shop_id: version for _, version, shop_id, role in rows if role == Host.Role.CANONICAL and shop_id
        }
        # A slice that still holds a name that is gone costs a query; one that lacks a new name would hide it.
        slices: dict[str, int] = {}
        for name, version, _, _ in rows:
            slices[slice_of(name)] = max(version, slices.get(slice_of(name), 0))
        self._entries.outdate(hosts)
        self._canonical.outdate(shops)
        self._slices.outdate(slices)

    def forget(self) -> None:
        """Drops what this process knows, outages included: the next caller asks."""
        self._entries.memory.clear()
        self._canonical.memory.clear()
        self._slices.memory.clear()
        self._database.end()
        self._shared.close()

    def _surely_unknown(self, hostname: str) -> bool:
        names = self._slices.cached(slice_of(hostname))
        return names is not None and names.lacks(hostname)

    def _learn_slice(self, hostname: str) -> None:
        """So that this unknown name, and every other in its slice, is refused from memory from now on."""
        try:
            self._slices.find(slice_of(hostname))
        except HostsUnavailable:
            return  # the answer is known all the same


host_map = HostMap()


def for_request(entry: HostEntry, request_id: str) -> ShopContext | None:
    """The entry's shop as this request's context."""
    shop = entry.shop
    if shop is None:
        return None
    # `replace` would ask the class for its fields each time.
    return ShopContext(
        shop_id=shop.shop_id,
        name=shop.name,
        open_for_business=shop.open_for_business,
        policy=shop.policy,
        request_id=request_id,
        environment=shop.environment,
        host=shop.host,
        canonical_host=shop.canonical_host,
    )


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


def mode_at(entry: HostEntry, now: datetime) -> str:
    """The entry's mode with its expiry date applied."""
    return Host.Mode.EXPIRED if entry.expires_at is not None and entry.expires_at <= now else entry.mode


def host_facts(entry: HostEntry, now: datetime) -> HostFacts:
    """The entry as the redirect decision sees it at `now`."""
    mode = mode_at(entry, now)
    if entry.shop is None:
        return HostFacts(entry.hostname, entry.kind, mode)
    return HostFacts(
        hostname=entry.hostname,
        role=entry.kind,
        mode=mode,
        canonical=public_origin(entry.shop.canonical_host) if entry.shop.canonical_host else "",
        locales=entry.shop.policy.locales,
        default_locale=entry.locale or entry.shop.policy.default_locale,
        asks_browser=not entry.locale,
    )


def is_own_host(shop_id: str, hostname: str) -> bool:
    """Whether `hostname` is one of the shop's hosts, in any letter case; not one that has expired."""
    parts = normalise_host(hostname)
    if parts is None:
        return False
    entry = host_map.find(parts[0])
    if entry is None or not entry.served or mode_at(entry, timezone.now()) == Host.Mode.EXPIRED:
        return False
    return entry.shop is not None and entry.shop.shop_id == shop_id

"""What PostgreSQL says about host names: one name at a time, and which names there are in a slice of them."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime
from sys import byteorder

import msgspec
import structlog
from django.conf import settings
from django.db import connection
from django.db.models import CharField, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from tenants.allowlist import HostRole
from tenants.context import ShopContext, shop_context
from tenants.host_cache import Source
from tenants.models import Host

log = structlog.get_logger(__name__)

SLICES = 64
"""A scan of any number of random names asks for each slice once per refresh. More slices would be more queries for such
a scan, fewer would be larger ones: with a million hosts a slice holds 15,600 names in 125 kB.
"""
SLICE_BITS = 64 - (SLICES - 1).bit_length()
LOWEST_HASH = -(2**63)

# One index-only scan; the numbers come sorted, eight bytes each, in the order of the wire.
SLICE = """
SELECT coalesce(string_agg(int8send(name_hash), '' ORDER BY name_hash), ''), coalesce(max(version), 0)
  FROM tenants_host
 WHERE name_hash BETWEEN %s AND %s
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
    kind: str
    locale: str
    verified: bool

    @property
    def served(self) -> bool:
        """Whether anything but its verification file is answered: in production only a proven domain is."""
        return self.verified or settings.SERVE_UNVERIFIED_HOSTS


@dataclass(frozen=True, slots=True)
class Slice:
    """Hashes of every name in a sixty-fourth of the table. A name whose hash isn't here doesn't exist; one whose hash
    is here may exist.
    """

    hashes: array[int]

    def lacks(self, hostname: str) -> bool:
        number = name_hash(hostname)
        place = bisect_left(self.hashes, number)
        return place == len(self.hashes) or self.hashes[place] != number


def name_hash(hostname: str) -> int:
    """The same number as the column `name_hash`."""
    digest = hashlib.md5(hostname.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def slice_of(hostname: str) -> str:
    """The key of the slice that `hostname` falls into."""
    return str((name_hash(hostname) - LOWEST_HASH) >> SLICE_BITS)


def role_of(role: str) -> HostRole:
    """What a stored role means to the allowlist: every kind of shop host serves the shop."""
    return HostRole(role) if role in {Host.Role.HOOKS, Host.Role.PLATFORM} else HostRole.SHOP


def _read_entry(hostname: str) -> tuple[HostEntry, int] | None:
    """One query, host, shop, settings and canonical host in one snapshot."""
    canonical = Host.objects.filter(shop_id=OuterRef("shop_id"), role=Host.Role.CANONICAL)
    row = (
        Host.objects.filter(hostname=hostname)
        .select_related("shop__settings")
        .annotate(canonical=Coalesce(Subquery(canonical.values("hostname")), Value(""), output_field=CharField()))
        .first()
    )
    if row is None:
        return None
    shop = None
    if row.shop is not None:
        if not hasattr(row.shop, "settings"):
            log.error("host_of_a_shop_without_settings", host=row.hostname, shop_id=row.shop_id)
            return None
        shop = shop_context(row.shop, request_id="", host=row.hostname, canonical_host=row.canonical)
    entry = HostEntry(
        hostname=row.hostname,
        role=role_of(row.role),
        mode=row.mode,
        expires_at=row.expires_at,
        shop=shop,
        kind=row.role,
        locale=row.locale,
        verified=row.verified_at is not None,
    )
    return entry, row.version


def _read_canonical(shop_id: str) -> tuple[str, int] | None:
    return Host.objects.filter(shop_id=shop_id, role=Host.Role.CANONICAL).values_list("hostname", "version").first()


def _read_slice(key: str) -> tuple[Slice, int]:
    low = LOWEST_HASH + (int(key) << SLICE_BITS)
    with connection.cursor() as cursor:
        cursor.execute(SLICE, [low, low + (1 << SLICE_BITS) - 1])
        data, version = cursor.fetchone() or (b"", 0)
    return _unpack_slice(bytes(data)), version


def _pack_slice(value: Slice) -> bytes:
    return _swapped(value.hashes).tobytes()


def _unpack_slice(data: bytes) -> Slice:
    hashes = array("q")
    hashes.frombytes(data)
    return Slice(_swapped(hashes))


def _swapped(hashes: array[int]) -> array[int]:
    """Between the machine's order and the wire's."""
    turned = hashes[:]
    if byteorder == "little":
        turned.byteswap()
    return turned


# Decoding checks every field: an entry that another release wrote is either complete or refused as a ValueError.
ENTRIES: Source[HostEntry] = Source(
    kind="entry",
    read=_read_entry,
    pack=msgspec.msgpack.Encoder().encode,
    unpack=msgspec.msgpack.Decoder(HostEntry).decode,
)
SLICES_OF_NAMES: Source[Slice] = Source(kind="slice", read=_read_slice, pack=_pack_slice, unpack=_unpack_slice)
CANONICAL: Source[str] = Source(kind="canonical", read=_read_canonical, pack=str.encode, unpack=bytes.decode)
"""A shop's id to its canonical host."""

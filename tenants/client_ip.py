"""The address of whoever asks, behind proxies. Personal data: it decides who has to wait, and is never logged.

Each trusted proxy appends the address that it was asked from to `X-Forwarded-For`. With n of them the n-th entry from
the right was written by the outermost one, whatever stands to the left of it came from the client. Nothing else is
believed: not the leftmost entry, not `Forwarded`, not `X-Real-IP`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "0.0.0.0"  # noqa: S104  stands for a peer without an address (a Unix socket); nothing listens on it
ENTRIES = 64
"""More than any chain of proxies; the rest of an absurd header isn't looked at."""

LONGEST_REMEMBERED = 256
"""Characters of a header whose outcome is kept: long ones are made up, and would fill the memory."""

IPV6_PREFIX = 64
"""What one customer is given: whoever has one address of a /64 has them all."""

# 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1], [2001:db8::1]:4711; a zone (%eth0) is the proxy's own affair.
ZONE, PORT = r"(?:%[A-Za-z0-9_.-]{1,32})?", r"(?::[0-9]{1,5})?"
FORM = re.compile(
    rf"(?P<bare4>[0-9.]{{7,15}}){PORT}\Z"
    rf"|(?P<bare6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]{{1,44}}){ZONE}\Z"
    rf"|\[(?P<boxed6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]{{1,44}}){ZONE}\]{PORT}\Z"
)


def client_address(*, peer: str, forwarded_for: str, depth: int) -> str:
    """The normalised address of the client behind `depth` trusted proxies; 0 means that it connects directly.

    The peer's where the header has fewer entries than there should be, or where the one that counts isn't an address:
    then the request didn't come the way it should have. `UNKNOWN` when the peer has none either.
    """
    found = None
    if depth > 0:
        entries = forwarded_for.rsplit(",", ENTRIES)
        if len(entries) >= depth:
            found = _parse(entries[-depth])
    return str(found or _parse(peer) or UNKNOWN)


def bucket_of(address: str) -> str:
    """The address that one client is counted under: an IPv4 address itself, for IPv6 the first of its /64."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return address
    return str(IPv6Network((parsed, IPV6_PREFIX), strict=False).network_address)


def client_bucket(request: HttpRequest) -> str:
    """Under which address this request counts against limits, behind settings.TRUSTED_PROXY_DEPTH proxies."""
    peer, forwarded_for = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")
    find = _bucket if len(forwarded_for) <= LONGEST_REMEMBERED else _bucket.__wrapped__
    return find(peer, forwarded_for, settings.TRUSTED_PROXY_DEPTH)


@lru_cache(maxsize=8192)
def _bucket(peer: str, forwarded_for: str, depth: int) -> str:
    """A client asks more than once, and parsing its address costs as much as finding its shop."""
    return bucket_of(client_address(peer=peer, forwarded_for=forwarded_for, depth=depth))


def _parse(raw: str) -> IPv4Address | IPv6Address | None:
    """One address as proxies write it, with or without port and brackets; None for anything else.

    An IPv4 address in IPv6's clothing (::ffff:192.0.2.1) is the IPv4 address: the same client on another socket.
    """
    match = FORM.match(raw.strip(" \t"))
    if match is None:
        return None
    try:
        parsed = ip_address(match["bare4"] or match["bare6"] or match["boxed6"])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed

"""Looking at a domain from outside: its addresses, its TXT records, one small file, its certificate.

Whoever adds a host chooses where these connections go. They therefore lead to public addresses alone (settings.
PROBE_PRIVATE_ADDRESSES lifts that in development), to the address that was checked rather than to the name again, on
the web's own ports, follow no redirect, and are bounded in time and size.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings

from tenants.resolver_dns import DnsFailed, lookup_txt

SECONDS = 5.0
"""For one connection and everything said on it; staff wait for the page."""

MOST_BYTES = 16 * 1024
MOST_ADDRESSES = 2
# Addresses that carry an IPv4 address inside, which would have to be judged too: no web server needs them.
TRANSLATED = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")


class ProbeFailed(Exception):
    """What was looked for isn't there; the text is for staff."""


class NotChecked(Exception):
    """It couldn't be looked at from here, which says nothing about the domain."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Each raises ProbeFailed or NotChecked. `fetch(hostname, path)` answers the body of a 200, as text."""

    addresses: Callable[[str], Sequence[str]]
    texts: Callable[[str], Sequence[str]]
    fetch: Callable[[str, str], str]
    certificate_until: Callable[[str], datetime]


def addresses_of(hostname: str) -> list[str]:
    """Every address of the name, in the system's order."""
    try:
        found = socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ProbeFailed("The name has no address.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def texts_of(name: str) -> list[str]:
    try:
        return lookup_txt(name)
    except DnsFailed as error:
        raise NotChecked(str(error)) from error


def fetch(hostname: str, path: str) -> str:
    """`path` by HTTPS, else by HTTP: before a domain has its certificate only the latter works."""
    problem = ProbeFailed("Nothing answered.")
    for scheme, port in _origins():
        try:
            return _get(scheme, hostname, port, path)
        except ProbeFailed as error:
            problem = error
    raise problem


def certificate_until(hostname: str) -> datetime:
    """When the certificate shown for the name ends; one that browsers would refuse is ProbeFailed."""
    if settings.PUBLIC_SCHEME != "https":
        raise NotChecked("This deployment doesn't use HTTPS.")
    with _connect(hostname, 443) as plain, _secured(plain, hostname) as link:
        shown = link.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def is_public(address: str) -> bool:
    """Whether `address` is one of the internet's, and not of this machine, its network or a translation of such."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None or any(ip in network for network in TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _origins() -> list[tuple[str, int]]:
    if settings.PUBLIC_SCHEME == "https":
        return [("https", 443), ("http", 80)]
    return [(settings.PUBLIC_SCHEME, settings.PUBLIC_PORT)]


def judged_addresses(hostname: str) -> list[str]:
    """Addresses that may be connected to on somebody else's word; one private one among several spoils them all.

    Whoever connects does so to these and not to the name again, which may lead elsewhere by then. Raises ProbeFailed.
    """
    found = addresses_of(hostname)
    if not settings.PROBE_PRIVATE_ADDRESSES and not all(is_public(address) for address in found):
        raise ProbeFailed("The name leads to a private address, which is not looked at.")
    return found[:MOST_ADDRESSES]


def _connect(hostname: str, port: int) -> socket.socket:
    for address in judged_addresses(hostname):
        try:
            return socket.create_connection((address, port), timeout=SECONDS)
        except OSError:
            continue
    raise ProbeFailed(f"Nothing answers on port {port}.")


def _secured(plain: socket.socket, hostname: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=hostname)
    except ssl.SSLCertVerificationError as error:
        raise ProbeFailed(f"The certificate is refused: {error.verify_message}.") from error
    except OSError as error:
        raise ProbeFailed("There is no TLS on port 443.") from error


def _get(scheme: str, hostname: str, port: int, path: str) -> str:
    deadline = time.monotonic() + SECONDS
    named = hostname if port in {80, 443} else f"{hostname}:{port}"
    asked = f"GET {path} HTTP/1.0\r\nHost: {named}\r\nUser-Agent: Holdfast\r\nConnection: close\r\n\r\n"
    with _connect(hostname, port) as plain:
        link = _secured(plain, hostname) if scheme == "https" else plain
        with link:
            try:
                link.sendall(asked.encode("ascii"))
                data = _read(link, deadline)
            except OSError as error:
                raise ProbeFailed("The connection broke off or took too long.") from error
    head, _, body = data.partition(b"\r\n\r\n")
    status = head[:15].split(b" ")[1:2]
    if status != [b"200"]:
        raise ProbeFailed(f"The answer was {(status or [b'unreadable'])[0].decode('ascii', 'replace')[:3]}, not 200.")
    return body.decode("utf-8", "replace")


def _read(link: socket.socket, deadline: float) -> bytes:
    """All there is, up to the limit: a stranger's server may say as much and as slowly as it likes."""
    data = b""
    while len(data) < MOST_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        link.settimeout(left)
        if not (piece := link.recv(4096)):
            break
        data += piece
    return data[:MOST_BYTES]


NETWORK = Probes(addresses_of, texts_of, fetch, certificate_until)

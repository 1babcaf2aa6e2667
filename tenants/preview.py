"""What an address will do, hop by hop, without a request: the redirect decision applied until it ends (T10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from tenants.hosts import normalise_host
from tenants.redirects import Decision, HostFacts, Outcome, RequestFacts, decide, escape_target

MOST_HOPS = 5
"""Two are all that the decision ever makes; the rest is room to see that it broke its word."""

SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of the chain. `host` is None, and so is `decision`, where nobody serves the host name."""

    url: str
    host: HostFacts | None
    decision: Decision | None


def follow(url: str, *, find: Callable[[str], HostFacts | None], accept_language: str = "") -> list[Hop]:
    """The chain that a browser sees for `url`, its last hop being the answer. Never empty, never longer than MOST_HOPS.

    Raises ValueError for what is no absolute http(s) address; user info in it is ignored, as browsers ignore it.
    """
    hops: list[Hop] = []
    while len(hops) < MOST_HOPS:
        hostname, target = split_url(url)
        host = find(hostname)
        if host is None:
            return [*hops, Hop(url, None, None)]
        decision = decide(RequestFacts("GET", target, accept_language), host)
        hops.append(Hop(url, host, decision))
        if decision.outcome is not Outcome.REDIRECT:
            break
        url = urljoin(url, decision.location)
    return hops


def split_url(url: str) -> tuple[str, str]:
    """`(host name, target)` of an absolute address, as they would reach the front door. Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme.lower() not in SCHEMES:
        raise ValueError("An address begins with http:// or https://.")
    if (host := normalise_host(_ascii(parts.netloc.rpartition("@")[2]))) is None:
        raise ValueError("There is no host name in this address.")
    query = f"?{parts.query}" if parts.query else ""
    return host[0], escape_target((parts.path or "/") + query, "utf-8")


def _ascii(netloc: str) -> str:
    """International names in their xn-- form; what has none is left for the caller to refuse."""
    try:
        return netloc if netloc.isascii() else netloc.encode("idna").decode("ascii")
    except UnicodeError:
        return netloc

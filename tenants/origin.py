"""Whether an unsafe request came from the host's own pages. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
DEFAULT_PORTS = {"http": 80, "https": 443}


def from_elsewhere(*, origin: str | None, fetch_site: str | None, scheme: str, hostname: str, ports: set[int]) -> bool:
    """Whether a browser says that another site made this request.

    `same-site` counts as another site: shops of one platform share a registrable domain, and none may act for another's
    customers. No `Origin` and no `Sec-Fetch-Site` means that no browser is involved, hence no ambient cookie to abuse.
    """
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return True
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return True
    # "null" (sandboxed frames, redirected posts) has no host and ends here too.
    return parts.scheme != scheme or parts.hostname != hostname or port not in ports

"""One webhook POST over the wire."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, or the reason why there is none."""

    status: int | None
    error: str | None
    seconds: float

    @property
    def delivered(self) -> bool:
        """Only 2xx counts; a redirect is a failure, as with Stripe."""
        return self.status is not None and 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send and wait up to `timeout` seconds per network step. Never raises for what the other side does."""
    started = time.monotonic()
    try:
        status: int | None = _post(url, body, headers, timeout)
        error = None
    except (OSError, http.client.HTTPException, ValueError) as exc:  # ValueError: an address that is none
        status, error = None, f"{type(exc).__name__}: {exc}"
    return Answer(status, error, time.monotonic() - started)


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> int:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # Not every resolver knows that *.localhost is this machine; the Host header still names the shop.
    target = "127.0.0.1" if host.endswith(".localhost") else host
    https = parts.scheme == "https"
    connect = http.client.HTTPSConnection if https else http.client.HTTPConnection
    connection = connect(target, parts.port or (443 if https else 80), timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        named = {"Host": parts.netloc.rpartition("@")[2], "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in {**named, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read(64 * 1024)
        return answer.status
    finally:
        connection.close()

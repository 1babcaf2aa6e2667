"""One HTTP exchange within one deadline: looking up the name, connecting, TLS, sending and the last byte included.

`http.client` alone bounds each read, so that a server that drips could keep a customer waiting for ever. No redirect is
followed: a token goes where it was meant to go. No proxy of the environment is used, for the same reason.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import SplitResult

MOST_BYTES: Final = 1024 * 1024
"""Of an answer: a thousand lines have room, an endless stream has an end."""


class BrokenAnswer(Exception):
    """Something answered, and it isn't a whole HTTP answer of bearable size."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in milliseconds."""

    ends_at: int

    @classmethod
    def after(cls, milliseconds: int) -> Deadline:
        return cls(_now() + milliseconds)

    def left_ms(self) -> int:
        """What is left, at least 1. Raises TimeoutError when nothing is."""
        left = self.ends_at - _now()
        if left <= 0:
            raise TimeoutError("The deadline has passed.")
        return left


@dataclass(frozen=True, slots=True)
class Call:
    """`headers` are kept out of what is printed: one of them carries the token."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(url: SplitResult, call: Call, deadline: Deadline, *, tls: ssl.SSLContext | None) -> Answer:
    """Sends `call` to the host of `url`, over TLS where `tls` is given. Raises TimeoutError, OSError, BrokenAnswer."""
    host = url.hostname or ""
    with open_link(host, url.port or (443 if tls else 80), deadline) as plain:
        if tls is None:
            return exchange(plain, url.netloc, call, deadline)
        plain.settimeout(deadline.left_ms() * 0.001)
        with tls.wrap_socket(plain, server_hostname=host) as link:
            return exchange(link, url.netloc, call, deadline)


def exchange(link: socket.socket, netloc: str, call: Call, deadline: Deadline) -> Answer:
    """Sends `call` over `link` and reads one answer. Raises as `ask` does."""
    connection = http.client.HTTPConnection("unused")
    # What http.client uses of a socket is the three methods below.
    connection.sock = cast("Any", _Link(link, deadline))
    try:
        connection.request(call.method, call.path, call.body, {"Host": netloc, "Connection": "close", **call.headers})
        response = connection.getresponse()
        body = response.read(MOST_BYTES + 1)
    except http.client.HTTPException as error:
        raise BrokenAnswer(f"It isn't HTTP, or not all of it: {type(error).__name__}.") from error
    if len(body) > MOST_BYTES:
        raise BrokenAnswer("The answer is too large.")
    if response.length:
        raise BrokenAnswer("The answer broke off.")
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def open_link(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one, each with its share of the time. Raises OSError."""
    addresses = _addresses(host, port, deadline)
    failed: OSError = OSError("The name has no address.")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(max(1, deadline.left_ms() // (len(addresses) - number)) * 0.001)
            link.connect(address)
        except OSError as error:
            link.close()
            failed = error
        else:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
    raise failed


def _addresses(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Looked up beside: the system's resolver knows no deadline."""
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError("The name can't be looked up."))

    threading.Thread(target=look, name="inventory-authority-lookup", daemon=True).start()
    try:
        answer = found.get(timeout=deadline.left_ms() * 0.001)
    except queue.Empty:
        raise TimeoutError("The name was not looked up in time.") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class _Link:
    """A socket as http.client sees it, whose every wait ends with the deadline. Whoever opened it closes it."""

    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        self._link, self._deadline = link, deadline

    def sendall(self, data: bytes) -> None:
        self._link.settimeout(self._deadline.left_ms() * 0.001)
        self._link.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Paced(self._link, self._deadline))

    def close(self) -> None:
        pass


class _Paced(io.RawIOBase):
    def __init__(self, link: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._link, self._deadline = link, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._link.settimeout(self._deadline.left_ms() * 0.001)
        return self._link.recv_into(buffer)


def _now() -> int:
    return time.monotonic_ns() // 1_000_000

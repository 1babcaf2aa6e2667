"""An authority that misbehaves: a real server on a real socket that says exactly the bytes it was told to say."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[socket.socket], None]


def says(status: int, body: object = None, *, kind: str = "", **headers: str) -> Act:
    """A whole answer. Objects become JSON, a problem document where `status` is no success."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = kind or ("application/json" if status < 300 else "application/problem+json")
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


def problem(status: int, code: str, **members: Any) -> Act:
    return says(status, {"status": status, "code": code, "detail": f"It is {code}.", **members})


def raw(data: bytes) -> Act:
    return lambda link: link.sendall(data)


def hangs(link: socket.socket) -> None:
    """Says nothing until the other side has gone."""
    link.recv(1)


def drips(link: socket.socket) -> None:
    """A byte now and then, for ever: no single read is late."""
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        link.sendall(b" ")
        time.sleep(0.02)


def endless(link: socket.socket) -> None:
    """A body that never ends, as fast as it is taken."""
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        link.sendall(b" " * 65_536)


@dataclass
class Authority:
    """Answers the n-th request with the n-th act, and what comes after the last as the last."""

    acts: Sequence[Act]
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Authority:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link:
            head, _, body = _read(link)
            line, *fields = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
            self.bodies.append(body)
            self.asked.append((line.rpartition(" ")[0], headers, json.loads(body) if body else None))
            try:
                self.acts[min(len(self.asked), len(self.acts)) - 1](link)
            except OSError:
                return  # the client has had enough


def _read(link: socket.socket) -> tuple[bytes, bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += link.recv(65_536)
    head, gap, body = data.partition(b"\r\n\r\n")
    length = next((int(f[15:]) for f in head.split(b"\r\n") if f.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += link.recv(65_536)
    return head, gap, body

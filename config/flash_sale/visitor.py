"""One browser on the loopback: a cookie jar, an address of its own, and how long each answer took."""

from __future__ import annotations

import http.client
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

LOOPBACK = "127.0.0.1"
ANSWER_SECONDS = 60.0
"""A crowd queues; whoever waits for longer has lost the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`seconds` from the first byte sent to the last one read."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> dict[str, Any]:
        """The body as an object; empty when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        return str(self.json().get("code") or self.status)


@dataclass(slots=True)
class Visitor:
    """Speaks to 127.0.0.1 and says which host and client address it stands for, until a monotonic moment."""

    port: int
    host: str
    address: str
    until: float = math.inf
    cookies: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Raises OSError or HTTPException when the connection fails, TimeoutError when the time is up."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        headers = {"Host": f"{self.host}:{self.port}", "X-Forwarded-For": self.address}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/json"
        began = time.perf_counter()
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=min(ANSWER_SECONDS, left))
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            for value in answer.headers.get_all("Set-Cookie") or []:
                self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(value).items()}
            return Answer(answer.status, content, time.perf_counter() - began)
        finally:
            connection.close()

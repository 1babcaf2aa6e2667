"""Requests and answers as they cross between the server and those who answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` by lower-case name; `path` without the query, percent-decoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """`drop` closes the connection instead of answering, `reset` does it rudely, `half` after half of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    drop: bool = False
    reset: bool = False
    half: bool = False

    @property
    def arrives(self) -> bool:
        return not (self.drop or self.reset or self.half)


DROPPED = Reply(0, drop=True)
RESET = Reply(0, reset=True)


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, dumped(body), headers or {})


def dumped(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=str).encode()

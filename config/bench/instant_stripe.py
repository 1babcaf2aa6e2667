"""Stripe's answer without Stripe's time: `bench http` measures what a checkout costs here, not what it costs there.

Creates sessions, tells of them that they are paid, and does nothing else: it remembers nothing and checks nothing. What
a session cost is in its id. The call itself is the product's real one, package and connection pool included. Only its
connection leads to this process instead of another machine: a pair of sockets, whose far end is served at the moment
when the near one begins to wait. So nothing of ours is left out, and nothing is waited for: neither a network nor a
second server, which had this machine's cores to share with the first. What the far end takes, some 30 µs, counts as
ours.
"""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import Any, Final
from urllib.parse import parse_qsl

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

BASE: Final = "http://stripe.invalid"


def install() -> None:
    """From here on every plain HTTP connection of this process leads here. For the benchmark's own server."""
    HTTPConnectionPool.ConnectionCls = InstantConnection


class InstantConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        near, self._far = socket.socketpair()
        return near

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own is
        """All of the request has been sent by now, in one piece or two; it is small enough to lie there whole."""
        head, _, body = self._far.recv(1 << 20).partition(b"\r\n\r\n")
        method, path, _ = head.split(b" ", 2)
        if method == b"GET":
            session = _paid(path.decode().partition("?")[0].rpartition("/")[2])
        else:
            session = _opened(dict(parse_qsl(body.decode())))
        answer = json.dumps(session).encode()
        heading = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        self._far.sendall(heading.encode() + answer)
        return super().getresponse()


def _opened(sent: dict[str, str]) -> dict[str, Any]:
    """An open session for parameters as the package encodes them: `line_items[0][price_data][unit_amount]`."""
    total = sum(
        int(amount) * int(sent[name.replace("[price_data][unit_amount]", "[quantity]")])
        for name, amount in sent.items()
        if name.endswith("[price_data][unit_amount]")
    )
    currency = sent["line_items[0][price_data][currency]"]
    session_id = f"cs_test_{currency}{total}_{uuid.uuid4().hex}"
    return _session(session_id, currency, total) | {
        "status": "open",
        "payment_status": "unpaid",
        "url": f"https://checkout.invalid/{session_id}",
        "client_reference_id": sent["client_reference_id"],
        "expires_at": int(sent["expires_at"]),
        "metadata": {name[9:-1]: value for name, value in sent.items() if name.startswith("metadata[")},
        "payment_intent": None,
    }


def _paid(session_id: str) -> dict[str, Any]:
    """The session of this id once it is paid, its payment intent expanded."""
    bought, _, made = session_id.removeprefix("cs_test_").partition("_")
    return _session(session_id, bought[:3], int(bought[3:])) | {
        "status": "complete",
        "payment_status": "paid",
        "url": None,
        "client_reference_id": None,
        "expires_at": int(time.time()) + 3600,
        "metadata": {},
        "payment_intent": {
            "id": f"pi_{made}",
            "object": "payment_intent",
            "status": "succeeded",
            "latest_charge": f"ch_{made}",
        },
    }


def _session(session_id: str, currency: str, total: int) -> dict[str, Any]:
    return {"id": session_id, "object": "checkout.session", "currency": currency, "amount_total": total}

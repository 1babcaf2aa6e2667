"""Stripe's answer without Stripe's time: `bench http` measures what a checkout costs here, not what it costs there.

Creates sessions, tells of them that they are paid, and does nothing else: it remembers nothing and checks nothing. What
a session cost is in its id. The call itself is the product's real one, package and connection included; it ends at
this server, which answers at once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI, for the same gunicorn that serves the product."""
    if environ["REQUEST_METHOD"] == "GET":
        session = _paid(environ["PATH_INFO"].rpartition("/")[2])
    else:
        sent = dict(parse_qsl(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()))
        session = _opened(sent)
    body = json.dumps(session).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


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

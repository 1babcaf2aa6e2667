"""Stripe's answer without Stripe's time: `bench http` measures what a checkout costs here, not what it costs there.

Creates sessions and nothing else, remembers nothing and checks nothing. The call itself is the product's real one,
package and connection included; it ends at this server, which answers at once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI, for the same gunicorn that serves the product."""
    sent = dict(parse_qsl(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()))
    body = json.dumps(_session(sent)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _session(sent: dict[str, str]) -> dict[str, Any]:
    """An open session for parameters as the package encodes them: `line_items[0][price_data][unit_amount]`."""
    session_id = f"cs_test_{uuid.uuid4().hex}"
    total = sum(
        int(amount) * int(sent[name.replace("[price_data][unit_amount]", "[quantity]")])
        for name, amount in sent.items()
        if name.endswith("[price_data][unit_amount]")
    )
    return {
        "id": session_id,
        "object": "checkout.session",
        "status": "open",
        "payment_status": "unpaid",
        "url": f"https://checkout.invalid/{session_id}",
        "client_reference_id": sent["client_reference_id"],
        "currency": sent["line_items[0][price_data][currency]"],
        "amount_total": total,
        "expires_at": int(sent["expires_at"]),
        "metadata": {name[9:-1]: value for name, value in sent.items() if name.startswith("metadata[")},
        "payment_intent": None,
    }

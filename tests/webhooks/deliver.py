"""Stripe's side of a delivery: a body and a signature over it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from django.http import HttpResponse
from django.test import Client


def signature(body: bytes, *, secret: str = "whsec_test", at: int | None = None) -> str:
    """Signed by hand, so that the check is not tested with itself. Source: Stripe, "Verify webhook signatures"."""
    stamp = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def event(type_: str, event_object: dict[str, Any], *, event_id: str = "evt_1", **more: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "object": "event",
        "type": type_,
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": event_object},
        **more,
    }


def deliver(
    payload: dict[str, Any] | bytes,
    *,
    host: str = "hooks.localhost",
    path: str = "/api/stripe-webhook",
    signed: str | None = None,
) -> HttpResponse:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"Host": host, "Stripe-Signature": signature(body) if signed is None else signed}
    return Client(raise_request_exception=False).generic(
        "POST", path, body, content_type="application/json", headers=headers
    )

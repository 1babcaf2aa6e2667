"""Stripe's deliveries for `bench http`: each with an event of its own and its own signature, as Stripe sends them.

Two kinds: an event that nothing here handles, which is stored and answered, and a paid checkout, which is settled
before the answer: hold committed, stock sold, order confirmed, journal written. The product itself has begun those
checkouts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings

from config.bench.hold_stage import EVENTS, SHOP_ID

PATH: Final = "/api/stripe-webhook"
SECRET: Final = "whsec_bench_" + "0" * 24
STORED: Final = "charge.succeeded"
"""Comes with every card payment, and nothing is done about it: its session's event says all there is."""
HANDLED: Final = "checkout.session.completed"

Requests = Callable[[], bytes | None]
"""The next request, or None when there is nothing left to ask for in this turn."""


def stored_events(hostname: str, *, empty: bool) -> Requests:
    return lambda: _request(hostname, STORED, _charge(f"ch_{uuid.uuid4().hex}"), empty=empty)


def handled_events(hostname: str, sessions: deque[str], *, empty: bool) -> Requests:
    """Of the checkouts in `sessions`, each once; the empty view is asked with a made-up one, as long as a real one."""

    def following() -> bytes | None:
        if empty:
            return _request(hostname, HANDLED, _session(f"cs_test_eur2500_{uuid.uuid4().hex}"), empty=True)
        try:
            session_id = sessions.popleft()
        except IndexError:
            return None
        return _request(hostname, HANDLED, _session(session_id), empty=False)

    return following


def _request(hostname: str, type_: str, event_object: dict[str, Any], *, empty: bool) -> bytes:
    now = int(time.time())
    event = {
        "id": f"{EVENTS}{uuid.uuid4().hex}",
        "object": "event",
        "api_version": settings.STRIPE_API_VERSION,
        "created": now,
        "data": {"object": event_object},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }
    body = json.dumps(event, indent=2).encode()  # indented, as Stripe sends them
    mac = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    head = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {hostname}",
        "Accept: */*",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Stripe-Signature: t={now},v1={mac}",
    ]
    if empty:
        head.append("X-Bench: empty_view")
    return "\r\n".join([*head, "", ""]).encode() + body


_ADDRESS: Final = {
    "city": "Berlin", "country": "DE", "line1": "Uferstr. 1", "line2": None, "postal_code": "13357", "state": None,
}  # fmt: skip
_METADATA: Final = {
    "depositTotal": "0",
    "order_id": "00000000-0000-7000-8000-000000000000",
    "rentalDays": "0",
    "request_id": "0" * 32,
    "shop_id": SHOP_ID,
}


def _charge(charge_id: str) -> dict[str, Any]:
    """A card payment's charge, by the members that it has at Stripe. Source: Stripe's Charge object."""
    return {
        "id": charge_id,
        "object": "charge",
        "amount": 2500,
        "amount_captured": 2500,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": _ADDRESS, "email": "ada@example.test", "name": "Ada", "phone": None},
        "captured": True,
        "currency": "eur",
        "customer": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": _METADATA,
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
        "paid": True,
        "payment_intent": f"pi_{charge_id[3:]}",
        "payment_method_details": {"card": {"brand": "visa", "country": "US", "last4": "4242"}, "type": "card"},
        "refunded": False,
        "shipping": None,
        "status": "succeeded",
    }


def _session(session_id: str) -> dict[str, Any]:
    """A paid session. What of it counts is read from Stripe; the event says which."""
    return {
        "id": session_id,
        "object": "checkout.session",
        "amount_subtotal": 2500,
        "amount_total": 2500,
        "automatic_tax": {"enabled": False, "liability": None, "status": None},
        "cancel_url": "https://bench-holds.localhost/en/cart/",
        "client_reference_id": "00000000-0000-7000-8000-000000000000",
        "collected_information": {"shipping_details": {"address": _ADDRESS, "name": "Ada"}},
        "currency": "eur",
        "customer": None,
        "customer_details": {"address": _ADDRESS, "email": "ada@example.test", "name": "Ada", "phone": None},
        "livemode": False,
        "metadata": _METADATA,
        "mode": "payment",
        "payment_intent": f"pi_{session_id[-32:]}",
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "status": "complete",
        "success_url": "https://bench-holds.localhost/en/thanks/?session_id={CHECKOUT_SESSION_ID}",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": None,
    }

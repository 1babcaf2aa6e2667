"""The control surface itself: what it records, what it refuses, and that a reset forgets everything."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.shop import session_params
from tests.stripe_standin.running import ControlRefused, Running


def test_requests_are_recorded(client: stripe.StripeClient, standin: Running) -> None:
    options: Any = {"idempotency_key": "k", "stripe_account": "acct_veil"}
    session = client.v1.checkout.sessions.create(session_params(), options)
    client.v1.checkout.sessions.create(session_params(), options)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.retrieve("re_none")
    first, second, third = standin.control("GET", "requests")["requests"]

    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/checkout/sessions", 200)
    assert first["params"]["line_items"][0]["price_data"]["unit_amount"] == "1999", "as it was sent"
    assert first["headers"]["Idempotency-Key"] == "k"
    assert first["headers"]["Stripe-Account"] == first["account"] == "acct_veil"
    assert first["headers"]["Stripe-Version"] == "2026-10-28.endive"
    assert first["answer"]["id"] == session.id
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert (third["status"], third["answer"]["error"]["code"]) == (404, "resource_missing")

    only = standin.control("GET", f"requests?after={first['number']}&method=GET&path=/v1/refunds")["requests"]
    assert [entry["number"] for entry in only] == [third["number"]]
    standin.control("DELETE", "requests")
    assert standin.control("GET", "requests") == {"requests": []}


def test_dropped_and_refused_requests_are_recorded_too(client: stripe.StripeClient, standin: Running) -> None:
    standin.control("POST", "faults", {"match": {"path": "/v1/customers"}, "kind": "drop_after"})
    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create({"name": "Kim"})
    (entry,) = standin.control("GET", "requests")["requests"]
    assert (entry["dropped"], entry["faults"], entry["answer"]["name"]) == (True, ["drop_after"], "Kim")


def test_a_reset_forgets_everything(client: stripe.StripeClient, standin: Running) -> None:
    client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    standin.control("POST", "clock", {"advanceSeconds": 50})
    standin.control("POST", "options", {"taxRatePercent": 5})
    standin.control("POST", "deliveries", {"mode": "drop"})
    standin.control("POST", "faults", {"kind": "html"})
    standin.control("POST", "reset", {})
    assert standin.control("GET", "clock")["offsetSeconds"] == 0
    assert standin.control("GET", "options")["taxRatePercent"] == 0
    mode = {"mode": "normal", "types": [], "twin": False, "seed": 0, "delaySeconds": 0}
    assert standin.control("GET", "deliveries") == {"mode": mode, "deliveries": []}
    assert standin.control("GET", "faults") == {"faults": []}
    assert client.v1.checkout.sessions.list().data == []
    assert client.v1.events.list().data == []
    assert client.v1.customers.create({"name": "Kim"}, {"idempotency_key": "k"}).id


def test_a_reset_awaits_what_is_on_its_way(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    receiver.delay = 0.5
    client.v1.customers.create({"name": "before"})
    time.sleep(0.2)
    standin.control("POST", "reset")
    assert receiver.types() == ["customer.created"]
    receiver.forget()
    client.v1.customers.create({"name": "after"})
    assert receiver.await_count(1)[0].data.object["name"] == "after"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"advanceSeconds": -1}),
        ("clock", {"advanceSeconds": "60"}),
        ("clock", {"advanceSeconds": True}),
        ("clock", {}),
        ("clock", {"seconds": 1}),
        ("clock", []),
        ("deliveries", {"mode": "sometimes"}),
        ("deliveries", {"mode": "hold", "types": "charge.failed"}),
        ("deliveries", {"mode": "hold", "speed": 1}),
        ("deliveries/flush", {"order": "best"}),
        ("deliveries/flush", {"seed": "x"}),
        ("options", {"taxRatePercent": "19"}),
        ("options", {"lateChallenge": "perhaps"}),
        ("options", {"unknown": 1}),
        ("endpoints", {"url": "ftp://x", "secrets": ["a"]}),
        ("endpoints", {"url": "http://x.test", "secrets": "a"}),
    ],
)
def test_bad_input(standin: Running, path: str, body: Any) -> None:
    with pytest.raises(ControlRefused) as caught:
        standin.control("POST", path, body)
    assert caught.value.status == 400
    assert set(caught.value.body) == {"error"}


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"advanceSeconds": NaN}', b"[" * 100_000])
def test_unreadable_bodies(standin: Running, body: bytes) -> None:
    request = urllib.request.Request(f"{standin.url}/_control/clock", data=body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("GET", "reset"), ("POST", "sessions/cs_test_none/expire"), ("POST", "refunds/re_none/fail"),
     ("POST", "sessions/cs_test_none/dance")],
)  # fmt: skip
def test_unknown_acts(standin: Running, method: str, path: str) -> None:
    with pytest.raises(ControlRefused) as caught:
        standin.control(method, path)
    assert caught.value.status == 404


def test_expire_by_control(client: stripe.StripeClient, standin: Running) -> None:
    session_id = client.v1.checkout.sessions.create(session_params()).id
    assert standin.control("POST", f"sessions/{session_id}/expire")["session"]["status"] == "expired"
    with pytest.raises(ControlRefused) as caught:
        standin.control("POST", f"sessions/{session_id}/expire")
    assert caught.value.status == 400

"""Failures on demand: what the SDK makes of each, and whether the thing was made."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.shop import session_params
from tests.stripe_standin.running import ControlRefused, Running

CREATE = {"method": "POST", "path": "/v1/checkout/sessions", "exact": True}


def fault(standin: Running, kind: str, **more: Any) -> None:
    standin.control("POST", "faults", {"match": CREATE, "kind": kind, **more})


def create(client: stripe.StripeClient, key: str = "k") -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(session_params(), {"idempotency_key": key})


def count(client: stripe.StripeClient) -> int:
    return len(client.v1.checkout.sessions.list().data)


def test_dropped_before_nothing_was_made(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "drop_before")
    with pytest.raises(stripe.APIConnectionError):
        create(client)
    assert count(client) == 0
    assert "Idempotent-Replayed" not in create(client).last_response.headers  # type: ignore[union-attr]


def test_dropped_after_it_was_made(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "drop_after")
    with pytest.raises(stripe.APIConnectionError):
        create(client)
    assert count(client) == 1
    assert create(client).last_response.headers["Idempotent-Replayed"] == "true"  # type: ignore[union-attr]
    assert count(client) == 1


def test_500_before_is_not_remembered(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "status", status=500)
    with pytest.raises(stripe.APIError) as caught:
        create(client)
    assert caught.value.http_status == 500
    assert count(client) == 0
    assert create(client).status == "open"


@pytest.mark.parametrize(("when", "made"), [("after", 1), ("before", 0)])
def test_a_remembered_500_is_replayed(client: stripe.StripeClient, standin: Running, when: str, made: int) -> None:
    """After: it was made all the same. Before, with `save`: the execution failed. Either way the key is burnt."""
    fault(standin, "status", status=500, when=when, save=True)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            create(client)
        assert caught.value.http_status == 500
    assert caught.value.headers["Idempotent-Replayed"] == "true"  # type: ignore[index]
    assert count(client) == made


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_proxys_html(client: stripe.StripeClient, standin: Running, when: str, made: int) -> None:
    fault(standin, "html", when=when)
    with pytest.raises(stripe.APIError) as caught:
        create(client)
    assert caught.value.http_status == 502
    assert count(client) == made
    assert create(client).status == "open"
    assert count(client) == 1


@pytest.mark.parametrize("code", ["rate_limit", "lock_timeout"])
def test_rate_limits(client: stripe.StripeClient, standin: Running, code: str) -> None:
    fault(standin, "rate_limit", code=code)
    with pytest.raises(stripe.RateLimitError) as caught:
        create(client)
    assert (caught.value.http_status, caught.value.error.code) == (429, code)  # type: ignore[union-attr]
    assert count(client) == 0
    assert create(client).status == "open"


def test_any_status_with_any_body(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "status", status=402, type="card_error", code="card_declined", message="No.")
    with pytest.raises(stripe.CardError) as caught:
        create(client)
    assert (caught.value.code, caught.value.user_message) == ("card_declined", "No.")
    fault(standin, "status", status=401, type="invalid_request_error")
    with pytest.raises(stripe.AuthenticationError):
        create(client)
    fault(standin, "status", status=200, body="")
    with pytest.raises(stripe.APIError):
        create(client)


def test_retry_headers(standin: Running) -> None:
    """The SDK repeats a 429 only when it is told to."""
    retrying = stripe.StripeClient("sk_test_standin", base_addresses={"api": standin.url}, max_network_retries=1)
    fault(standin, "rate_limit", headers={"Stripe-Should-Retry": "true"})
    assert create(retrying).status == "open"


def test_latency_beyond_the_clients_patience(standin: Running) -> None:
    hasty = stripe.StripeClient(
        "sk_test_standin",
        base_addresses={"api": standin.url},
        http_client=stripe.RequestsClient(timeout=0.3),
    )
    client = client_of(standin.url)
    fault(standin, "latency", seconds=0.6, when="after")
    with pytest.raises(stripe.APIConnectionError):
        create(hasty)
    assert count(client) == 1, "made before the delay"
    fault(standin, "latency", seconds=0.6)
    with pytest.raises(stripe.APIConnectionError):
        create(hasty, "other")
    assert count(client) == 1, "not yet"
    time.sleep(0.6)
    assert count(client) == 2, "the server finished what the client gave up on"


def test_a_delay_does_not_block_others(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "latency", seconds=1.0)
    thread = threading.Thread(target=create, args=(client_of(standin.url), "slow"))
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    create(client, "quick")
    assert time.monotonic() - started < 0.6
    thread.join()


def test_faults_are_used_up_and_listed(client: stripe.StripeClient, standin: Running) -> None:
    fault(standin, "status", status=503, times=2)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            create(client)
    assert create(client).status == "open"
    (listed,) = standin.control("GET", "faults")["faults"]
    assert (listed["kind"], listed["timesLeft"], listed["hits"]) == ("status", 0, 2)
    assert standin.control("DELETE", "faults") == {"deleted": 1}
    fault(standin, "status", status=503, times=None)
    for number in range(3):
        with pytest.raises(stripe.APIError):
            create(client, str(number))
    only = standin.control("GET", "faults")["faults"][0]["id"]
    assert standin.control("DELETE", f"faults/{only}") == {"deleted": 1}
    assert create(client, "free again").status == "open"


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"path": "/v1/checkout/sessions"}, True),
        ({"path": "/v1/checkout"}, True),
        ({"path": "/v1/*/sessions/*/expire"}, True),
        ({"path": "/v1/checkout/sessions", "exact": True}, False),
        ({"path": "/v1/checkout/sessions", "method": "GET"}, False),
        ({"path": "/v1/refunds"}, False),
    ],
)
def test_what_a_fault_matches(client: stripe.StripeClient, standin: Running, match: Any, hit: bool) -> None:
    session_id = create(client).id
    standin.control("POST", "faults", {"match": match, "kind": "status", "status": 500})
    if hit:
        with pytest.raises(stripe.APIError):
            client.v1.checkout.sessions.expire(session_id)
    else:
        assert client.v1.checkout.sessions.expire(session_id).status == "expired"


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "fire"},
        {"kind": "latency"},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "seconds": "1"},
        {"kind": "status", "status": 99},
        {"kind": "status", "status": 500, "when": "never"},
        {"kind": "html", "times": 0},
        {"kind": "html", "seconds": 1},
        {"kind": "rate_limit", "code": "other"},
        {"kind": "html", "match": {"path": 1}},
        {"kind": "html", "match": {"url": "/"}},
    ],
)
def test_bad_faults(standin: Running, bad: Any) -> None:
    with pytest.raises(ControlRefused) as caught:
        standin.control("POST", "faults", bad)
    assert caught.value.status == 400
    assert standin.control("GET", "faults") == {"faults": []}

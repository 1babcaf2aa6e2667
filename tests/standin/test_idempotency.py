"""Idempotency keys, after docs.stripe.com/api/idempotent_requests."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.shop import session_params
from tests.stripe_standin.running import Running


def test_a_repeat_is_answered_from_memory(client: stripe.StripeClient, standin: Running) -> None:
    first = client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    standin.control("POST", f"sessions/{first.id}/pay", {"card": "4242424242424242"})
    again = client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})

    assert "Idempotent-Replayed" not in first.last_response.headers  # type: ignore[union-attr]
    assert again.last_response.headers["Idempotent-Replayed"] == "true"  # type: ignore[union-attr]
    assert again.to_dict(for_json=True) == first.to_dict(for_json=True)
    assert again.status == "open", "the old body, although it is paid by now"
    assert len(client.v1.checkout.sessions.list().data) == 1


@pytest.mark.parametrize("other", ["params", "endpoint"])
def test_the_same_key_for_something_else_is_refused(client: stripe.StripeClient, other: str) -> None:
    client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError) as caught:
        if other == "params":
            client.v1.checkout.sessions.create(session_params(locale="de"), {"idempotency_key": "k"})
        else:
            client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"})
    assert caught.value.http_status == 400
    assert client.v1.customers.list().data == []


def test_a_twin_in_flight_is_409_and_never_a_second_session(client: stripe.StripeClient, standin: Running) -> None:
    fault = {"match": {"method": "POST", "path": "/v1/checkout/sessions"}, "kind": "latency", "seconds": 0.6}
    standin.control("POST", "faults", fault)
    made: list[stripe.checkout.Session] = []

    def first() -> None:
        made.append(client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"}))

    thread = threading.Thread(target=first)
    thread.start()
    time.sleep(0.25)
    with pytest.raises(stripe.APIError) as caught:
        client_of(standin.url).v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    thread.join()

    assert caught.value.http_status == 409
    assert caught.value.error.code == "idempotency_key_in_use"  # type: ignore[union-attr]
    again = client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
    assert again.id == made[0].id
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_a_key_is_forgotten_after_24_hours(client: stripe.StripeClient, standin: Running) -> None:
    first = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"})
    standin.control("POST", "clock", {"advanceSeconds": 24 * 3600 - 5})
    assert client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"}).id == first.id
    standin.control("POST", "clock", {"advanceSeconds": 10})
    assert client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"}).id != first.id


def test_a_refused_execution_is_remembered(client: stripe.StripeClient) -> None:
    missing: Any = {"payment_intent": "pi_missing"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create(missing, {"idempotency_key": "k"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create(missing, {"idempotency_key": "k"})
    assert caught.value.code == "resource_missing"
    assert caught.value.headers["Idempotent-Replayed"] == "true"  # type: ignore[index]


def test_bad_parameters_are_not_remembered(client: stripe.StripeClient) -> None:
    bad = session_params(ui_mode="hosted")
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.checkout.sessions.create(bad, {"idempotency_key": "k"})
        assert "Idempotent-Replayed" not in caught.value.headers  # type: ignore[operator]
    assert client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"}).status == "open"


def test_a_stored_request_replays_after_its_expires_at_came_too_near(
    client: stripe.StripeClient, standin: Running
) -> None:
    params = session_params(expires_at=int(time.time()) + 31 * 60)
    first = client.v1.checkout.sessions.create(params, {"idempotency_key": "k"})
    standin.control("POST", "clock", {"advanceSeconds": 600})
    assert client.v1.checkout.sessions.create(params, {"idempotency_key": "k"}).id == first.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params, {"idempotency_key": "never sent before"})
    assert caught.value.param == "expires_at"


def test_the_key_is_per_account(client: stripe.StripeClient, standin: Running) -> None:
    own = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"})
    options: stripe.RequestOptions = {"idempotency_key": "k", "stripe_account": "acct_shop"}
    connected = client.v1.customers.create({"email": "other@example.com"}, options)
    other = client_of(standin.url, "sk_test_other").v1.customers.create({"name": "X"}, {"idempotency_key": "k"})
    assert len({own.id, connected.id, other.id}) == 3


def test_a_key_has_at_most_255_characters(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({}, {"idempotency_key": "k" * 256})
    assert client.v1.customers.create({}, {"idempotency_key": "k" * 255}).id


def test_events_name_the_request_and_its_key(client: stripe.StripeClient) -> None:
    made = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "k"})
    request = client.v1.events.list({"type": "customer.created"}).data[0].request
    assert request is not None
    assert (request.id, request.idempotency_key) == (made.last_response.request_id, "k")  # type: ignore[union-attr]

"""A stand-in that was killed goes on where it was; one that is asked to end, ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.receiver import SECRETS, Receiver
from tests.standin.shop import session_params
from tests.stripe_standin.running import Running


def test_nothing_is_lost_by_a_kill(tmp_path: Path) -> None:
    with Receiver() as receiver:
        first = Running(webhook_url=receiver.url, secrets=SECRETS, data=tmp_path)
        client = client_of(first.url)
        session = client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
        first.control("POST", "options", {"taxRatePercent": 7})
        first.control("POST", "clock", {"advanceSeconds": 600})
        receiver.refusals = [500]
        client.v1.customers.create({"name": "not yet delivered"})
        receiver.await_count(1)
        first.control("POST", "deliveries", {"mode": "hold"})
        client.v1.customers.create({"name": "held"})
        first.kill()

        with Running(webhook_url=receiver.url, secrets=SECRETS, data=tmp_path) as second:
            client = client_of(second.url)
            again = client.v1.checkout.sessions.create(session_params(), {"idempotency_key": "k"})
            assert again.id == session.id
            assert again.last_response.headers["Idempotent-Replayed"] == "true"  # type: ignore[union-attr]
            assert second.control("GET", "clock")["offsetSeconds"] == 600
            assert second.control("GET", "options")["taxRatePercent"] == 7
            assert second.control("GET", "deliveries")["mode"]["mode"] == "hold"
            receiver.await_count(2)
            second.control("POST", "deliveries/flush")
            assert [e.data.object["name"] for e in receiver.events] == ["not yet delivered"] * 2 + ["held"]
            assert len(client.v1.events.list().data) == 2
            assert second.control("POST", f"sessions/{session.id}/pay", {"wait": False})["state"] == "complete"


def test_one_process_per_data_file(tmp_path: Path) -> None:
    with Running(data=tmp_path / "one.db"), pytest.raises(RuntimeError):
        Running(data=tmp_path / "one.db")
    assert (tmp_path / "one.db").exists()


def test_a_session_expires_although_nobody_looks(tmp_path: Path) -> None:
    """The clock moved while the process was down: the ticker finds it at the start."""
    with Receiver() as receiver:
        first = Running(webhook_url=receiver.url, secrets=SECRETS, data=tmp_path)
        params = session_params(expires_at=int(time.time()) + 1805)
        client_of(first.url).v1.checkout.sessions.create(params)
        first.control("POST", "clock", {"advanceSeconds": 1803})
        assert receiver.events == []
        first.kill()
        with Running(webhook_url=receiver.url, secrets=SECRETS, data=tmp_path):
            assert receiver.await_count(1)[0].type == "checkout.session.expired"


def test_it_ends_when_told_and_keeps_its_port(tmp_path: Path) -> None:
    first = Running(data=tmp_path)
    port = int(first.url.rsplit(":", 1)[1])
    assert first.stop() == 0
    with Running(data=tmp_path, port=port) as second:
        assert second.url == first.url
        assert json.dumps(second.control("GET", "faults")) == '{"faults": []}'


def test_without_webhook_url_nothing_is_delivered() -> None:
    with Running() as quiet:
        client = client_of(quiet.url)
        client.v1.customers.create({"name": "Kim"})
        assert client.v1.events.list().data[0].pending_webhooks == 0
        assert quiet.control("GET", "deliveries")["deliveries"] == []
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.customers.retrieve("cus_none")

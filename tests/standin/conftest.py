"""One stand-in process and one webhook receiver for all tests here; each test begins with both emptied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.standin.receiver import SECRETS, Receiver
from tests.stripe_standin.running import Running

stripe.enable_telemetry = False


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    """The stand-in has no Redis: this takes the place of the emptying that all other tests get."""


@pytest.fixture(scope="session")
def webhook_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def process(webhook_receiver: Receiver) -> Iterator[Running]:
    with Running(webhook_url=webhook_receiver.url, secrets=SECRETS) as running:
        yield running


@pytest.fixture
def standin(process: Running) -> Running:
    process.control("POST", "reset")
    return process


@pytest.fixture
def receiver(webhook_receiver: Receiver, standin: Running) -> Receiver:
    webhook_receiver.forget()
    return webhook_receiver


@pytest.fixture
def client(standin: Running) -> stripe.StripeClient:
    return client_of(standin.url)


def client_of(url: str, key: str = "sk_test_standin") -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0)

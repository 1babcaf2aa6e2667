"""Webhooks: signed, retried, and on demand duplicated, held, reordered, dropped or too early."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import stripe

from tests.standin.receiver import SECRETS, Receiver
from tests.standin.shop import session_params
from tests.stripe_standin import API_VERSION
from tests.stripe_standin.deliveries import arrange, backoff
from tests.stripe_standin.endpoints import Endpoint, interested, signature
from tests.stripe_standin.running import ControlRefused, Running

COMPLETED = "checkout.session.completed"


def customer(client: stripe.StripeClient, name: str = "Kim") -> str:
    """The quickest way to one event."""
    return client.v1.customers.create({"name": name}).id


def names(receiver: Receiver) -> list[str]:
    return [event.data.object["name"] for event in receiver.events]


def deliveries(standin: Running) -> list[Any]:
    return list(standin.control("GET", "deliveries")["deliveries"])


def settled(standin: Running) -> list[Any]:
    """The deliveries once each has its answer written down, a moment after the receiver gave it."""
    until = time.monotonic() + 8
    while {delivery["state"] for delivery in deliveries(standin)} & {"pending", "sending"}:
        assert time.monotonic() < until
        time.sleep(0.02)
    return deliveries(standin)


def test_an_event_arrives_signed_with_every_secret(client: stripe.StripeClient, receiver: Receiver) -> None:
    made = customer(client)
    event = receiver.await_count(1)[0]  # the receiver verified it with both secrets
    assert (event.type, event.data.object["id"], event.livemode) == ("customer.created", made, False)
    assert event.api_version == API_VERSION
    assert "account" not in event, "it is the platform's own"
    assert receiver.signatures[0].count("v1=") == len(SECRETS)
    assert receiver.hosts == [receiver.host]
    assert receiver.paths == ["/api/stripe-webhook?from=standin"]


def test_signatures_name_their_time_and_fit_one_secret_each() -> None:
    header = signature(b'{"id":"evt_1"}', ["whsec_a", "whsec_b"], int(time.time()))
    for secret in ("whsec_a", "whsec_b"):
        assert stripe.WebhookSignature.verify_header('{"id":"evt_1"}', header, secret, tolerance=10)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header('{"id":"evt_1"}', header, "whsec_c", tolerance=10)


@pytest.mark.parametrize("refusal", [500, 503, 302, 404])
def test_anything_but_2xx_is_tried_again_signed_anew(
    client: stripe.StripeClient, standin: Running, receiver: Receiver, refusal: int
) -> None:
    receiver.refusals = [refusal]
    customer(client)
    first, second = receiver.await_count(2)
    assert first.id == second.id
    assert receiver.signatures[0] != receiver.signatures[1]
    (delivery,) = settled(standin)
    assert [entry["status"] for entry in delivery["tries"]] == [refusal, 200]
    assert delivery["state"] == "delivered"


def test_retries_back_off() -> None:
    assert [backoff(tries) for tries in (1, 2, 3, 6, 7, 12)] == [1, 2, 4, 32, 60, 60]


def test_pending_webhooks_counts_who_has_not_answered(
    client: stripe.StripeClient, standin: Running, receiver: Receiver
) -> None:
    receiver.refusals = [500]
    customer(client)
    receiver.await_count(1)
    assert client.v1.events.list({"delivery_success": False}).data[0].pending_webhooks == 1
    assert client.v1.events.list({"delivery_success": True}).data == []
    receiver.await_count(2)
    settled(standin)
    assert client.v1.events.list({"delivery_success": True}).data[0].pending_webhooks == 0


def test_duplicates_carry_the_same_id(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "deliveries", {"mode": "duplicate"})
    customer(client)
    first, second = receiver.await_count(2)
    assert first.id == second.id
    assert len(client.v1.events.list().data) == 1


def test_a_twin_is_a_second_event_for_one_change(
    client: stripe.StripeClient, standin: Running, receiver: Receiver
) -> None:
    standin.control("POST", "deliveries", {"mode": "duplicate", "twin": True})
    made = customer(client)
    events = receiver.await_count(4)
    assert {event.data.object["id"] for event in events} == {made}
    assert len({event.id for event in events}) == 2
    assert len(client.v1.events.list().data) == 2


def test_held_deliveries_wait_for_the_flush(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "deliveries", {"mode": "hold"})
    for name in "abc":
        customer(client, name)
    time.sleep(0.3)
    assert receiver.events == []
    assert {delivery["state"] for delivery in deliveries(standin)} == {"held"}
    flushed = standin.control("POST", "deliveries/flush", {"order": "reverse"})["flushed"]
    assert [entry["status"] for entry in flushed] == [200, 200, 200]
    assert names(receiver) == ["c", "b", "a"]
    assert standin.control("POST", "deliveries/flush", {})["flushed"] == []


def test_reordering_is_the_same_for_the_same_seed(
    client: stripe.StripeClient, standin: Running, receiver: Receiver
) -> None:
    orders = []
    for _ in range(2):
        standin.control("POST", "deliveries", {"mode": "reorder", "seed": 7})
        receiver.forget()
        for name in "abcde":
            customer(client, name)
        standin.control("POST", "deliveries/flush")
        orders.append(names(receiver))
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list("abcde")
    assert orders[0] != list("abcde")


@pytest.mark.parametrize("seed", range(20))
def test_a_random_order_is_never_the_original(seed: int) -> None:
    assert arrange([1, 2], order="random", seed=seed) == [2, 1]
    assert arrange([1], order="random", seed=seed) == [1]


def test_dropped_events_are_only_in_the_list(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "deliveries", {"mode": "drop"})
    customer(client, "lost")
    standin.control("POST", "deliveries", {"mode": "normal"})
    customer(client, "sent")
    receiver.await_count(1)
    assert names(receiver) == ["sent"]
    settled(standin)
    missed = client.v1.events.list({"delivery_success": False}).data
    assert [event.data.object["name"] for event in missed] == ["lost"]


def test_an_event_can_come_before_the_answer(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    session_id = client.v1.checkout.sessions.create(session_params()).id
    standin.control("POST", "deliveries", {"mode": "before_response"})
    answered = threading.Event()
    early: list[bool] = []
    receiver.on_event = lambda event: early.append(not answered.wait(0.3))
    client.v1.checkout.sessions.expire(session_id)
    answered.set()
    assert early == [True]
    assert receiver.types() == ["checkout.session.expired"]


def test_modes_can_be_limited_to_types(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "deliveries", {"mode": "hold", "types": [COMPLETED]})
    session_id = client.v1.checkout.sessions.create(session_params()).id
    standin.control("POST", f"sessions/{session_id}/pay", {})
    receiver.await_count(4)
    assert COMPLETED not in receiver.types()
    standin.control("POST", "deliveries/flush")
    assert receiver.types()[-1] == COMPLETED


def test_a_delay(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "deliveries", {"mode": "normal", "delaySeconds": 0.6})
    started = time.monotonic()
    customer(client)
    receiver.await_count(1)
    assert time.monotonic() - started >= 0.5


def test_redelivery(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    customer(client)
    event = receiver.await_count(1)[0]
    answer = standin.control("POST", f"events/{event.id}/redeliver")
    assert [entry["status"] for entry in answer["deliveries"]] == [200]
    assert [again.id for again in receiver.events] == [event.id, event.id]
    with pytest.raises(ControlRefused) as caught:
        standin.control("POST", "events/evt_none/redeliver")
    assert caught.value.status == 404


def test_another_api_version_on_demand(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    standin.control("POST", "options", {"apiVersion": "2020-08-27"})
    customer(client)
    assert receiver.await_count(1)[0].api_version == "2020-08-27"


def test_events_of_connected_accounts_name_them(client: stripe.StripeClient, receiver: Receiver) -> None:
    client.v1.customers.create({"name": "Kim"}, {"stripe_account": "acct_shop"})
    assert receiver.await_count(1)[0].account == "acct_shop"
    assert client.v1.events.list().data == []
    assert len(client.v1.events.list(options={"stripe_account": "acct_shop"}).data) == 1


def test_an_account_can_have_an_endpoint_of_its_own() -> None:
    default = Endpoint("we_1", "http://a.test", ("s",))
    own = Endpoint("we_2", "http://b.test", ("t",), accounts=("acct_b",), events=("charge.*",))
    both = [default, own]
    assert interested(both, account="acct_a", event_type="charge.failed") == [default]
    assert interested(both, account="acct_b", event_type="charge.failed") == [own]
    assert interested(both, account="acct_b", event_type="refund.created") == []


def test_an_endpoint_added_by_control(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    added = {"url": receiver.url + "&own=1", "secrets": list(SECRETS), "accounts": ["acct_shop"]}
    standin.control("POST", "endpoints", added)
    client.v1.customers.create({"name": "Kim"}, {"stripe_account": "acct_shop"})
    customer(client)
    receiver.await_count(2)
    assert sorted(path.endswith("&own=1") for path in receiver.paths) == [False, True]


def test_events_are_listed_by_type_and_time(client: stripe.StripeClient, standin: Running) -> None:
    made = customer(client)
    client.v1.customers.update(made, {"name": "Lee"})
    session_id = client.v1.checkout.sessions.create(session_params()).id
    standin.control("POST", f"sessions/{session_id}/pay", {"wait": False})

    def types(**params: Any) -> list[str]:
        found: Any = client.v1.events.list(params)  # type: ignore[arg-type]
        return [event.type for event in found.data]

    assert types(type="customer.*") == ["customer.updated", "customer.created"]
    assert types(types=["charge.succeeded", COMPLETED]) == [COMPLETED, "charge.succeeded"]
    assert types(created={"gt": int(time.time()) + 60}) == []
    assert len(types(created={"gte": int(time.time()) - 60}, limit=100)) == 7
    updated = client.v1.events.list({"type": "customer.updated"}).data[0]
    assert updated.data.previous_attributes["name"] == "Kim"  # type: ignore[index]
    assert client.v1.events.retrieve(updated.id).data.object["name"] == "Lee"
    with pytest.raises(stripe.InvalidRequestError):
        types(type="charge.failed", types=["charge.failed"])


def test_events_are_kept_for_30_days(client: stripe.StripeClient, standin: Running) -> None:
    customer(client)
    standin.control("POST", "clock", {"advanceSeconds": 30 * 86_400 + 60})
    assert client.v1.events.list().data == []


def test_catching_up_reads_in_order_of_time(client: stripe.StripeClient) -> None:
    for name in "abc":
        customer(client, name)
    oldest = client.v1.events.list().data[-1]
    missed = client.v1.events.list({"ending_before": oldest.id, "limit": 1}).auto_paging_iter()
    assert [event.data.object["name"] for event in missed] == ["b", "c"]


def test_events_of_any_type_can_be_sent(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    dispute = {"id": "du_1", "object": "dispute", "status": "needs_response"}
    standin.control("POST", "events", {"type": "charge.dispute.created", "object": dispute})
    sent = receiver.await_count(1)[0]
    assert (sent.type, sent.data.object["status"]) == ("charge.dispute.created", "needs_response")
    assert client.v1.events.retrieve(sent.id).type == "charge.dispute.created"
    standin.control("POST", "events", {"type": "a.b", "object": dispute, "account": "acct_x", "connected": True})
    assert receiver.await_count(2)[1].account == "acct_x"
    with pytest.raises(ControlRefused):
        standin.control("POST", "events", {"type": "a.b", "object": {}})

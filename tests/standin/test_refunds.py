"""Refunds: in parts, never above the charge, failing after they succeeded; and what the balance says."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.receiver import Receiver
from tests.standin.shop import session_params
from tests.stripe_standin.running import ControlRefused, Running


@pytest.fixture
def intent(client: stripe.StripeClient, standin: Running) -> str:
    """A payment of 39.98 EUR."""
    return paid(client, standin)


def paid(client: stripe.StripeClient, standin: Running, card: str = "4242424242424242") -> str:
    session_id = client.v1.checkout.sessions.create(session_params()).id
    answer = standin.control("POST", f"sessions/{session_id}/pay", {"card": card})
    return str(answer["paymentIntent"]["id"])


def charge_of(client: stripe.StripeClient, intent: str) -> stripe.Charge:
    return client.v1.charges.list({"payment_intent": intent}).data[0]


def test_partial_refunds_up_to_the_charge(client: stripe.StripeClient, intent: str, receiver: Receiver) -> None:
    first = client.v1.refunds.create({"payment_intent": intent, "amount": 1000, "metadata": {"return": "1"}})
    assert (first.status, first.amount, first.currency) == ("succeeded", 1000, "eur")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent, "amount": 2999})
    assert caught.value.param == "amount"
    rest = client.v1.refunds.create({"charge": charge_of(client, intent).id})
    assert rest.amount == 2998
    charge = client.v1.charges.retrieve(str(rest.charge), {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (3998, True)
    assert charge.refunds is not None
    assert [refund.id for refund in charge.refunds.data] == [rest.id, first.id]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent})
    assert caught.value.code == "charge_already_refunded"
    shown = [event.data.object["amount_refunded"] for event in receiver.await_count(2, of="charge.refunded")]
    assert sorted(shown) == [1000, 3998], "cumulative"
    assert [r.id for r in client.v1.refunds.list({"payment_intent": intent}).data] == [rest.id, first.id]


def test_refunds_at_once_never_exceed_the_charge(client: stripe.StripeClient, standin: Running, intent: str) -> None:
    done: list[int] = []

    def refund() -> None:
        try:
            made = client_of(standin.url).v1.refunds.create({"payment_intent": intent, "amount": 1500})
            done.append(made.amount)
        except stripe.InvalidRequestError:
            done.append(0)

    threads = [threading.Thread(target=refund) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 0, 1500, 1500]
    assert charge_of(client, intent).amount_refunded == 3000


def test_a_refund_fails_after_it_succeeded(
    client: stripe.StripeClient, standin: Running, intent: str, receiver: Receiver
) -> None:
    refund = client.v1.refunds.create({"payment_intent": intent, "amount": 1000})
    standin.control("POST", f"refunds/{refund.id}/fail", {"reason": "expired_or_canceled_card"})
    failed = client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert failed.failure_balance_transaction is not None
    assert charge_of(client, intent).amount_refunded == 0
    assert receiver.await_count(1, of="refund.failed")[0].data.object["id"] == refund.id
    with pytest.raises(ControlRefused):
        standin.control("POST", f"refunds/{refund.id}/fail")


@pytest.mark.parametrize("by", ["card", "option"])
def test_a_refund_may_be_pending_first(
    client: stripe.StripeClient, standin: Running, receiver: Receiver, by: str
) -> None:
    intent = paid(client, standin, "4000000000007726" if by == "card" else "4242424242424242")
    if by == "option":
        standin.control("POST", "options", {"refundStatus": "pending"})
    refund = client.v1.refunds.create({"payment_intent": intent})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.cancel(refund.id)
    standin.control("POST", f"refunds/{refund.id}/succeed")
    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert receiver.await_count(1, of="refund.updated")[0].data.object["status"] == "succeeded"


def test_metadata_of_a_refund(client: stripe.StripeClient, intent: str) -> None:
    refund = client.v1.refunds.create({"payment_intent": intent, "reason": "requested_by_customer"})
    changed = client.v1.refunds.update(refund.id, {"metadata": {"note": "x"}})
    assert changed.metadata is not None
    assert (changed.metadata["note"], changed.reason) == ("x", "requested_by_customer")


def test_what_was_not_paid_is_not_refunded(client: stripe.StripeClient, standin: Running) -> None:
    session_id = client.v1.checkout.sessions.create(session_params()).id
    answer = standin.control("POST", f"sessions/{session_id}/pay", {"card": "4000000000000002"})
    for wanted in ({"payment_intent": answer["paymentIntent"]["id"]}, {"charge": "ch_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.refunds.create(wanted)  # type: ignore[arg-type]
    assert client.v1.refunds.list().data == []


def test_the_balance_is_the_sum_of_its_transactions(client: stripe.StripeClient, standin: Running, intent: str) -> None:
    client.v1.refunds.create({"payment_intent": intent, "amount": 1000})
    transactions = client.v1.balance_transactions.list().data
    assert [(t.type, t.amount, t.fee, t.net) for t in transactions] == [
        ("refund", -1000, 0, -1000), ("charge", 3998, 146, 3852)]  # fmt: skip
    assert transactions[0].status == "pending"
    pending: Any = client.v1.balance.retrieve().pending
    assert [(entry.amount, entry.currency) for entry in pending] == [(2852, "eur")]
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"] == {
        "charged": 3998, "refunded": -1000, "disputed": 0, "fees": 146, "net": 2852, "transactions": 2}  # fmt: skip
    standin.control("POST", "clock", {"advanceSeconds": 2 * 86_400})
    assert client.v1.balance_transactions.retrieve(transactions[0].id).status == "available"
    assert [entry.amount for entry in client.v1.balance.retrieve().available] == [2852]


def test_an_account_that_is_settled_in_another_currency(client: stripe.StripeClient, standin: Running) -> None:
    standin.control("POST", "settlements", {"currency": "usd", "rates": {"eur": "1.0837"}})
    intent = paid(client, standin)
    charge = client.v1.charges.list({"payment_intent": intent, "expand": ["data.balance_transaction"]}).data[0]
    booked: Any = charge.balance_transaction
    assert (charge.amount, charge.currency) == (3998, "eur")
    assert (booked.amount, booked.currency, booked.exchange_rate, booked.fee) == (4333, "usd", 1.0837, 156)
    assert (booked.fee_details[0].currency, booked.net) == ("usd", 4177)
    client.v1.refunds.create({"payment_intent": intent})
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["usd"]["net"] == -156
    standin.control("POST", "settlements", {"currency": "usd", "rates": {}})
    assert charge_of(client, paid(client, standin)).currency == "eur"
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]["net"] == 3998 - 146
    for body in (
        {"currency": "isk", "rates": {}}, {"currency": "usd", "rates": {"eur": 1.1}}, {"currency": "usd"},
        {"currency": "usd", "rates": {"usd": "1"}}, {"currency": "usd", "rates": {"eur": "0"}}, {"rates": {}, "x": 1},
    ):  # fmt: skip
        with pytest.raises(ControlRefused):
            standin.control("POST", "settlements", body)

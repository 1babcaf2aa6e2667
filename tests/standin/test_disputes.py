"""Disputes: begun by the bank, answered, escalated, closed; what the balance says; and objects that are placed."""

from __future__ import annotations

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.test_refunds import charge_of, paid
from tests.stripe_standin.running import ControlRefused, Running


@pytest.fixture
def charge(client: stripe.StripeClient, standin: Running) -> str:
    """A charge of 39.98 EUR."""
    return charge_of(client, paid(client, standin)).id


def test_a_dispute_takes_the_money_and_gives_it_back_to_who_wins(
    client: stripe.StripeClient, standin: Running, charge: str, receiver: Receiver
) -> None:
    begun = standin.control("POST", f"charges/{charge}/dispute", {"reason": "fraudulent"})["dispute"]
    found = client.v1.disputes.retrieve(begun["id"])
    assert (found.status, found.amount, found.charge, found.is_charge_refundable) == (
        "needs_response", 3998, charge, False,
    )  # fmt: skip
    assert [(t.amount, t.fee, t.net, t.reporting_category) for t in found.balance_transactions] == [
        (-3998, 1500, -5498, "dispute")
    ]
    assert client.v1.charges.retrieve(charge).disputed
    assert client.v1.disputes.update(found.id, {"evidence": {"receipt": "file_1"}}).status == "under_review"
    standin.control("POST", f"disputes/{found.id}/close", {"outcome": "won"})
    assert client.v1.disputes.retrieve(found.id).status == "won"
    balance = standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]
    assert (balance["charged"], balance["disputed"], balance["net"]) == (3998, 0, 3998 - 146 - 1500)
    for name in ("created", "funds_withdrawn", "updated", "funds_reinstated", "closed"):
        (told,) = receiver.await_count(1, of=f"charge.dispute.{name}")
        assert told.data.object["id"] == found.id


def test_an_inquiry_takes_nothing_until_it_escalates(
    client: stripe.StripeClient, standin: Running, charge: str
) -> None:
    begun = standin.control("POST", f"charges/{charge}/dispute", {"inquiry": True, "amount": 1000})["dispute"]
    assert (begun["status"], begun["balance_transactions"]) == ("warning_needs_response", [])
    standin.control("POST", f"disputes/{begun['id']}/escalate", {})
    found = client.v1.disputes.list({"charge": charge}).data[0]
    assert (found.status, [t.amount for t in found.balance_transactions]) == ("needs_response", [-1000])
    standin.control("POST", f"disputes/{found.id}/close", {"outcome": "lost"})
    assert client.v1.disputes.retrieve(found.id).status == "lost"


def test_nonsense_is_refused(client: stripe.StripeClient, standin: Running, charge: str) -> None:
    for body in ({"amount": 4000}, {"amount": 0}, {"amount": "all"}, {"why": "x"}, {"inquiry": "yes"}):
        with pytest.raises(ControlRefused):
            standin.control("POST", f"charges/{charge}/dispute", body)
    begun = standin.control("POST", f"charges/{charge}/dispute", {})["dispute"]
    with pytest.raises(ControlRefused):
        standin.control("POST", f"charges/{charge}/dispute", {})
    standin.control("POST", f"disputes/{begun['id']}/close", {"outcome": "lost"})
    for verb in ("close", "respond", "escalate"):
        with pytest.raises(ControlRefused):
            standin.control("POST", f"disputes/{begun['id']}/{verb}", {"outcome": "won"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.disputes.update(begun["id"], {"submit": True})


def test_subscriptions_and_invoices_are_shown_as_placed(client: stripe.StripeClient, standin: Running) -> None:
    for status in ("trialing", "active"):
        placed = {"id": "sub_1", "object": "subscription", "status": status, "created": 1}
        standin.control("POST", "objects", {"object": placed})
    standin.control("POST", "objects", {"object": {"id": "in_1", "object": "invoice", "status": "paid", "created": 1}})
    assert client.v1.subscriptions.retrieve("sub_1").status == "active"
    assert [row.id for row in client.v1.invoices.list().data] == ["in_1"]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.retrieve("in_2")
    for body in ({}, {"object": {"id": "ch_1", "object": "charge"}}, {"object": {"object": "invoice"}}):
        with pytest.raises(ControlRefused):
            standin.control("POST", "objects", body)

"""What customers do to a session: pay, fail, authenticate, pay by debit, come too late."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.shop import line, session_params
from tests.stripe_standin.running import ControlRefused, Running

SESSION_EXPANDED: Any = {
    "expand": ["payment_intent.latest_charge.balance_transaction", "payment_intent.payment_method"]
}
CHALLENGED = "4000002760003184"


def create(client: stripe.StripeClient, **changes: Any) -> str:
    return client.v1.checkout.sessions.create(session_params(**changes)).id


def pay(standin: Running, session_id: str, **sent: Any) -> Any:
    return standin.control("POST", f"sessions/{session_id}/pay", sent)


def test_a_paid_session(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    session_id = create(client, shipping_address_collection={"allowed_countries": ["DE"]})
    answer = pay(standin, session_id, email="kim@example.com", name="Kim Doe")
    assert (answer["state"], answer["redirectUrl"]) == (
        "complete", f"http://shop.localhost/thanks?session_id={session_id}")  # fmt: skip

    session = client.v1.checkout.sessions.retrieve(session_id, SESSION_EXPANDED)
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.customer_details is not None
    assert (session.customer_details.email, session.customer_details.name) == ("kim@example.com", "Kim Doe")
    assert session.collected_information is not None
    assert session.collected_information.shipping_details is not None
    assert session.collected_information.shipping_details.address.country == "DE"
    intent: Any = session.payment_intent
    assert (intent.status, intent.amount_received, intent.metadata["order_id"]) == ("succeeded", 3998, "o-1")
    charge = intent.latest_charge
    assert (charge.paid, charge.captured, charge.amount_captured, charge.status) == (True, True, 3998, "succeeded")
    assert charge.payment_method_details.card.last4 == "4242"
    assert charge.billing_details.email == "kim@example.com"
    # 2.9 % of 3998 is 115.94
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (146, 3852)
    receiver.await_count(5)
    assert set(receiver.types()) == {
        "payment_intent.created", "charge.succeeded", "charge.updated", "payment_intent.succeeded",
        "checkout.session.completed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", "expired_card"),
        ("4111111111111111", "incorrect_number", "incorrect_number"),
    ],
)
def test_a_declined_card_can_be_replaced(
    client: stripe.StripeClient, standin: Running, receiver: Receiver, card: str, code: str, decline_code: str
) -> None:
    session_id = create(client)
    answer = pay(standin, session_id, card=card)
    assert (answer["state"], answer["session"]["status"]) == ("declined", "open")
    error = answer["paymentIntent"]["last_payment_error"]
    assert (error["code"], error["decline_code"]) == (code, decline_code)
    assert receiver.await_count(1, of="payment_intent.payment_failed")

    assert pay(standin, session_id)["state"] == "complete"
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert session.payment_intent == answer["paymentIntent"]["id"], "one intent for all tries"
    charges = client.v1.charges.list({"payment_intent": answer["paymentIntent"]["id"]}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]


def test_paying_twice_charges_once(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(pay(standin, session_id)["state"])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["already_complete"] * 4 + ["complete"]
    assert len(client.v1.charges.list().data) == 1


def test_expiry_and_payment_exclude_each_other(client: stripe.StripeClient, standin: Running) -> None:
    """Whoever comes first wins, the other is told so; there is no third outcome."""
    for _ in range(8):
        session_id = create(client)
        outcome: dict[str, str] = {}

        def expire(session_id: str = session_id, outcome: dict[str, str] = outcome) -> None:
            try:
                outcome["expire"] = client.v1.checkout.sessions.expire(session_id).status or ""
            except stripe.InvalidRequestError:
                outcome["expire"] = "refused"

        thread = threading.Thread(target=expire)
        thread.start()
        outcome["pay"] = pay(standin, session_id)["state"]
        thread.join()
        status = client.v1.checkout.sessions.retrieve(session_id).status
        assert (outcome["pay"], outcome["expire"], status) in [
            ("complete", "refused", "complete"), ("expired", "expired", "expired")]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "state", "status", "payment_status"),
    [
        ("approve", "complete", "complete", "paid"),
        ("fail", "declined", "open", "unpaid"),
        ("abandon", "challenge", "open", "unpaid"),
    ],
)
def test_three_d_secure(
    client: stripe.StripeClient, standin: Running, answer: str, state: str, status: str, payment_status: str
) -> None:
    session_id = create(client)
    assert pay(standin, session_id, card=CHALLENGED, threeDS=answer)["state"] == state
    session = client.v1.checkout.sessions.retrieve(session_id, SESSION_EXPANDED)
    assert (session.status, session.payment_status) == (status, payment_status)
    if answer == "fail":
        intent: Any = session.payment_intent
        assert intent.last_payment_error.code == "payment_intent_authentication_failure"
    if answer != "approve":
        assert pay(standin, session_id)["state"] == "complete", "another card after all"


def abandoned_then_expired(client: stripe.StripeClient, standin: Running) -> str:
    session_id = create(client)
    pay(standin, session_id, card=CHALLENGED, threeDS="abandon")
    assert client.v1.checkout.sessions.expire(session_id).status == "expired"
    return session_id


def test_an_approval_after_the_expiry_is_refused_by_default(client: stripe.StripeClient, standin: Running) -> None:
    session_id = abandoned_then_expired(client, standin)
    assert standin.control("POST", f"sessions/{session_id}/challenge", {"outcome": "approve"})["state"] == "expired"
    session = client.v1.checkout.sessions.retrieve(session_id, SESSION_EXPANDED)
    intent: Any = session.payment_intent
    assert (session.status, intent.status) == ("expired", "canceled")
    assert client.v1.charges.list().data == []


@pytest.mark.parametrize("way", ["late_pay", "option"])
def test_an_approval_after_the_expiry_can_be_made_to_count(
    client: stripe.StripeClient, standin: Running, receiver: Receiver, way: str
) -> None:
    session_id = abandoned_then_expired(client, standin)
    if way == "late_pay":
        standin.control("POST", f"sessions/{session_id}/late_pay")
    else:
        standin.control("POST", "options", {"lateChallenge": "succeed"})
        standin.control("POST", f"sessions/{session_id}/challenge", {"outcome": "approve"})
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert (session.status, session.payment_status) == ("complete", "paid")
    assert receiver.await_count(1, of="checkout.session.completed")
    assert receiver.types().index("checkout.session.expired") < receiver.types().index("checkout.session.completed")


def test_a_late_payment_needs_a_challenge_in_flight(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client)
    with pytest.raises(ControlRefused):
        standin.control("POST", f"sessions/{session_id}/late_pay")
    client.v1.checkout.sessions.expire(session_id)
    with pytest.raises(ControlRefused) as caught:
        standin.control("POST", f"sessions/{session_id}/late_pay")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("outcome", "payment_status", "intent_status"),
    [("succeeded", "paid", "succeeded"), ("failed", "unpaid", "requires_payment_method")],
)
def test_a_bank_debit_settles_later(
    client: stripe.StripeClient,
    standin: Running,
    receiver: Receiver,
    outcome: str,
    payment_status: str,
    intent_status: str,
) -> None:
    session_id = create(client)
    answer = pay(standin, session_id, method="bank_debit")
    assert (answer["session"]["status"], answer["session"]["payment_status"]) == ("complete", "unpaid")
    assert answer["paymentIntent"]["status"] == "processing"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(session_id)

    standin.control("POST", f"sessions/{session_id}/settle_async", {"outcome": outcome})
    session = client.v1.checkout.sessions.retrieve(session_id, SESSION_EXPANDED)
    intent: Any = session.payment_intent
    assert (session.status, session.payment_status, intent.status) == ("complete", payment_status, intent_status)
    event = receiver.await_count(1, of=f"checkout.session.async_payment_{outcome}")[0]
    assert event.data.object["payment_status"] == payment_status
    with pytest.raises(ControlRefused):
        standin.control("POST", f"sessions/{session_id}/settle_async", {"outcome": outcome})


def test_a_bank_debit_can_settle_by_itself(client: stripe.StripeClient, standin: Running) -> None:
    standin.control("POST", "options", {"bankDebitSettlesAfterSeconds": 3600})
    session_id = create(client)
    pay(standin, session_id, method="bank_debit")
    standin.control("POST", "clock", {"advanceSeconds": 3601})
    assert client.v1.checkout.sessions.retrieve(session_id).payment_status == "paid"


def test_a_filter_of_payment_methods_is_kept(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client, allowed_payment_method_types=["card"])
    answer = pay(standin, session_id, method="bank_debit")
    assert (answer["state"], answer["code"]) == ("invalid", "method_not_offered")
    assert answer["paymentIntent"] is None


def test_a_free_session_needs_no_payment(client: stripe.StripeClient, standin: Running) -> None:
    client.v1.coupons.create({"id": "ALL", "percent_off": 100})
    session_id = create(client, discounts=[{"coupon": "ALL"}])
    pay(standin, session_id)
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert (session.status, session.payment_status, session.amount_total, session.payment_intent) == (
        "complete", "no_payment_required", 0, None)  # fmt: skip


def test_the_shipping_choice_changes_the_total(client: stripe.StripeClient, standin: Running) -> None:
    options = [
        {"shipping_rate_data": {"display_name": name, "fixed_amount": {"amount": amount, "currency": "eur"}}}
        for name, amount in (("Post", 490), ("Courier", 1490))
    ]
    session_id = create(client, shipping_options=options)
    session = client.v1.checkout.sessions.retrieve(session_id)
    assert session.amount_total == 3998 + 490
    answer = pay(standin, session_id, shippingRate=session.shipping_options[1].shipping_rate)
    assert answer["paymentIntent"]["amount"] == 3998 + 1490
    found = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["shipping_cost.shipping_rate"]})
    assert found.shipping_cost is not None
    assert found.shipping_cost.shipping_rate.display_name == "Courier"  # type: ignore[union-attr]


def test_a_saved_card_belongs_to_a_customer(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client, payment_intent_data={"setup_future_usage": "off_session"})
    pay(standin, session_id, email="kim@example.com")
    session = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["customer"]})
    customer: Any = session.customer
    assert customer.email == "kim@example.com"
    saved = client.v1.customers.payment_methods.list(customer.id).data
    assert [method.card.last4 for method in saved if method.card] == ["4242"]


def test_manual_capture_holds_the_money(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client, payment_intent_data={"capture_method": "manual"}, line_items=[line(5000)])
    answer = pay(standin, session_id)
    assert (answer["session"]["status"], answer["session"]["payment_status"]) == ("complete", "unpaid")
    intent_id = answer["paymentIntent"]["id"]
    held = client.v1.payment_intents.retrieve(intent_id, {"expand": ["latest_charge"]})
    charge: Any = held.latest_charge
    assert (held.status, held.amount_capturable, charge.captured) == ("requires_capture", 5000, False)
    assert charge.payment_method_details.card.capture_before - int(time.time()) == pytest.approx(7 * 86_400, abs=5)
    assert client.v1.payment_intents.cancel(intent_id).status == "canceled"


def test_bad_payments_are_refused(client: stripe.StripeClient, standin: Running) -> None:
    session_id = create(client)
    for bad in ({"card": 4242}, {"cardNumber": "1"}, {"threeDS": "maybe"}, {"method": "cheque"}, {"wait": "yes"}):
        with pytest.raises(ControlRefused) as caught:
            pay(standin, session_id, **bad)
        assert caught.value.status == 400
    assert pay(standin, session_id, email="")["code"] == "email_required"
    with pytest.raises(ControlRefused) as caught:
        pay(standin, "cs_test_none")
    assert caught.value.status == 404

"""Payment intents without a page: deposits, late fees, captures, cancellations."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.shop import browse, session_params
from tests.stripe_standin.running import Running


@pytest.fixture
def saved(client: stripe.StripeClient, standin: Running) -> dict[str, str]:
    """A customer who paid once and left the card."""
    return save_card(client, standin, "4242424242424242")


def save_card(client: stripe.StripeClient, standin: Running, card: str) -> dict[str, str]:
    params = session_params(payment_intent_data={"setup_future_usage": "off_session"})
    session_id = client.v1.checkout.sessions.create(params).id
    answer = standin.control("POST", f"sessions/{session_id}/pay", {"card": card, "threeDS": "approve"})
    intent = answer["paymentIntent"]
    return {"customer": intent["customer"], "payment_method": intent["payment_method"]}


def later(client: stripe.StripeClient, saved: dict[str, str], **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 5000, "currency": "eur", "off_session": True, "confirm": True, **saved, **more}
    return client.v1.payment_intents.create(params)


def test_a_late_fee(client: stripe.StripeClient, saved: dict[str, str], receiver: Receiver) -> None:
    intent = later(client, saved, metadata={"rental": "r-1"}, expand=["latest_charge"])
    charge: Any = intent.latest_charge
    assert (intent.status, intent.amount_received, charge.captured) == ("succeeded", 5000, True)
    assert client.v1.charges.retrieve(charge.id).metadata["rental"] == "r-1"
    assert [i.id for i in client.v1.payment_intents.list({"customer": saved["customer"], "limit": 1})] == [intent.id]


def test_a_deposit_is_held_captured_in_part_and_released(client: stripe.StripeClient, saved: dict[str, str]) -> None:
    held = later(client, saved, capture_method="manual")
    assert (held.status, held.amount_capturable) == ("requires_capture", 5000)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.capture(held.id, {"amount_to_capture": 5001})
    assert caught.value.code == "amount_too_large"
    taken = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1200})
    assert (taken.status, taken.amount_received, taken.amount_capturable) == ("succeeded", 1200, 0)
    charge = client.v1.charges.retrieve(str(taken.latest_charge), {"expand": ["balance_transaction"]})
    booked: Any = charge.balance_transaction
    assert (charge.amount, charge.amount_captured, booked.amount, booked.fee) == (5000, 1200, 1200, 65)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.capture(held.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_an_authorisation_without_the_customer_lapses_after_4_days_18_hours(
    client: stripe.StripeClient, saved: dict[str, str], standin: Running, receiver: Receiver
) -> None:
    held = later(client, saved, capture_method="manual", expand=["latest_charge"])
    charge: Any = held.latest_charge
    window = (4 * 24 + 18) * 3600
    assert charge.payment_method_details.card.capture_before - int(time.time()) == pytest.approx(window, abs=5)
    standin.control("POST", "clock", {"advanceSeconds": window + 5})
    lapsed = client.v1.payment_intents.retrieve(held.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")
    assert receiver.await_count(1, of="charge.expired")
    assert receiver.await_count(1, of="payment_intent.canceled")


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("4000000000000341", "card_declined", "generic_decline"),
        ("4000002760003184", "authentication_required", "authentication_required"),
    ],
)
def test_a_card_can_fail_later(
    client: stripe.StripeClient, standin: Running, card: str, code: str, decline_code: str
) -> None:
    saved = save_card(client, standin, card)
    with pytest.raises(stripe.CardError) as caught:
        later(client, saved)
    error: Any = caught.value.error
    assert (caught.value.http_status, caught.value.code, error.decline_code) == (402, code, decline_code)
    assert error.payment_intent.status == "requires_payment_method"
    kept = client.v1.payment_intents.retrieve(error.payment_intent.id)
    assert kept.last_payment_error is not None, "the intent was made although the call failed"
    assert kept.last_payment_error.code == code


def test_a_decline_is_replayed_with_its_key(client: stripe.StripeClient) -> None:
    params: Any = {"amount": 500, "currency": "eur", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(params, {"idempotency_key": "k"})
    assert len(client.v1.payment_intents.list().data) == 1


def test_create_first_and_confirm_afterwards(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur"})
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.confirm(intent.id)
    done = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert done.status == "succeeded"


def test_a_challenge_of_an_intent_has_a_page(client: stripe.StripeClient) -> None:
    params: Any = {
        "amount": 500, "currency": "eur", "confirm": True, "payment_method": "pm_card_authenticationRequired",
        "return_url": "http://shop.localhost/back",
    }  # fmt: skip
    intent = client.v1.payment_intents.create(params)
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    page = browse(str(intent.next_action.redirect_to_url.url), {"outcome": "approve"})
    assert page.location == "http://shop.localhost/back"
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_an_intent_of_an_open_session_is_not_canceled_alone(client: stripe.StripeClient, standin: Running) -> None:
    session_id = client.v1.checkout.sessions.create(session_params()).id
    answer = standin.control("POST", f"sessions/{session_id}/pay", {"card": "4000000000000002"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.cancel(answer["paymentIntent"]["id"])
    client.v1.checkout.sessions.expire(session_id)
    assert client.v1.payment_intents.retrieve(answer["paymentIntent"]["id"]).status == "canceled"


def test_a_saved_card_pays_for_its_own_customer_only(client: stripe.StripeClient, saved: dict[str, str]) -> None:
    other = client.v1.customers.create({"email": "other@example.com"})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        later(client, saved | {"customer": other.id})
    assert caught.value.param == "payment_method"


def test_too_small(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": 49, "currency": "usd"})
    assert caught.value.code == "amount_too_small"

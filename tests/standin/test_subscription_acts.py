"""Subscriptions without a checkout: made, left unpaid, canceled at once, paused; invoices that are voided or paid."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.subscribers import (
    DAY,
    HOUR,
    advance,
    advance_to,
    announced,
    checkout,
    invoices,
    item_of,
    plan,
    subscribe,
)
from tests.stripe_standin.running import ControlRefused, Running

DECLINES_LATER = "4000000000000341"


def customer_with(client: stripe.StripeClient, method: str = "pm_card_visa") -> str:
    customer = client.v1.customers.create({"email": "kim@example.com"})
    attached = client.v1.payment_methods.attach(method, {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": attached.id}})
    return customer.id


def create(client: stripe.StripeClient, method: str = "pm_card_visa", **more: Any) -> stripe.Subscription:
    params: Any = {"customer": customer_with(client, method), "items": [{"price": plan(client).id}], **more}
    return client.v1.subscriptions.create(params)


def test_made_by_the_api(client: stripe.StripeClient) -> None:
    subscription = create(client, metadata={"shop_id": "veil"}, expand=["latest_invoice"])
    invoice: Any = subscription.latest_invoice
    assert (subscription.status, invoice.status, invoice.attempt_count) == ("active", "paid", 1)
    assert announced(client)[-8:] == [
        "invoice.finalized", "charge.succeeded", "charge.updated", "payment_intent.succeeded", "invoice.paid",
        "invoice.payment_succeeded", "invoice_payment.paid", "customer.subscription.updated",
    ]  # fmt: skip
    (first,) = client.v1.events.list({"type": "customer.subscription.created"}).data
    assert first.data.object["status"] == "incomplete"


def test_unpaid_for_a_day(client: stripe.StripeClient, standin: Running) -> None:
    subscription = create(client, "pm_card_chargeDeclined")
    assert subscription.status == "incomplete"
    advance(standin, 23 * HOUR)
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert now.status == "incomplete_expired"
    assert invoices(client, subscription.id)[0].status == "void"
    assert client.v1.payment_intents.list().data[0].status == "canceled"
    assert [s.id for s in client.v1.subscriptions.list({"status": "ended"}).data] == [subscription.id]


def test_confirmed_with_the_secret_of_its_invoice(client: stripe.StripeClient) -> None:
    subscription = create(client, payment_behavior="default_incomplete", expand=["latest_invoice.confirmation_secret"])
    invoice: Any = subscription.latest_invoice
    assert (subscription.status, invoice.status) == ("incomplete", "open")
    intent = invoice.confirmation_secret.client_secret.partition("_secret_")[0]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.cancel(intent)
    client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert client.v1.invoices.retrieve(invoice.id).amount_remaining == 0


def test_a_first_payment_that_decides(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError):
        create(client, "pm_card_chargeDeclined", payment_behavior="error_if_incomplete")
    assert client.v1.subscriptions.list({"status": "all"}).data == []
    assert client.v1.invoices.list().data == []


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"items": [{"price": "price_none"}]}, "items[0][price]"),
        ({"collection_method": "send_invoice"}, "collection_method"),
        ({"trial_period_days": 731}, "trial_period_days"),
        ({"days_until_due": 1}, "days_until_due"),
        ({"customer": "cus_none"}, "customer"),
        ({"default_payment_method": "pm_card_visa"}, "default_payment_method"),
    ],
)
def test_refused(client: stripe.StripeClient, more: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(client, **more)
    assert caught.value.param == param


# Ends and pauses


@pytest.mark.parametrize(
    ("params", "balance"),
    [({}, 0), ({"prorate": True}, 0), ({"prorate": True, "invoice_now": True}, -1), ({"invoice_now": True}, 0)],
)
def test_canceled_at_once(client: stripe.StripeClient, standin: Running, params: Any, balance: int) -> None:
    subscription = subscribe(client, standin, plan(client, 3000).id)
    item = item_of(subscription)
    advance_to(standin, (item.current_period_start + item.current_period_end) // 2)
    ended = client.v1.subscriptions.cancel(subscription.id, params)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "cancellation_requested")  # type: ignore[union-attr]
    left = client.v1.customers.retrieve(str(subscription.customer)).balance or 0
    assert left == 0 if balance == 0 else -1501 <= left <= -1499
    assert len(client.v1.invoice_items.list({"pending": True}).data) == (params == {"prorate": True})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.subscriptions.cancel(subscription.id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert client.v1.subscriptions.update(subscription.id, {"metadata": {"why": "moved"}}).metadata["why"] == "moved"


def test_a_dropped_answer_to_a_cancellation(client: stripe.StripeClient, standin: Running) -> None:
    """Faults apply here as everywhere: it was executed, although nobody heard so."""
    subscription = subscribe(client, standin, plan(client).id)
    standin.control(
        "POST", "faults", {"match": {"method": "DELETE", "path": "/v1/subscriptions/*"}, "kind": "drop_after"}
    )
    with pytest.raises(stripe.APIConnectionError):
        client.v1.subscriptions.cancel(subscription.id)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_a_deleted_customer_is_billed_no_more(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    client.v1.customers.delete(str(subscription.customer))
    assert announced(client)[-2:] == ["customer.subscription.deleted", "customer.deleted"]
    advance(standin, 60 * DAY)
    invoice = invoices(client, subscription.id)[0]
    assert (invoice.attempt_count, invoice.status) == (1, "open")
    assert standin.control("POST", f"invoices/{invoice.id}/pay", {})["state"] == "invalid"


def test_a_detached_card_pays_nothing(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    client.v1.payment_methods.detach(str(subscription.default_payment_method))
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    assert invoices(client, subscription.id)[0].status == "open"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"


def test_paused_and_resumed(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 3000).id)
    paused = client.v1.subscriptions.pause(subscription.id, {"bill_for": {"unused_time_from": {"type": "none"}}})
    assert (paused.status, announced(client)[-1]) == ("paused", "customer.subscription.paused")
    advance(standin, 100 * DAY)
    assert len(invoices(client, subscription.id)) == 1
    resumed = client.v1.subscriptions.resume(subscription.id, {"billing_cycle_anchor": {"type": "now"}})
    assert (resumed.status, len(invoices(client, subscription.id))) == ("active", 2)
    assert item_of(resumed).current_period_end > item_of(subscription).current_period_end + 60 * DAY
    assert "customer.subscription.resumed" in announced(client)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.resume(subscription.id)


@pytest.mark.parametrize(
    ("behavior", "status"), [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")]
)
def test_paused_collection(client: stripe.StripeClient, standin: Running, behavior: Any, status: str) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    resumes = item_of(subscription).current_period_end + 10 * DAY
    told = client.v1.subscriptions.update(
        subscription.id, {"pause_collection": {"behavior": behavior, "resumes_at": resumes}}
    )
    assert told.status == "active"
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    assert invoices(client, subscription.id)[0].status == status
    advance(standin, 40 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).pause_collection is None
    assert invoices(client, subscription.id)[0].status == "paid"


# Invoices


def test_an_open_invoice_is_voided(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    invoice = invoices(client, subscription.id)[0]
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert client.v1.invoices.void_invoice(invoice.id).status == "void"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert client.v1.invoice_payments.list({"invoice": invoice.id}).data[0].status == "canceled"
    advance(standin, 2 * DAY)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 1, "nobody tries any more"
    for act in (client.v1.invoices.pay, client.v1.invoices.void_invoice):
        with pytest.raises(stripe.InvalidRequestError):
            act(invoice.id)
    assert standin.control("POST", f"invoices/{invoice.id}/pay", {})["state"] == "invalid"


def test_paid_elsewhere_or_written_off(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    advance_to(standin, item_of(subscription).current_period_end)
    draft = invoices(client, subscription.id)[0]
    assert client.v1.invoices.finalize_invoice(draft.id).status == "open"
    written_off = client.v1.invoices.mark_uncollectible(draft.id)
    assert written_off.status_details is not None
    assert written_off.status_details.uncollectible is not None
    assert written_off.status_details.uncollectible.reason == "user_forgiven"
    paid = client.v1.invoices.pay(draft.id, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_paid_off_stripe) == ("paid", 1900)
    assert len(client.v1.charges.list().data) == 1


def test_an_invoices_payment_is_refunded(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    payment: Any = invoices(client, subscription.id)[0].payments
    intent: Any = payment.data[0].payment.payment_intent
    assert client.v1.refunds.create({"payment_intent": intent, "amount": 900}).status == "succeeded"
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]["refunded"] == -900


def test_held_deliveries_and_connected_accounts(
    client: stripe.StripeClient, standin: Running, receiver: Receiver
) -> None:
    connected: Any = {"stripe_account": "acct_veil"}
    product = client.v1.products.create({"name": "Veil"}, connected)
    params: Any = {"currency": "usd", "unit_amount": 900, "product": product.id, "recurring": {"interval": "week"}}
    price = client.v1.prices.create(params, connected)
    standin.control("POST", "deliveries", {"mode": "hold"})
    params = {"mode": "subscription", "success_url": "http://shop.localhost/", "customer_email": "kim@example.com",
              "line_items": [{"price": price.id, "quantity": 1}]}  # fmt: skip
    session = client.v1.checkout.sessions.create(params, connected)
    standin.control("POST", f"sessions/{session.id}/pay", {"wait": False})
    advance(standin, 7 * DAY + HOUR)
    assert set(receiver.types()) <= {"product.created", "price.created"}
    receiver.forget()
    standin.control("POST", "deliveries/flush", {"order": "reverse"})
    assert {event["account"] for event in receiver.events} == {"acct_veil"}
    assert receiver.types().count("invoice.paid") == 2
    assert standin.control("GET", "balance")["accounts"].keys() == {"acct_veil"}


def test_placed_objects_are_left_alone(client: stripe.StripeClient, standin: Running) -> None:
    placed = {"id": "in_placed", "object": "invoice", "status": "open", "number": None}
    standin.control("POST", "objects", {"object": placed})
    advance(standin, DAY)
    assert client.v1.invoices.retrieve("in_placed").status == "open"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay("in_placed")
    with pytest.raises(ControlRefused):
        standin.control("POST", "invoices/in_none/pay", {})
    standin.control("POST", "objects", {"object": {"id": "sub_placed", "object": "subscription", "status": "active"}})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.subscriptions.cancel("sub_placed")


def test_a_session_replayed_and_its_key(client: stripe.StripeClient, standin: Running) -> None:
    price = plan(client)
    params: Any = {"mode": "subscription", "success_url": "http://shop.localhost/",
                   "line_items": [{"price": price.id, "quantity": 1}]}  # fmt: skip
    made = [client.v1.checkout.sessions.create(params, {"idempotency_key": "k"}) for _ in range(2)]
    assert made[0].id == made[1].id
    with pytest.raises(stripe.IdempotencyError):
        client.v1.checkout.sessions.create(params | {"locale": "de"}, {"idempotency_key": "k"})
    assert checkout(client, price.id).id != made[0].id

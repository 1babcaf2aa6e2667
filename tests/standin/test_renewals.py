"""What the clock does: renewals that are paid or refused, retries, trials and cancellations that come to their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.standin.conftest import client_of
from tests.standin.shop import browse
from tests.standin.subscribers import (
    DAY,
    HOUR,
    advance,
    advance_to,
    announced,
    invoices,
    item_of,
    plan,
    subscribe,
)
from tests.stripe_standin.running import ControlRefused, Running

DECLINES_LATER = "4000000000000341"
CHALLENGED = "4000002760003184"


def renew(client: stripe.StripeClient, standin: Running, subscription: stripe.Subscription) -> stripe.Invoice:
    """Past the period's end and the draft's hour; returns the renewal's invoice."""
    now = client.v1.subscriptions.retrieve(subscription.id)
    advance_to(standin, item_of(now).current_period_end + HOUR)
    return invoices(client, subscription.id)[0]


def test_a_period_ends_and_the_next_is_paid(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    ended = item_of(subscription).current_period_end
    advance_to(standin, ended)
    draft = invoices(client, subscription.id)[0]
    assert (draft.status, draft.billing_reason, draft.automatically_finalizes_at) == (
        "draft", "subscription_cycle", ended + HOUR)  # fmt: skip
    assert (draft.period_start, draft.period_end) == (item_of(subscription).current_period_start, ended)

    advance(standin, HOUR)
    invoice = invoices(client, subscription.id)[0]
    assert (invoice.id, invoice.status, invoice.amount_paid, invoice.attempt_count) == (draft.id, "paid", 1900, 1)
    assert invoice.number != invoices(client, subscription.id)[1].number
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert (now.status, now.latest_invoice, item_of(now).current_period_start) == ("active", invoice.id, ended)
    assert announced(client, since=ended) == [
        "invoice.created", "customer.subscription.updated", "payment_intent.created", "invoice.finalized",
        "charge.succeeded", "charge.updated", "payment_intent.succeeded", "invoice.paid", "invoice.payment_succeeded",
        "invoice_payment.paid",
    ]  # fmt: skip
    (updated,) = client.v1.events.list({"type": "customer.subscription.updated"}).data
    assert updated.data.previous_attributes is not None
    assert updated.data.previous_attributes["latest_invoice"] == subscription.latest_invoice
    assert updated.created == ended, "it happened then, not when the clock was moved"
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]["charged"] == 3800


def test_a_year_at_once_is_twelve_renewals(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    advance(standin, 366 * DAY)
    found = invoices(client, subscription.id)[::-1]
    assert [invoice.status for invoice in found] == ["paid"] * 13
    assert [a.period_end for a in found[1:-1]] == [b.period_start for b in found[2:]]
    assert item_of(client.v1.subscriptions.retrieve(subscription.id)).current_period_start == found[-1].period_end


def test_a_refused_renewal_is_tried_again_and_recovers(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    invoice = renew(client, standin, subscription)
    assert (invoice.status, invoice.attempted, invoice.attempt_count) == ("open", True, 1)
    assert invoice.next_payment_attempt == invoice.status_transitions.finalized_at + DAY  # type: ignore[operator]
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert announced(client, since=invoice.created)[2:] == [
        "payment_intent.created", "invoice.finalized", "charge.failed", "payment_intent.payment_failed",
        "invoice.payment_failed", "customer.subscription.updated",
    ]  # fmt: skip

    advance(standin, 3 * DAY)
    invoice = client.v1.invoices.retrieve(invoice.id)
    assert (invoice.attempt_count, len(client.v1.events.list({"type": "invoice.payment_failed"}).data)) == (3, 3)
    answer = standin.control("POST", f"invoices/{invoice.id}/pay", {"card": "4242424242424242"})
    assert (answer["state"], answer["invoice"]["status"], answer["invoice"]["attempt_count"]) == ("complete", "paid", 3)
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert now.status == "active"
    assert now.default_payment_method != subscription.default_payment_method
    customer: Any = client.v1.customers.retrieve(str(now.customer))
    assert customer.invoice_settings.default_payment_method == now.default_payment_method
    assert renew(client, standin, subscription).status == "paid", "with the new card"


def test_a_new_default_method_is_taken_at_the_next_retry(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    invoice = renew(client, standin, subscription)
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": str(subscription.customer)})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    assert client.v1.invoices.retrieve(invoice.id).status == "open"
    advance(standin, DAY)
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


@pytest.mark.parametrize(
    ("outcome", "status", "last"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("unpaid", "unpaid", "customer.subscription.updated"),
        ("past_due", "past_due", "invoice.payment_failed"),
    ],
)
def test_after_the_last_retry(
    client: stripe.StripeClient, standin: Running, outcome: str, status: str, last: str
) -> None:
    standin.control("POST", "options", {"invoiceRetryDays": [2, 3], "afterLastRetry": outcome})
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    renew(client, standin, subscription)
    advance(standin, 5 * DAY)
    (invoice, _) = invoices(client, subscription.id)
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 3, None)
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert (now.status, announced(client)[-1]) == (status, last)
    advance(standin, 31 * DAY)
    newest = invoices(client, subscription.id)[0]
    if outcome == "cancel":
        assert now.cancellation_details is not None
        assert (newest.id, now.ended_at is not None, now.cancellation_details.reason) == (
            invoice.id, True, "payment_failed")  # fmt: skip
    else:
        assert newest.status == ("draft" if outcome == "unpaid" else "open")


def test_a_renewal_that_needs_the_customer(client: stripe.StripeClient, standin: Running) -> None:
    session_card: Any = {"card": CHALLENGED}
    price = plan(client)
    subscription = subscribe(client, standin, price.id)
    other = standin.control("POST", f"invoices/{subscription.latest_invoice}/pay", session_card)
    assert other["state"] == "already_complete"
    customer = str(subscription.customer)
    method = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    invoice = renew(client, standin, subscription)
    assert {"invoice.payment_action_required", "invoice.payment_failed"} <= set(announced(client))
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"

    assert invoice.hosted_invoice_url is not None
    page = browse(invoice.hosted_invoice_url)
    assert "€19.00" in page.html
    assert "/c/3ds/pi_" in page.html
    intent = invoice.payments.data[0].payment.payment_intent  # type: ignore[union-attr]
    failed = browse(f"{standin.url}/c/3ds/{intent}", {"outcome": "fail"})
    assert failed.location == invoice.hosted_invoice_url
    paid = browse(invoice.hosted_invoice_url, {"card": CHALLENGED})
    assert paid.location == f"/c/3ds/{intent}"
    done = browse(f"{standin.url}{paid.location}", {"outcome": "approve"})
    assert done.location == invoice.hosted_invoice_url
    assert "This invoice is paid." in browse(invoice.hosted_invoice_url).html
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_a_card_that_its_bank_refuses_for_good_is_not_tried_again(
    client: stripe.StripeClient, standin: Running
) -> None:
    """Retries go on being scheduled, and nothing reaches the bank until there is another card."""
    subscription = subscribe(client, standin, plan(client).id)
    method = client.v1.payment_methods.attach(
        "pm_card_authenticationRequired", {"customer": str(subscription.customer)}
    )
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    invoice = renew(client, standin, subscription)
    advance(standin, 3 * DAY)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 3
    assert len(client.v1.charges.list().data) == 2


def test_the_page_of_an_invoice_refuses_a_declined_card(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, card=DECLINES_LATER)
    invoice = renew(client, standin, subscription)
    assert invoice.hosted_invoice_url is not None
    declined = browse(invoice.hosted_invoice_url, {"card": "4000000000009995"})
    assert (declined.status, "insufficient funds" in declined.html) == (402, True)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 1, (
        "the customer's own try is none of the schedule's"
    )
    assert browse(f"{standin.url}/c/invoice/in_none").status == 404
    with pytest.raises(ControlRefused):
        standin.control("POST", f"invoices/{invoice.id}/pay", {"number": "4242"})


# Trials


def test_a_trial_is_told_of_and_ends(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id, subscription_data={"trial_period_days": 14})
    advance(standin, 11 * DAY - HOUR)
    assert "customer.subscription.trial_will_end" not in announced(client)
    advance(standin, HOUR)
    assert announced(client)[-1] == "customer.subscription.trial_will_end"
    advance(standin, 3 * DAY + HOUR)
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert (now.status, item_of(now).current_period_start) == ("active", subscription.trial_end)
    assert [invoice.amount_paid for invoice in invoices(client, subscription.id)] == [1900, 0]
    assert announced(client).count("customer.subscription.trial_will_end") == 1


def test_a_short_trial_is_told_of_at_once(client: stripe.StripeClient, standin: Running) -> None:
    subscribe(client, standin, plan(client).id, subscription_data={"trial_period_days": 1})
    assert announced(client)[-1] == "customer.subscription.trial_will_end"


@pytest.mark.parametrize(
    ("wanted", "status"), [("create_invoice", "past_due"), ("cancel", "canceled"), ("pause", "paused")]
)
def test_a_trial_without_a_card(client: stripe.StripeClient, standin: Running, wanted: Any, status: str) -> None:
    data: Any = {"trial_period_days": 7, "trial_settings": {"end_behavior": {"missing_payment_method": wanted}}}
    subscription = subscribe(
        client, standin, plan(client).id, subscription_data=data, payment_method_collection="if_required"
    )
    assert subscription.default_payment_method is None
    advance(standin, 7 * DAY + HOUR)
    assert client.v1.subscriptions.retrieve(subscription.id).status == status


# Ends


def test_a_cancellation_at_the_end_of_the_period(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    ends = item_of(subscription).current_period_end
    for wanted in (True, False, True):
        told = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": wanted})
        assert (told.cancel_at is not None, told.canceled_at is not None) == (wanted, wanted)
    assert (told.status, told.cancel_at, told.cancel_at_period_end) == ("active", ends, True)
    advance_to(standin, ends - HOUR)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    advance(standin, HOUR)
    now = client.v1.subscriptions.retrieve(subscription.id)
    assert (now.status, now.ended_at) == ("canceled", ends)
    assert announced(client)[-1] == "customer.subscription.deleted"
    assert len(invoices(client, subscription.id)) == 1
    assert client.v1.subscriptions.list().data == []
    assert [s.id for s in client.v1.subscriptions.list({"status": "all"}).data] == [subscription.id]


def test_a_coupon_for_some_months(client: stripe.StripeClient, standin: Running) -> None:
    client.v1.coupons.create({"id": "TWO", "amount_off": 500, "currency": "eur", "duration": "repeating",
                              "duration_in_months": 2})  # fmt: skip
    subscription = subscribe(client, standin, plan(client).id, discounts=[{"coupon": "TWO"}])
    client.v1.coupons.delete("TWO")
    advance(standin, 94 * DAY)
    assert [invoice.total for invoice in invoices(client, subscription.id)][::-1] == [1400, 1400, 1900, 1900]


def test_nothing_is_forgotten_by_a_kill(tmp_path: Path) -> None:
    first = Running(data=tmp_path)
    client = client_of(first.url)
    subscription = subscribe(client, first, plan(client).id, card=DECLINES_LATER)
    first.control("POST", "options", {"invoiceRetryDays": [2]})
    advance(first, 32 * DAY)
    first.kill()
    with Running(data=tmp_path) as second:
        client = client_of(second.url)
        assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
        advance(second, 2 * DAY)
        assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"

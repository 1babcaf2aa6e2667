"""Changes of a subscription: items, prorations, what is billed at once, payments that decide, previews."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

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
from tests.stripe_standin.running import Running

DECLINES_LATER = "4000000000000341"


def half_way(standin: Running, subscription: stripe.Subscription) -> int:
    """Move the clock to the middle of the period; returns that second."""
    item = item_of(subscription)
    middle = (item.current_period_start + item.current_period_end) // 2
    advance_to(standin, middle)
    return middle


def to_price(subscription: stripe.Subscription, price: stripe.Price, **more: Any) -> Any:
    """The parameters of a change of price; by the id of the item, otherwise it would be one more."""
    return {"items": [{"id": item_of(subscription).id, "price": price.id}], **more}


def lines_of(invoice: stripe.Invoice) -> list[tuple[int, str]]:
    return [(line.amount, str(line.description).rpartition(" after ")[0] or str(line.description))
            for line in invoice.lines.data]  # fmt: skip


def test_an_upgrade_is_billed_with_the_next_invoice(client: stripe.StripeClient, standin: Running) -> None:
    basic, plus = plan(client, 1000), plan(client, 2000)
    subscription = subscribe(client, standin, basic.id)
    middle = half_way(standin, subscription)
    changed = client.v1.subscriptions.update(subscription.id, to_price(subscription, plus, proration_date=middle))
    assert (item_of(changed).id, item_of(changed).price.id) == (item_of(subscription).id, plus.id)
    assert item_of(changed).current_period_end == item_of(subscription).current_period_end
    waiting = client.v1.invoice_items.list({"customer": str(subscription.customer), "pending": True}).data
    assert sorted(item.amount for item in waiting) == [-500, 1000]
    assert all(item.proration and item.parent is not None for item in waiting)
    assert len(invoices(client, subscription.id)) == 1

    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    invoice = invoices(client, subscription.id)[0]
    assert lines_of(invoice) == [
        (-500, "Unused time on Wardrobe 1000"), (1000, "Remaining time on Wardrobe 2000"),
        (2000, "1 × Wardrobe 2000 (at €20.00 / month)"),
    ]  # fmt: skip
    assert (invoice.amount_paid, invoice.billing_reason) == (2500, "subscription_cycle")
    details: Any = invoice.lines.data[0].parent
    assert details.subscription_item_details.proration is True
    assert details.subscription_item_details.proration_details.credited_items.invoice == subscription.latest_invoice
    assert client.v1.invoice_items.list({"customer": str(subscription.customer), "pending": True}).data == []


def test_an_upgrade_is_billed_at_once(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    middle = half_way(standin, subscription)
    params = to_price(subscription, plan(client, 2000), proration_behavior="always_invoice", proration_date=middle)
    changed = client.v1.subscriptions.update(subscription.id, params, {"idempotency_key": "up"})
    again = client.v1.subscriptions.update(subscription.id, params, {"idempotency_key": "up"})
    assert (again.latest_invoice, again.status) == (changed.latest_invoice, "active")
    (invoice, _) = invoices(client, subscription.id)
    assert (invoice.status, invoice.billing_reason, invoice.amount_paid) == ("paid", "subscription_update", 500)
    assert invoice.parent.subscription_details.subscription_proration_date == middle  # type: ignore[union-attr]


def test_a_downgrade_becomes_credit(client: stripe.StripeClient, standin: Running) -> None:
    """What a negative invoice leaves is the customer's balance, and the next invoice uses it."""
    subscription = subscribe(client, standin, plan(client, 3000).id)
    middle = half_way(standin, subscription)
    cheap = plan(client, 1000)
    client.v1.subscriptions.update(
        subscription.id, to_price(subscription, cheap, proration_behavior="always_invoice", proration_date=middle)
    )
    invoice = invoices(client, subscription.id)[0]
    assert (invoice.total, invoice.amount_due, invoice.status, invoice.ending_balance) == (-1000, 0, "paid", -1000)
    assert client.v1.customers.retrieve(str(subscription.customer)).balance == -1000
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    renewal = invoices(client, subscription.id)[0]
    assert (renewal.total, renewal.amount_due, renewal.status) == (1000, 0, "paid")
    assert client.v1.customers.retrieve(str(subscription.customer)).balance == 0


def test_no_prorations_when_none_are_wanted(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    half_way(standin, subscription)
    client.v1.subscriptions.update(
        subscription.id, to_price(subscription, plan(client, 2000), proration_behavior="none")
    )
    advance_to(standin, item_of(subscription).current_period_end + HOUR)
    assert [line.amount for line in invoices(client, subscription.id)[0].lines.data] == [2000]


def test_an_item_without_an_id_is_one_more(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    more = plan(client, 300)
    changed = client.v1.subscriptions.update(subscription.id, {"items": [{"price": more.id, "quantity": 2}]})
    assert [(item.price.unit_amount, item.quantity) for item in changed["items"].data] == [(1000, 1), (300, 2)]
    gone = client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item_of(subscription).id, "deleted": True}], "proration_behavior": "none"}
    )
    assert [item.price.unit_amount for item in gone["items"].data] == [300]


def test_a_credit_is_of_what_was_paid(client: stripe.StripeClient, standin: Running) -> None:
    """The first month was half off, so half is given back, although the discount is over."""
    client.v1.coupons.create({"id": "HALF", "percent_off": 50, "duration": "once"})
    subscription = subscribe(client, standin, plan(client, 1000).id, discounts=[{"coupon": "HALF"}])
    middle = half_way(standin, subscription)
    client.v1.subscriptions.update(subscription.id, {
        "items": [{"id": item_of(subscription).id, "quantity": 3}], "proration_date": middle,
    })  # fmt: skip
    waiting = client.v1.invoice_items.list({"pending": True}).data
    assert sorted(item.amount for item in waiting) == [-250, 1500]


def test_two_changes_in_one_period(client: stripe.StripeClient, standin: Running) -> None:
    """The second gives back what the first charged, for the quarter that is left."""
    subscription = subscribe(client, standin, plan(client, 1000).id)
    start, end = item_of(subscription).current_period_start, item_of(subscription).current_period_end
    for quarter, quantity in ((2, 2), (3, 4)):
        advance_to(standin, start + (end - start) * quarter // 4)
        client.v1.subscriptions.update(subscription.id, {
            "items": [{"id": item_of(subscription).id, "quantity": quantity}],
            "proration_date": start + (end - start) * quarter // 4,
        })  # fmt: skip
    assert [item.amount for item in client.v1.invoice_items.list({"pending": True}).data][::-1] == [
        -500, 1000, -500, 1000]  # fmt: skip


def test_another_interval_begins_a_new_period(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    half_way(standin, subscription)
    changed = client.v1.subscriptions.update(subscription.id, to_price(subscription, plan(client, 9000, "year")))
    item = item_of(changed)
    assert 365 * DAY <= item.current_period_end - item.current_period_start <= 366 * DAY
    assert changed.billing_cycle_anchor == item.current_period_start
    invoice = invoices(client, subscription.id)[0]
    assert [line.amount for line in invoice.lines.data][1:] == [9000]
    assert -501 <= invoice.lines.data[0].amount <= -499
    assert invoice.status == "paid"


def test_the_anchor_can_be_set_to_now(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    middle = half_way(standin, subscription)
    params: Any = {"billing_cycle_anchor": {"type": "now"}, "proration_behavior": "none"}
    changed = client.v1.subscriptions.update(subscription.id, params)
    assert item_of(changed).current_period_start >= middle
    assert invoices(client, subscription.id)[0].amount_paid == 1000


# Payments that decide


def test_a_change_that_is_not_paid(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    broken = client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": str(subscription.customer)})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": broken.id})
    half_way(standin, subscription)
    plus = plan(client, 3000)
    params = to_price(subscription, plus, proration_behavior="always_invoice")

    with pytest.raises(stripe.CardError) as caught:
        client.v1.subscriptions.update(subscription.id, params | {"payment_behavior": "error_if_incomplete"})
    assert (caught.value.code, len(invoices(client, subscription.id))) == ("card_declined", 1)
    assert item_of(client.v1.subscriptions.retrieve(subscription.id)).price.unit_amount == 1000
    assert client.v1.invoice_items.list({"pending": True}).data == []

    held = client.v1.subscriptions.update(subscription.id, params | {"payment_behavior": "pending_if_incomplete"})
    assert (held.status, item_of(held).price.unit_amount) == ("active", 1000)
    assert held.pending_update is not None
    assert held.pending_update.subscription_items is not None
    assert [item.price.id for item in held.pending_update.subscription_items] == [plus.id]
    advance(standin, 23 * HOUR)
    expired = client.v1.subscriptions.retrieve(subscription.id)
    assert (expired.pending_update, item_of(expired).price.unit_amount) == (None, 1000)
    assert invoices(client, subscription.id)[0].status == "void"
    assert announced(client)[-1] == "customer.subscription.pending_update_expired"

    held = client.v1.subscriptions.update(subscription.id, params | {"payment_behavior": "pending_if_incomplete"})
    standin.control("POST", f"invoices/{held.latest_invoice}/pay", {"card": "4242424242424242"})
    done = client.v1.subscriptions.retrieve(subscription.id)
    assert (done.pending_update, item_of(done).price.unit_amount, done.status) == (None, 3000, "active")
    assert "customer.subscription.pending_update_applied" in announced(client)


@pytest.mark.parametrize("behavior", ["allow_incomplete", "default_incomplete"])
def test_a_change_that_is_made_although_it_is_not_paid(
    client: stripe.StripeClient, standin: Running, behavior: Any
) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    broken = client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": str(subscription.customer)})
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": broken.id})
    params = to_price(subscription, plan(client, 3000), proration_behavior="always_invoice", payment_behavior=behavior)
    changed = client.v1.subscriptions.update(subscription.id, params)
    assert (changed.status, item_of(changed).price.unit_amount) == ("past_due", 3000)
    (invoice, _) = invoices(client, subscription.id)
    assert (invoice.status, invoice.attempt_count) == ("open", 1 if behavior == "allow_incomplete" else 0)
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice.id)
    assert client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"}).status == "paid"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


# Previews


def test_a_preview_is_what_then_happens(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    middle = half_way(standin, subscription)
    plus = plan(client, 2000)
    before = (announced(client), client.v1.subscriptions.retrieve(subscription.id).to_dict())
    details = to_price(subscription, plus, proration_behavior="always_invoice", proration_date=middle)
    seen = client.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": details})
    assert seen.id.startswith("upcoming_in_")
    assert (seen.amount_due, seen.status, seen.number) == (500, "draft", None)
    assert (announced(client), client.v1.subscriptions.retrieve(subscription.id).to_dict()) == before
    assert len(client.v1.invoices.list().data) == 1

    client.v1.subscriptions.update(subscription.id, details)
    (invoice, _) = invoices(client, subscription.id)
    assert (invoice.amount_due, lines_of(invoice)) == (seen.amount_due, lines_of(seen))


def test_previews_of_the_next_renewal(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client, 1000).id)
    ends = item_of(subscription).current_period_end
    plain = client.v1.invoices.create_preview({"subscription": subscription.id})
    assert (plain.amount_due, plain.created, plain.billing_reason) == (1000, ends, "subscription_cycle")
    middle = half_way(standin, subscription)
    details = to_price(subscription, plan(client, 2000), proration_date=middle)
    params: Any = {"subscription": subscription.id, "subscription_details": details}
    assert client.v1.invoices.create_preview(params).amount_due == 2500
    assert client.v1.invoices.create_preview(params | {"preview_mode": "recurring"}).amount_due == 2000
    assert client.v1.invoices.create_preview({
        "subscription": subscription.id, "subscription_details": {"cancel_now": True, "proration_date": middle},
    }).total == -500  # fmt: skip
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.invoices.create_preview({"subscription": subscription.id})
    assert caught.value.code == "invoice_upcoming_none"


# Bad input


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"items": [{"id": "si_none", "quantity": 2}]}, "items[0][id]"),
        ({"items": [{"price": "price_none"}]}, "items[0][price]"),
        ({"items": [{"quantity": 2}]}, "items[0][price]"),
        ({"billing_cycle_anchor": "now"}, "billing_cycle_anchor"),
        ({"proration_behavior": "always"}, "proration_behavior"),
        ({"proration_date": 1}, "proration_date"),
        ({"default_payment_method": "pm_none"}, "default_payment_method"),
        ({"days_until_due": 3}, "days_until_due"),
        ({"cancel_at": 1}, "cancel_at"),
        ({"plan": "price_1"}, "plan"),
    ],
)
def test_refused_changes(client: stripe.StripeClient, standin: Running, params: Any, param: str) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    before = client.v1.subscriptions.retrieve(subscription.id).to_dict()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.subscriptions.update(subscription.id, params)
    assert caught.value.param == param
    assert client.v1.subscriptions.retrieve(subscription.id).to_dict() == before


def test_a_price_that_does_not_recur_is_no_item(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    once = plan(client, recurring=None)
    for sent in ({"price": once.id}, {"price": once.id, "id": item_of(subscription).id}):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.subscriptions.update(subscription.id, {"items": [sent]})  # type: ignore[list-item]
        assert caught.value.param == "items[0][price]"


def test_accounts_are_apart(client: stripe.StripeClient, standin: Running) -> None:
    subscription = subscribe(client, standin, plan(client).id)
    connected: Any = {"stripe_account": "acct_veil"}
    for act in (client.v1.subscriptions.update, client.v1.subscriptions.cancel, client.v1.subscriptions.retrieve):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            act(subscription.id, {}, connected)
        assert caught.value.http_status == 404
    assert client.v1.invoices.list({}, connected).data == []

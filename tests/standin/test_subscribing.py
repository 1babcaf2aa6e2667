"""How a subscription begins: prices that recur, a checkout in the mode `subscription`, the first invoice, a trial."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.standin.shop import browse, line
from tests.standin.subscribers import DAY, announced, checkout, invoices, item_of, plan, subscribe
from tests.stripe_standin.running import Running

CHALLENGED = "4000002760003184"


def test_a_subscription_comes_with_the_payment(client: stripe.StripeClient, standin: Running) -> None:
    price = plan(client)
    session = checkout(client, price.id, quantity=2)
    assert (session.mode, session.amount_total, session.subscription, session.customer) == (
        "subscription", 3800, None, None)  # fmt: skip
    assert client.v1.subscriptions.list().data == []
    before = len(announced(client))

    answer = standin.control("POST", f"sessions/{session.id}/pay", {"card": "4242 4242 4242 4242"})
    shown = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "invoice.payments"]})
    assert (shown.status, shown.payment_status, shown.payment_intent) == ("complete", "paid", None)
    assert answer["paymentIntent"]["setup_future_usage"] == "off_session"

    subscription: Any = shown.subscription
    assert (subscription.status, subscription.customer, subscription.billing_mode.type) == (
        "active", shown.customer, "flexible")  # fmt: skip
    assert subscription.metadata.to_dict() == {"shop_id": "veil", "order_id": "o-1"}
    item = item_of(subscription)
    assert (item.price.id, item.quantity, item.plan.amount) == (price.id, 2, 1900)
    assert 28 * DAY <= item.current_period_end - item.current_period_start <= 31 * DAY
    method = client.v1.payment_methods.retrieve(subscription.default_payment_method)
    assert method.customer == shown.customer

    invoice: Any = shown.invoice
    assert invoice.id == subscription.latest_invoice
    assert (invoice.status, invoice.billing_reason, invoice.amount_paid, invoice.amount_remaining) == (
        "paid", "subscription_create", 3800, 0)  # fmt: skip
    assert invoice.parent.subscription_details.to_dict() == {
        "metadata": {"shop_id": "veil", "order_id": "o-1"}, "subscription": subscription.id}  # fmt: skip
    (payment,) = invoice.payments.data
    assert (payment.status, payment.payment.payment_intent) == ("paid", answer["paymentIntent"]["id"])
    (billed,) = invoice.lines.data
    assert (billed.amount, billed.description) == (3800, "2 × Wardrobe 1900 (at €19.00 / month)")
    assert (billed.period.start, billed.period.end) == (item.current_period_start, item.current_period_end)
    assert announced(client, after=before) == [
        "customer.created", "payment_intent.created", "charge.succeeded", "charge.updated", "payment_intent.succeeded",
        "checkout.session.completed", "customer.subscription.created", "invoice.created", "invoice.finalized",
        "invoice.paid", "invoice.payment_succeeded", "invoice_payment.paid",
    ]  # fmt: skip
    # 2.9 % of 3800 and 30
    assert standin.control("GET", "balance")["accounts"]["acct_standin"]["eur"]["net"] == 3800 - 140


def test_shapes_are_the_apis(client: stripe.StripeClient, standin: Running) -> None:
    """Every declared member is there, but those that appear when they are expanded or for deleted objects."""
    subscription = subscribe(client, standin, plan(client).id)
    (invoice,) = invoices(client, subscription.id)
    payment = client.v1.invoice_payments.list({"invoice": invoice.id}).data[0]
    (billed,) = client.v1.invoices.line_items.list(invoice.id).data
    absent = {"OBJECT_NAME", "deleted", "confirmation_secret"}
    for found in (subscription, item_of(subscription), invoice, payment, billed):
        assert set(type(found).__annotations__) - set(found.to_dict()) <= absent, type(found)


def test_a_declined_card_leaves_no_subscription(client: stripe.StripeClient, standin: Running) -> None:
    session = checkout(client, plan(client).id)
    answer = standin.control("POST", f"sessions/{session.id}/pay", {"card": "4000000000000002"})
    assert (answer["state"], answer["session"]["payment_intent"]) == ("declined", None)
    assert client.v1.subscriptions.list().data == []
    assert client.v1.invoices.list().data == []
    again = standin.control("POST", f"sessions/{session.id}/pay", {"card": CHALLENGED, "threeDS": "approve"})
    assert again["paymentIntent"]["id"] == answer["paymentIntent"]["id"]
    assert client.v1.subscriptions.list().data[0].status == "active"


def test_the_page(client: stripe.StripeClient, standin: Running) -> None:
    session = checkout(client, plan(client).id, customer_email=None)
    assert session.url is not None
    page = browse(session.url)
    assert "Wardrobe 1900" in page.html
    assert "€19.00" in page.html
    done = browse(session.url, {"card": "4242424242424242", "email": "kim@example.com"})
    assert (done.status, done.location) == (303, f"http://shop.localhost/thanks?session_id={session.id}")


@pytest.mark.parametrize("ui_mode", ["embedded_page", "elements"])
def test_the_other_ui_modes(client: stripe.StripeClient, standin: Running, ui_mode: Any) -> None:
    session = checkout(client, plan(client).id, ui_mode=ui_mode, success_url=None, return_url="http://shop.localhost/r")
    assert session.client_secret
    assert standin.control("POST", f"sessions/{session.id}/pay", {"card": CHALLENGED, "threeDS": "approve"})[
        "session"]["subscription"].startswith("sub_")  # fmt: skip


def test_a_trial_costs_nothing_and_keeps_the_card(client: stripe.StripeClient, standin: Running) -> None:
    data = {"trial_period_days": 14}
    session = checkout(client, plan(client).id, subscription_data=data)
    assert (session.amount_total, session.payment_method_collection) == (0, "always")
    assert session.url is not None
    page = browse(session.url).html
    assert "€19.00 / month, after the trial" in page
    assert 'name="card"' in page
    refused = standin.control("POST", f"sessions/{session.id}/pay", {"card": "4000000000000002"})
    assert refused["state"] == "declined"
    answer = standin.control("POST", f"sessions/{session.id}/pay", {})
    assert (answer["session"]["payment_status"], answer["paymentIntent"]) == ("no_payment_required", None)
    subscription = client.v1.subscriptions.retrieve(answer["session"]["subscription"])
    assert subscription.status == "trialing"
    assert subscription.default_payment_method is not None
    assert subscription.trial_start is not None
    assert subscription.trial_end == subscription.trial_start + 14 * DAY == item_of(subscription).current_period_end
    (invoice,) = invoices(client, subscription.id)
    assert (invoice.status, invoice.total, invoice.payments.data) == ("paid", 0, [])  # type: ignore[union-attr]
    assert client.v1.charges.list().data == []


def test_one_time_prices_discount_and_tax_are_on_the_first_invoice(
    client: stripe.StripeClient, standin: Running
) -> None:
    standin.control("POST", "options", {"taxRatePercent": 19})
    client.v1.coupons.create({"id": "HALF", "percent_off": 50, "duration": "once"})
    price = plan(client)
    lines = [line(1000), {"price": price.id, "quantity": 1}]
    subscription = subscribe(
        client, standin, price.id, line_items=lines, discounts=[{"coupon": "HALF"}], automatic_tax={"enabled": True}
    )
    (invoice,) = invoices(client, subscription.id)
    # 1000 and 1900, half of each, 19 % on top of 500 and 950
    assert (invoice.subtotal, invoice.total, invoice.total_excluding_tax) == (2900, 1450 + 95 + 181, 1450)
    assert invoice.total_taxes is not None
    assert [tax.amount for tax in invoice.total_taxes] == [276]
    assert invoice.total_discount_amounts is not None
    assert [off.amount for off in invoice.total_discount_amounts] == [1450]
    assert subscription.discounts == [], "once means once"
    assert [item.price.id for item in subscription["items"].data] == [price.id]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"line_items": [line(100)]}, "line_items"),
        ({"mode": "payment", "subscription_data": None}, "line_items"),
        ({"subscription_data": {"application_fee_percent": 3.0}}, "application_fee_percent"),
        ({"subscription_data": {"trial_period_days": 0}}, "subscription_data[trial_period_days]"),
        ({"payment_intent_data": {"description": "x"}}, "payment_intent_data"),
        ({"customer_creation": "always"}, "customer_creation"),
        ({"subscription_data": {"items": [{"price": "x"}]}}, "subscription_data[items]"),
    ],
)
def test_refused_sessions(client: stripe.StripeClient, changes: Any, param: str) -> None:
    price = plan(client)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        checkout(client, price.id, **changes)
    assert caught.value.param == param
    assert client.v1.checkout.sessions.list().data == []


def test_two_intervals_are_not_mixed(client: stripe.StripeClient) -> None:
    lines = [{"price": plan(client).id, "quantity": 1}, {"price": plan(client, 9900, "year").id, "quantity": 1}]
    with pytest.raises(stripe.InvalidRequestError):
        checkout(client, "", line_items=lines)


# Products and prices


def test_products_and_prices_change(client: stripe.StripeClient) -> None:
    price = plan(client, lookup_key="basic", nickname="Basic")
    product: Any = price.product
    client.v1.products.update(product, {"name": "Wardrobe basic", "default_price": price.id, "metadata": {"a": "1"}})
    assert client.v1.products.retrieve(product).name == "Wardrobe basic"
    assert [p.id for p in client.v1.products.list({"ids": [product]}).data] == [product]
    assert [p.id for p in client.v1.prices.list({"lookup_keys": ["basic"]}).data] == [price.id]

    params: Any = {"currency": "eur", "unit_amount": 2100, "product": product, "recurring": {"interval": "month"}}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.create(params | {"lookup_key": "basic"})
    assert caught.value.param == "lookup_key"
    dearer = client.v1.prices.create(params | {"lookup_key": "basic", "transfer_lookup_key": True})
    assert client.v1.prices.retrieve(price.id).lookup_key is None
    retired = client.v1.prices.update(price.id, {"active": False, "metadata": {"until": "2026"}})
    assert (retired.active, retired.metadata["until"]) == (False, "2026")
    assert [p.id for p in client.v1.prices.list({"active": True, "type": "recurring"}).data] == [dearer.id]
    with pytest.raises(stripe.InvalidRequestError):
        checkout(client, price.id)
    assert announced(client) == [
        "product.created", "price.created", "product.updated", "price.updated", "price.created", "price.updated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"recurring": {"interval": "fortnight"}}, "recurring[interval]"),
        ({"recurring": {"interval": "month", "interval_count": 37}}, "recurring[interval_count]"),
        ({"recurring": {"interval": "month", "usage_type": "metered"}}, "recurring[usage_type]"),
        ({"billing_scheme": "tiered", "tiers_mode": "volume"}, "billing_scheme"),
        ({"unit_amount": -1}, "unit_amount"),
        ({"product": "prod_none"}, "product"),
    ],
)
def test_refused_prices(client: stripe.StripeClient, changes: Any, param: str) -> None:
    product = client.v1.products.create({"name": "Veil"})
    params: Any = {"currency": "eur", "unit_amount": 2100, "product": product.id, "recurring": {"interval": "month"}}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.create(params | changes)
    assert caught.value.param == param

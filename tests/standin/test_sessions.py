"""Checkout sessions over the API: amounts, members, lists, expiry."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from tests.standin.receiver import Receiver
from tests.standin.shop import line, session_params
from tests.stripe_standin.running import Running


def create(client: stripe.StripeClient, **changes: Any) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(session_params(**changes))


def test_an_open_hosted_session(client: stripe.StripeClient, standin: Running) -> None:
    before = int(time.time())
    session = create(client, client_reference_id="attempt-1", customer_email="a@example.com")

    assert session.id.startswith("cs_test_")
    assert (session.status, session.payment_status, session.mode, session.ui_mode) == (
        "open", "unpaid", "payment", "hosted_page")  # fmt: skip
    assert session.url == f"{standin.url}/c/pay/{session.id}"
    assert session.payment_intent is None, "made when the customer confirms"
    assert session.client_secret is None
    assert (session.amount_subtotal, session.amount_total, session.currency) == (3998, 3998, "eur")
    assert session.metadata is not None
    assert session.metadata["shop_id"] == "cochlearfit"
    assert session.client_reference_id == "attempt-1"
    assert before + 86_400 <= session.expires_at <= int(time.time()) + 86_400
    assert session.customer_details is None
    assert session.livemode is False


def test_every_declared_member_is_there(client: stripe.StripeClient) -> None:
    """Except the one that appears when it is expanded."""
    session = create(client)
    declared = {name for name in stripe.checkout.Session.__annotations__ if name != "OBJECT_NAME"}
    assert declared - set(session.to_dict()) == {"line_items"}


@pytest.mark.parametrize("ui_mode", ["embedded_page", "elements"])
def test_the_other_ui_modes_have_a_secret_instead_of_a_url(client: stripe.StripeClient, ui_mode: str) -> None:
    session = create(client, ui_mode=ui_mode, success_url=None, cancel_url=None, return_url="http://shop.localhost/r")
    assert session.url is None
    assert session.client_secret is not None
    assert session.client_secret.startswith(f"{session.id}_secret_")


def test_discount_shipping_and_tax_add_up(client: stripe.StripeClient, standin: Running) -> None:
    standin.control("POST", "options", {"taxRatePercent": 19})
    client.v1.coupons.create({"id": "TENTH", "percent_off": 10, "duration": "once"})
    rate = {"display_name": "Post", "type": "fixed_amount", "fixed_amount": {"amount": 490, "currency": "eur"}}
    session = create(
        client,
        line_items=[line(1999, quantity=2), line(333)],
        discounts=[{"coupon": "TENTH"}],
        shipping_options=[{"shipping_rate_data": rate}],
        automatic_tax={"enabled": True},
    )
    # Without an address nobody knows the tax.
    assert session.automatic_tax.status == "requires_location_inputs"
    assert session.amount_total == 4331 - 433 + 490
    standin.control("POST", f"sessions/{session.id}/pay", {})
    session = client.v1.checkout.sessions.retrieve(session.id)
    # 4331 off 10 % is 433; 3998 - 400, 333 - 33 and 490 are taxed with 19 %
    assert session.automatic_tax.status == "complete"
    assert session.total_details is not None
    assert session.total_details.to_dict() == {
        "amount_discount": 433,
        "amount_shipping": 490,
        "amount_tax": 684 + 57 + 93,
    }
    assert session.amount_subtotal == 4331
    assert session.amount_total == 4331 - 433 + 490 + 834
    lines = client.v1.checkout.sessions.line_items.list(session.id).data
    assert [(item.amount_subtotal, item.amount_discount, item.amount_tax, item.amount_total) for item in lines] == [
        (3998, 400, 684, 4282), (333, 33, 57, 357)]  # fmt: skip
    assert [(item.quantity, item.description) for item in lines] == [(2, "Thing for 1999"), (1, "Thing for 333")]


def test_static_tax_rates(client: stripe.StripeClient) -> None:
    added = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    inside = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": True})
    session = create(client, line_items=[line(1000, tax_rates=[added.id]), line(500, tax_rates=[inside.id])])
    assert session.total_details is not None
    assert (session.amount_subtotal, session.total_details.amount_tax, session.amount_total) == (1500, 300, 1700)


def test_coupons_are_checked(client: stripe.StripeClient, standin: Running) -> None:
    client.v1.coupons.create({"id": "FIVE", "amount_off": 500, "currency": "usd"})
    client.v1.coupons.create({"id": "ONCE", "percent_off": 50, "max_redemptions": 1})
    for coupon, code in (("NONE", "resource_missing"), ("FIVE", None)):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            create(client, discounts=[{"coupon": coupon}])
        assert caught.value.code == code
    session = create(client, discounts=[{"coupon": "ONCE"}])
    assert session.amount_total == 1999
    standin.control("POST", f"sessions/{session.id}/pay", {})
    assert client.v1.coupons.retrieve("ONCE").times_redeemed == 1
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(client, discounts=[{"coupon": "ONCE"}])
    assert caught.value.code == "coupon_expired"
    assert client.v1.coupons.delete("ONCE").deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.coupons.retrieve("ONCE")


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"line_items": [line(100), line(100, currency="usd")]}, "line_items", None),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"line_items": [{"price": "price_none"}]}, "line_items[0][price]", "resource_missing"),
        ({"line_items": [line(10)]}, None, "amount_too_small"),
        ({"line_items": [line(99_999_999, quantity=2)]}, None, "amount_too_large"),
        ({"mode": "setup", "line_items": None, "payment_intent_data": None, "currency": "eur"}, "mode", None),
    ],
)
def test_refused_executions(client: stripe.StripeClient, changes: Any, param: str | None, code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(client, **changes)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert client.v1.checkout.sessions.list().data == []
    assert client.v1.products.list().data == [], "nothing of it stays behind"


def test_a_price_from_the_catalog(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Veil", "metadata": {"sku": "V-1"}})
    price = client.v1.prices.create({"currency": "usd", "unit_amount": 2500, "product": product.id})
    session = create(client, line_items=[{"price": price.id, "quantity": 3}])
    found = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items.data.price.product"]})
    assert found.line_items is not None
    assert (found.amount_total, found.currency) == (7500, "usd")
    assert found.line_items.data[0].price.product.metadata["sku"] == "V-1"  # type: ignore[union-attr]
    assert [p.id for p in client.v1.prices.list({"product": product.id}).data] == [price.id]


def test_expansion_shows_ten_lines_and_more_behind_them(client: stripe.StripeClient) -> None:
    session = create(client, line_items=[line(100 + i) for i in range(12)])
    found = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert found.line_items is not None
    assert (len(found.line_items.data), found.line_items.has_more) == (10, True)
    walked = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 5}).auto_paging_iter()
    assert [item.amount_total for item in walked] == [100 + i for i in range(12)]


@pytest.mark.parametrize("path", ["nothing", "currency", "payment_intent.nothing.x.y.z"])
def test_what_cannot_be_expanded(client: stripe.StripeClient, path: str) -> None:
    session = create(client)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.retrieve(session.id, {"expand": [path]})
    assert caught.value.param == "expand"


def test_lists_are_paged_newest_first(client: stripe.StripeClient) -> None:
    made = [create(client).id for _ in range(5)]
    page = client.v1.checkout.sessions.list({"limit": 2})
    assert ([s.id for s in page.data], page.has_more) == ([made[4], made[3]], True)
    following = client.v1.checkout.sessions.list({"limit": 3, "starting_after": made[3]})
    assert ([s.id for s in following.data], following.has_more) == ([made[2], made[1], made[0]], False)
    newer = client.v1.checkout.sessions.list({"limit": 2, "ending_before": made[1]})
    assert ([s.id for s in newer.data], newer.has_more) == ([made[3], made[2]], True)
    backwards = client.v1.checkout.sessions.list({"limit": 2, "ending_before": made[0]}).auto_paging_iter()
    assert [s.id for s in backwards] == made[1:], "the SDK's own way to read in order of time"
    assert client.v1.checkout.sessions.list({"status": "complete"}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.list({"starting_after": "cs_test_none"})


def test_expire_ends_an_open_session_once(client: stripe.StripeClient, receiver: Receiver) -> None:
    session = create(client)
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url, expired.payment_status) == ("expired", None, "unpaid")
    event = receiver.await_count(1, of="checkout.session.expired")[0]
    assert event.data.object["id"] == session.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert str(caught.value.user_message) == (
        'Only Checkout Sessions with a status in ["open"] can be expired. '
        "This Checkout Session has a status of `expired`."
    )


def test_a_paid_session_cannot_be_expired(client: stripe.StripeClient, standin: Running) -> None:
    session = create(client)
    standin.control("POST", f"sessions/{session.id}/pay", {})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert str(caught.value.user_message).endswith("This Checkout Session has a status of `complete`.")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_the_clock_expires_sessions(client: stripe.StripeClient, standin: Running, receiver: Receiver) -> None:
    session = create(client, expires_at=int(time.time()) + 31 * 60)
    standin.control("POST", "clock", {"advanceSeconds": 31 * 60 + 1})
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert (found.status, found.url) == ("expired", None)
    assert len(receiver.await_count(1, of="checkout.session.expired")) == 1


def test_metadata_can_be_changed(client: stripe.StripeClient) -> None:
    session = create(client)
    changed = client.v1.checkout.sessions.update(session.id, {"metadata": {"order_id": "", "more": "x"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"shop_id": "cochlearfit", "more": "x"}


def test_currencies_without_decimals(client: stripe.StripeClient) -> None:
    assert create(client, line_items=[line(500, currency="jpy")]).amount_total == 500

"""The back office's pages of orders, journal, catalog and carts, as a member of staff uses them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from pytest_django import Settings

from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.admin.display import address as postal
from commerce.admin.display import table
from commerce.admin.stripe_links import dashboard_url
from commerce.models import Cart, JournalEntry, Order, Product, Variant
from tenants.context import load_shop
from tests.commerce.backoffice import Desk, address, another_product, desk, found, html, queries, text
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import Trade

pytestmark = pytest.mark.usefixtures("trade")

MODELS: tuple[type[Model], ...] = (Order, JournalEntry, Product, Cart)


def buy(trade: Trade, standin: StandIn, quantity: int = 1) -> Order:
    """A paid order, settled as its event would."""
    session_id = trade.buyer_with_cart(quantity).checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop(trade.shop.pk), session_id=session_id)
    return Order.objects.get(session_id=session_id)


def start(trade: Trade, quantity: int = 1) -> Order:
    """An order whose payment page is open."""
    answer = trade.buyer_with_cart(quantity).checkout()
    return Order.objects.get(session_id=answer.json()["sessionId"])


# ---------------------------------------------------------------- every page
# Session, user and the banner are three of them; the rest is the page's own.
COUNTS = {Order: (7, 18), JournalEntry: (7, 6), Product: (7, 6), Cart: (7, 6)}


@pytest.mark.parametrize("model", MODELS)
def test_a_page_needs_as_many_queries_for_three_rows_as_for_one(
    trade: Trade, standin: StandIn, model: type[Model]
) -> None:
    owner = desk()
    first = buy(trade, standin)
    row = model._default_manager.first()
    assert row is not None
    once = (queries(lambda: owner.list(model)), queries(lambda: owner.page(row)))
    for _ in range(2):
        buy(trade, standin)
        another_product(trade)
    assert model._default_manager.count() == 3
    again = (queries(lambda: owner.list(model)), queries(lambda: owner.page(row)))
    assert (once, again) == (COUNTS[model], COUNTS[model])
    assert first.number in text(owner.list(Order))


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_list_says_what_would_fill_it(trade: Trade, model: type[Model]) -> None:
    Variant.objects.all().delete()
    Product.objects.all().delete()
    assert "Nothing here" in text(desk().list(model))


@pytest.mark.parametrize("model", MODELS)
def test_staff_without_permission_see_nothing(trade: Trade, standin: StandIn, model: type[Model]) -> None:
    buy(trade, standin)
    clerk = desk("tenants.view_shop")
    row = model._default_manager.first()
    assert row is not None
    assert (clerk.list(model).status_code, clerk.page(row).status_code) == (403, 403)
    anonymous = Desk(Client(headers={"Host": "localhost"}))
    assert anonymous.list(model).status_code == 302


@pytest.mark.parametrize("model", [Order, JournalEntry, Cart])
def test_these_are_read_and_never_edited(trade: Trade, standin: StandIn, model: type[Model]) -> None:
    buy(trade, standin)
    owner, row = desk(), model._default_manager.first()
    assert row is not None
    assert owner.client.post(address(model, "change", row.pk), {}).status_code == 403
    assert owner.client.get(address(model, "add")).status_code == 403
    assert owner.client.get(address(model, "delete", row.pk)).status_code == 403


def test_amounts_are_never_shown_in_minor_units(trade: Trade, standin: StandIn) -> None:
    trade.buyer_with_cart()
    buy(trade, standin)
    owner = desk()
    for model in MODELS:
        rows = model._default_manager.order_by("pk")
        for answer in (owner.list(model), *(owner.page(row) for row in rows)):
            assert not re.search(r"\b2,?500\b", text(answer)), model
            assert 'value="2500"' not in html(answer), model


def test_another_locale_and_zone_are_the_shops_own(trade: Trade, standin: StandIn) -> None:
    trade.shop.settings.default_locale, trade.shop.settings.time_zone = "de", "Asia/Tokyo"
    trade.shop.settings.save()
    order = buy(trade, standin)
    shown = text(desk().list(Order))
    assert "25,00 €" in shown and "JST" in shown
    assert "Time in Asia/Tokyo" in text(desk_again().page(order))


def desk_again() -> Desk:
    """The owner, who has been made before."""
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.get(username="owner"))
    return Desk(client)


# ---------------------------------------------------------------- orders
def test_an_order_is_found_by_each_of_its_keys(trade: Trade, standin: StandIn) -> None:
    order, other = buy(trade, standin), start(trade)
    Order.objects.filter(pk=order.pk).update(email="grace@example.test")
    order.refresh_from_db()
    owner = desk()
    keys = (order.number, f"#{order.number}", "grace@example.test", " Grace@Example.Test ".lower(), order.session_id,
            order.payment_intent_id, str(order.pk), str(order.hold_id))  # fmt: skip
    assert {key: found(owner.list(Order, q=key)) for key in keys} == {key: {str(order.pk)} for key in keys}
    for nobody in ("cs_none", "pi_none", "nobody@example.test", "1", "Ada", "٣", order.number[:-1]):
        assert found(owner.list(Order, q=nobody)) == set(), nobody
    assert found(owner.list(Order, q="")) == {str(order.pk), str(other.pk)}


def test_what_needs_attention_is_one_click_away(trade: Trade, other_trade: Trade, standin: StandIn) -> None:
    fine, odd, review = buy(trade, standin), buy(trade, standin), start(trade)
    Order.objects.filter(pk=odd.pk).update(amount_differs=True, expected_total_amount=2400)
    Order.objects.filter(pk=review.pk).update(status="review", review_reason="Nothing left")
    owner = desk()
    answer = owner.client.get("/admin/commerce/order/view-attention/", follow=True)
    assert answer.redirect_chain == [("/admin/commerce/order/?desk=attention", 302)]
    assert found(answer) == {str(odd.pk), str(review.pk)}
    assert found(owner.list(Order, amount_differs__exact="1")) == {str(odd.pk)}
    assert found(owner.list(Order, status__exact="review")) == {str(review.pk)}
    assert found(owner.list(Order, shop__id__exact="band")) == {str(fine.pk), str(odd.pk), str(review.pk)}
    assert found(owner.list(Order, shop__id__exact="other")) == set()
    assert "not the €24.00 we had computed" in text(owner.page(odd))
    assert "Nothing left" in text(owner.page(review))


def test_an_orders_page_tells_its_story_in_order(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin, quantity=2)
    page = text(desk().page(order))
    assert "BAND#size:M 2 €25.00 €50.00" in page
    steps = (
        "Checkout started", f"Order {order.number} placed", "Hold placed", "Session opened at Stripe", "Hold committed",
        "Order confirmed Paid €50.00", "Journal: Capture Stripe balance €50.00, Revenue -€50.00",
        "Audit: order.confirmed system:settlement",
    )  # fmt: skip
    places = [page.find(step) for step in steps]
    assert -1 not in places and places == sorted(places), list(zip(steps, places, strict=True))


def test_an_order_links_to_what_is_behind_it(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin)
    page = html(desk().page(order))
    attempt = CheckoutAttempt.objects.get(order=order)
    for link in (
        f"/admin/checkout/checkoutattempt/{attempt.pk}/change/",
        f"/admin/commerce/journalentry/{order.journal_entries.get().pk}/change/",
    ):
        assert f'href="{link}"' in page
    assert "dashboard.stripe.com" not in page


def test_staff_read_only_the_parts_of_a_story_that_they_may_see(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin)
    page = desk("commerce.view_order").page(order)
    told = text(page)
    assert "Order confirmed Paid €25.00" in told
    for hidden in ("Checkout started", "Hold placed", "Journal:", "Audit:", "checkout.session", "Ask Stripe"):
        assert hidden not in told
    assert "/admin/checkout/checkoutattempt/" not in html(page)


def test_foreign_text_on_an_order_is_escaped(trade: Trade, standin: StandIn) -> None:
    order = buy(trade, standin)
    order.lines.update(title="<script>alert(1)</script>")
    attack = {"line1": "<img src=x>"}
    Order.objects.filter(pk=order.pk).update(customer_name="<b>Bob</b>", billing_address=attack, review_reason="<i>")
    page = html(desk().page(order))
    for raw in ("<script>alert(1)", "<img src=x>", "<b>Bob", "<i>"):
        assert raw not in page


def test_stripe_is_asked_again_about_an_order(trade: Trade, standin: StandIn) -> None:
    order = start(trade)
    owner = desk()
    assert "open: the customer may still pay" in owner.do(Order, "ask", order)
    standin.pay(str(order.session_id))
    outcome = owner.do(Order, "ask", order)
    assert "Stripe says it is paid. The order is confirmed." in outcome
    assert trade.facts()["orders"] == ["confirmed"]


def test_a_silent_stripe_changes_nothing_and_is_said(trade: Trade, standin: StandIn) -> None:
    order = start(trade)
    before = trade.facts()
    standin.fault(path="/v1/checkout/sessions", kind="status", status=500, method="GET")
    assert "Stripe could not be asked, nothing has changed" in desk().do(Order, "ask", order)
    assert trade.facts() == before


def test_an_order_without_a_session_has_nothing_to_ask_about(trade: Trade, standin: StandIn) -> None:
    order = start(trade)
    Order.objects.filter(pk=order.pk).update(session_id=None)
    assert "No session has been opened for it" in text(desk().ask(Order, "ask", order))


def test_asking_needs_its_permission(trade: Trade, standin: StandIn) -> None:
    order = start(trade)
    clerk = desk("commerce.view_order")
    assert clerk.client.post(address(Order, "act", "ask"), {"token": "x"}).status_code == 403
    assert clerk.client.get(f"/admin/commerce/order/{order.pk}/act-ask/").status_code == 403


@pytest.mark.parametrize(
    ("object_id", "account", "livemode", "expected"),
    [
        ("cs_test_1", "acct_1", False, "https://dashboard.stripe.com/acct_1/test/checkout/sessions/cs_test_1"),
        ("cs_live_1", "acct_1", True, "https://dashboard.stripe.com/acct_1/checkout/sessions/cs_live_1"),
        ("pi_1", "acct_2", False, "https://dashboard.stripe.com/acct_2/test/payments/pi_1"),
        ("evt_1", "acct_2", True, "https://dashboard.stripe.com/acct_2/events/evt_1"),
        ("seti_1", "acct_2", True, None),
    ],
)
def test_stripes_dashboard(
    settings: Settings, object_id: str, account: str, livemode: bool, expected: str | None
) -> None:
    settings.STRIPE_API_BASE = "https://api.stripe.com"
    assert dashboard_url(object_id, account=account, livemode=livemode) == expected
    settings.STRIPE_API_BASE = "http://127.0.0.1:12111"
    assert dashboard_url(object_id, account=account, livemode=livemode) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        ({}, "–"),
        ({"line1": "1 High St", "line2": None, "city": "Bath", "country": "GB"}, "1 High St, Bath, GB"),
        ({"name": "Ada", "phone": None, "address": {"line1": "1 High St", "country": "GB"}}, "Ada, 1 High St, GB"),
    ],
)
def test_postal_addresses(value: Any, expected: str) -> None:
    assert postal(value) == expected


def test_tables_escape_their_cells() -> None:
    assert "&lt;b&gt;" in table(["a"], [["<b>"]]) and "<b>" not in table(["a"], [["<b>"]])


# ---------------------------------------------------------------- journal
def test_an_entry_is_found_and_shown_with_its_lines(trade: Trade, standin: StandIn) -> None:
    order, other = buy(trade, standin), buy(trade, standin)
    entry = order.journal_entries.get()
    owner = desk()
    for key in (order.number, f"#{order.number}", str(order.session_id)):
        assert found(owner.list(JournalEntry, q=key)) == {str(entry.pk)}, key
    assert found(owner.list(JournalEntry, q="capture")) == set()
    assert found(owner.list(JournalEntry, kind__exact="capture", shop__id__exact="band")) == {
        str(entry.pk), str(other.journal_entries.get().pk),
    }  # fmt: skip
    assert "€25.00 balanced" in text(owner.list(JournalEntry, q=order.number))
    page = text(owner.page(entry))
    assert re.search(r"Stripe balance €25\.00 .*Revenue .*€25\.00", page) and "balanced" in page


# ---------------------------------------------------------------- carts
@pytest.mark.parametrize("storage", ["postgres", "redis"])
def test_a_cart_is_read(trade: Trade, standin: StandIn, settings: Settings, storage: str) -> None:
    settings.CART_STORAGE = storage
    buyer = trade.buyer_with_cart(2)
    cart = Cart.objects.get()
    owner = desk()
    assert "BAND#size:M 2 – – €25.00" in text(owner.page(cart))
    assert "Nobody has checked this cart out." in text(owner.page(cart))
    shown = "1 2 PostgreSQL" if storage == "postgres" else "– – Redis"
    assert shown in text(owner.list(Cart, q=str(cart.pk)))
    session_id = buyer.checkout().json()["sessionId"]
    order = Order.objects.get()
    trade.buyer_with_cart()
    for key in (str(cart.pk), session_id, str(order.pk), str(order.attempt.pk)):
        assert found(owner.list(Cart, q=key)) == {str(cart.pk)}, key
    for nobody in ("nonsense", "cs_none", str(trade.shop.pk)):
        assert found(owner.list(Cart, q=nobody)) == set()
    page = owner.page(cart)
    assert f"#{order.number}" in text(page) or order.number in text(page)
    assert address(CheckoutAttempt, "change", order.attempt.pk) in html(page)
    settings.REDIS_CARTS_URL = "unix:///nowhere/carts.sock?db=0"
    assert ("can't be reached" in text(owner.page(cart))) is (storage == "redis")

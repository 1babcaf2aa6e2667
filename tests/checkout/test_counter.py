"""`POST /api/rental`: rentals at the counter and on the phone, paid by link or elsewhere. Over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.models import JournalLine, Order, Refund, Rental
from commerce.returns.refunding import refund_order
from inventory.models import Hold
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import load_shop
from tests.commerce.rentals.counter import Counter, code
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade


@pytest.fixture
def counter(rental_trade: RentalTrade, standin: StandIn) -> Counter:
    return Counter(rental_trade, standin, monday())


def wish(counter: Counter, **more: Any) -> dict[str, Any]:
    return {
        "items": [{"sku": "BAND", "quantity": 2, "variantAttributes": {"size": "M"}}],
        "period": days_from(counter.first, 3),
        "customer": {"email": "ada@band.example", "name": "Ada", "phone": "+49 30 1"},
        "payment": "external",
        "idempotencyKey": "k-1",
        **more,
    }


def begin(counter: Counter, **more: Any) -> Any:
    return counter.send(wish(counter, **more), "POST")


def balances() -> dict[str, int]:
    found: dict[str, int] = {}
    for account, amount in JournalLine.objects.values_list("account", "amount"):
        found[account] = found.get(account, 0) + amount
    return {account: amount for account, amount in found.items() if amount}


def test_what_was_paid_elsewhere_is_confirmed_at_once(counter: Counter) -> None:
    made, again = begin(counter), begin(counter)
    order = Order.objects.get()
    assert (made.status_code, again.status_code, again.json()) == (201, 200, made.json())
    assert made.json() == {
        "rentalId": str(order.pk), "orderId": str(order.pk), "status": "reserved", "depositAmount": 18000,
        "totalAmount": 33000, "currency": "EUR", "period": days_from(counter.first, 3),
    }  # fmt: skip
    assert (order.status, order.source, order.customer_name, order.phone) == (
        "confirmed", "counter", "Ada", "+49 30 1",
    )  # fmt: skip
    assert Rental.objects.get().source == "counter"
    assert balances() == {"external_receipts": 33000, "revenue": -15000, "deposits_held": -18000}
    assert counter.booked() == {0: 2, 1: 2, 2: 2} and verify_stock().clean
    assert counter.standin.requests("/v1/checkout/sessions") == [] and not CheckoutAttempt.objects.exists()


def test_its_refunds_are_by_hand_and_ask_nobody(counter: Counter) -> None:
    begin(counter)
    order = Order.objects.get()
    made = refund_order(shop=load_shop("band"), order_id=order.pk, reason="x", key="k", acting=Actor("staff", "x"))
    order.refresh_from_db()
    assert (made.refunded, made.remaining, order.status) == (33000, 0, "refunded")
    assert set(Refund.objects.values_list("status", flat=True)) == {"succeeded"}
    assert balances() == {"revenue": -15000, "sales_returns": 15000}
    assert Rental.objects.get().status == "canceled"
    assert counter.standin.requests("/v1/refunds") == []


def test_a_link_is_a_checkout_on_stripes_page(counter: Counter) -> None:
    counter.trade.shop.settings.checkout_ui = "elements"
    counter.trade.shop.settings.save()
    made = begin(counter, payment="link")
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["status"] == "awaiting_payment" and body["paymentUrl"].startswith("http")
    (letter,) = mail.outbox
    assert letter.to == ["ada@band.example"] and body["paymentUrl"] in letter.body
    again = begin(counter, payment="link")
    assert (again.status_code, again.json()["rentalId"], len(mail.outbox)) == (200, body["rentalId"], 1)
    refused = counter.do(Order.objects.get(), "hand_out")
    assert (code(refused), refused.json()["rentalStatus"]) == ((409, "wrong_state"), "awaiting_payment")
    session_id = CheckoutAttempt.objects.get().session_id
    counter.standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=str(session_id))
    order, rental = Order.objects.get(), Rental.objects.get()
    assert (order.source, order.status, rental.source, str(rental.pk)) == (
        "counter", "confirmed", "counter", body["rentalId"],
    )  # fmt: skip
    assert order.phone == "+49 30 1"
    done = begin(counter, payment="link").json()
    assert done["status"] == "reserved" and "paymentUrl" not in done


def test_one_key_is_one_request(counter: Counter) -> None:
    begin(counter)
    for other in (
        {"payment": "link"},
        {"items": [{"sku": "BAND", "quantity": 1, "variantAttributes": {"size": "M"}}]},
        {"customer": {"email": "bob@band.example"}},
        {"period": days_from(counter.first, 4)},
    ):
        assert code(begin(counter, **other)) == (409, "idempotency_conflict"), other
    assert Order.objects.count() == 1 and Hold.objects.count() == 1


def test_bad_wishes_book_nothing(counter: Counter) -> None:
    for more, expected in (
        ({"items": []}, (400, "invalid_request")),
        ({"items": [{"sku": "NONE", "quantity": 1}]}, (400, "unknown_sku")),
        ({"period": {"start": "2020-01-01", "end": "2020-01-02"}}, (400, "invalid_request")),
        ({"period": {"start": "2027-01-05", "end": "2027-01-02"}}, (400, "invalid_request")),
        ({"customer": {"email": "nobody"}}, (400, "invalid_request")),
        ({"customer": {}}, (400, "invalid_request")),
        ({"payment": "cash"}, (400, "invalid_request")),
        ({"idempotencyKey": ""}, (400, "invalid_request")),
        ({"items": [{"sku": "BAND", "quantity": 11, "variantAttributes": {"size": "M"}}]}, (409, "rental_unavailable")),
        ({"unitAmount": 1}, (400, "invalid_request")),
    ):
        assert code(begin(counter, **more)) == expected, more
        assert code(begin(counter, payment="link", **more) if "payment" not in more else begin(counter, **more)) == (
            expected
        )
    assert begin(counter, shopId="other").status_code == 400
    assert not Order.objects.filter(status="confirmed").exists() and counter.booked() == {}

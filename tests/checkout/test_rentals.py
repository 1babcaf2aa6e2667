"""Checkouts of a shop that rents out (K1, K8): periods priced, deposits apart, and days that pass. Over HTTP."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from checkout import stripe_session
from checkout.models import CheckoutAttempt
from checkout.settle import settle_session
from commerce.models import JournalEntry, JournalLine, Order, OrderLine, Product, Variant
from inventory.holds import finish_holds_within
from inventory.models import Hold, StockDay, StockRow
from inventory.stock import recount_stock
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import load_shop
from tenants.models import ShopSettings
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade, in_threads
from tests.fixtures.workers import issue

MONDAY = monday()
WEEK_AND_A_DAY = days_from(MONDAY, 8)


def keyed(trade: RentalTrade, *items: dict[str, Any], **body: Any) -> Any:
    """A checkout that brings its own lines."""
    return trade.buyer().checkout({"items": list(items), **body}, Idempotency_Key=uuid4().hex)


def test_a_period_and_its_deposit_become_one_session(rental_trade: RentalTrade, standin: StandIn) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY, 2))
    answer = buyer.checkout({"email": "ada@example.test"})
    body = answer.json()
    assert answer.status_code == 201, body
    assert (body["amounts"], body["changes"]) == (
        {"subtotal": 29000, "discount": 0, "shipping": 0, "tax": 0, "deposit": 18000, "total": 47000},
        [],
    )
    session = standin.session(body["sessionId"])
    assert (session["amount_total"], session["metadata"]["rentalDays"], session["metadata"]["depositTotal"]) == (
        47000, "8", "18000",
    )  # fmt: skip
    rent, deposit = CheckoutAttempt.objects.get().stripe_params["line_items"]
    assert (rent["quantity"], rent["price_data"]) == (
        2,
        {
            "currency": "eur",
            "unit_amount": 14500,
            "product_data": {
                "name": "Headband (M)",
                "metadata": {"variant_key": rental_trade.variant.variant_key},
                "description": f"{WEEK_AND_A_DAY['start']} – {WEEK_AND_A_DAY['end']}",
            },
        },
    )
    assert (deposit["quantity"], deposit["price_data"]) == (
        2,
        {
            "currency": "eur",
            "unit_amount": 9000,
            "product_data": {
                "name": "Deposit, refundable: Headband (M)",
                "tax_code": "txcd_00000000",
                "metadata": {"deposit": "true"},
            },
        },
    )
    line = OrderLine.objects.get()
    assert (line.rental_start, line.rental_end, line.rental_days) == (MONDAY, MONDAY + timedelta(days=7), 8)
    assert (line.unit_amount, line.line_amount, line.deposit_amount) == (14500, 29000, 9000)
    assert line.rental_rates == [
        {"rate": "week", "times": 1, "amount": 12000},
        {"rate": "day", "times": 1, "amount": 2500},
    ]


def test_paid_deposits_are_owed_back_and_no_revenue(rental_trade: RentalTrade, standin: StandIn) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY))
    session_id = buyer.checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    order = Order.objects.get()
    assert (order.status, order.subtotal_amount, order.deposit_amount, order.total_amount, order.amount_differs) == (
        "confirmed", 14500, 9000, 23500, False,
    )  # fmt: skip
    entry = JournalEntry.objects.get()
    assert dict(JournalLine.objects.filter(entry=entry).values_list("account", "amount")) == {
        "stripe_clearing": 23500, "revenue": -14500, "deposits_held": -9000,
    }  # fmt: skip
    summary = buyer.call("GET", f"/api/checkout-session/{session_id}").json()
    assert summary["amounts"]["deposit"] == 9000
    assert summary["lines"][0]["rental"] == {**WEEK_AND_A_DAY, "days": 8}
    assert summary["lines"][0]["depositAmount"] == 9000
    assert buyer.call("GET", "/api/cart").json()["lines"] == []


def test_the_other_language_names_the_deposit(rental_trade: RentalTrade, standin: StandIn) -> None:
    ShopSettings.objects.update(locales=["en", "de"])
    keyed(rental_trade, rental_trade.line(WEEK_AND_A_DAY), locale="de")
    items = CheckoutAttempt.objects.get().stripe_params["line_items"]
    assert items[1]["price_data"]["product_data"]["name"].startswith("Kaution, wird erstattet: ")


def test_two_periods_of_one_article_are_two_lines(rental_trade: RentalTrade, standin: StandIn) -> None:
    first, second = days_from(MONDAY, 1), days_from(MONDAY + timedelta(days=7), 2)
    line = rental_trade.line
    answer = keyed(rental_trade, line(first), line(second), line(first)).json()
    assert (answer["amounts"]["subtotal"], answer["amounts"]["deposit"]) == (2 * 2500 + 5000, 3 * 9000)
    assert list(OrderLine.objects.values_list("quantity", "rental_days")) == [(2, 1), (1, 2)]
    assert CheckoutAttempt.objects.get().stripe_params["metadata"]["rentalDays"] == "2"


def test_a_repeat_is_the_same_session_and_another_period_is_another(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY))
    first = buyer.checkout().json()
    again = buyer.checkout()
    assert (again.status_code, again.json()["sessionId"]) == (200, first["sessionId"])
    buyer.call("PUT", "/api/cart", {"lines": [rental_trade.line(days_from(MONDAY, 9))]})
    other = buyer.checkout()
    assert (other.status_code, other.json()["amounts"]["subtotal"]) == (201, 17000)
    assert standin.session(first["sessionId"])["status"] == "expired"
    assert sorted(Hold.objects.values_list("status", flat=True)) == ["active", "expired"]


def test_another_deposit_is_another_purchase(rental_trade: RentalTrade, standin: StandIn) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY))
    first = buyer.checkout().json()
    Variant.objects.update(deposit_amount=9001)
    other = buyer.checkout()
    assert (other.status_code, other.json()["amounts"]["deposit"]) == (201, 9001)
    assert other.json()["sessionId"] != first["sessionId"]


def test_drift_is_judged_on_the_periods_price_without_deposits(rental_trade: RentalTrade, standin: StandIn) -> None:
    ShopSettings.objects.update(reprice_policy="enforce_and_reject")
    line = rental_trade.line(WEEK_AND_A_DAY)
    assert keyed(rental_trade, line, expectedAmount=14500).status_code == 201
    assert keyed(rental_trade, line, expectedLines=[{"sku": "BAND", "unitAmount": 14500}]).status_code == 201
    refused = keyed(rental_trade, line, expectedAmount=23500)
    assert (refused.status_code, refused.json()["code"]) == (409, "PRICE_CHANGED")
    buyer = rental_trade.buyer_of(line)
    Variant.objects.update(week_amount=20000, price_amount=5000)
    refused = buyer.checkout()
    assert (refused.status_code, refused.json()["items"]) == (
        409, [{"sku": "BAND", "was": 14500, "now": 25000}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (None, "needs the days"),
        (days_from(MONDAY, 0), "before the pick-up"),
        (days_from(date(2020, 1, 1), 2), "pick-up day is over"),
        (days_from(MONDAY, 367), "at most 366 days"),
        (days_from(MONDAY + timedelta(days=800), 1), "latest pick-up"),
        ({"start": "2027-02-30", "end": "2027-03-01"}, ""),
        ({"start": MONDAY.isoformat()}, ""),
        ("2027", ""),
    ],
)
def test_periods_that_arent(rental_trade: RentalTrade, standin: StandIn, period: Any, said: str) -> None:
    answer = keyed(rental_trade, rental_trade.line(period))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert said in str(answer.json()["fields"])
    assert (Order.objects.count(), Hold.objects.count(), standin.requests("/v1/")) == (0, 0, [])


def test_a_sale_takes_no_period(rental_trade: RentalTrade, standin: StandIn) -> None:
    ShopSettings.objects.update(kind="sale")
    answer = keyed(rental_trade, rental_trade.line(WEEK_AND_A_DAY))
    assert (answer.status_code, answer.json()["fields"]) == (
        400, {"items[0].rental": ["This shop doesn't rent out."]},
    )  # fmt: skip


def test_a_cart_of_the_other_kind_is_not_sold(rental_trade: RentalTrade, standin: StandIn) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY))
    ShopSettings.objects.update(kind="sale")
    answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"]) == (400, "not_purchasable")
    assert Order.objects.count() == 0


def test_days_that_have_passed_in_the_cart(rental_trade: RentalTrade, standin: StandIn) -> None:
    buyer = rental_trade.buyer_of(rental_trade.line(WEEK_AND_A_DAY))
    with time_machine.travel(timezone.now() + timedelta(days=30), tick=True):
        answer = buyer.checkout()
    assert (answer.status_code, answer.json()["code"], answer.json()["items"]) == (
        400,
        "not_purchasable",
        [{"sku": "BAND", "variantKey": rental_trade.variant.variant_key, "reason": "past"}],
    )
    assert Order.objects.count() == 0


def test_what_was_paid_is_answered_after_its_days(rental_trade: RentalTrade, standin: StandIn) -> None:
    """A client key's order stays its answer for ever, although its period couldn't be rented any more."""
    buyer, key = rental_trade.buyer(), uuid4().hex
    body = {"items": [rental_trade.line(WEEK_AND_A_DAY)]}
    first = buyer.checkout(body, Idempotency_Key=key).json()
    standin.pay(first["sessionId"])
    settle_session(shop=load_shop("band"), session_id=first["sessionId"])
    Product.objects.update(rental_max_days=2)
    again = buyer.checkout(body, Idempotency_Key=key)
    assert (again.status_code, again.json()["orderId"]) == (200, first["orderId"])


def test_many_deposits_are_one_line_where_stripe_takes_no_more(
    rental_trade: RentalTrade, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_session, "MOST_LINE_ITEMS", 3)  # a hundred variants would only be slower
    first, second = days_from(MONDAY, 1), days_from(MONDAY, 2)
    answer = keyed(rental_trade, rental_trade.line(first, 3), rental_trade.line(second)).json()
    items = CheckoutAttempt.objects.get().stripe_params["line_items"]
    assert [(i["quantity"], i["price_data"]["unit_amount"]) for i in items] == [(3, 2500), (1, 5000), (1, 36000)]
    assert items[2]["price_data"]["product_data"]["name"] == "Deposits, refundable"
    assert standin.session(answer["sessionId"])["amount_total"] == answer["amounts"]["total"] == 48500


# ---------------------------------------------------------------- days are booked
def booked(trade: RentalTrade) -> dict[int, int]:
    days = StockDay.objects.filter(stock_row=trade.stock, booked__gt=0).values_list("day", "booked")
    return {(day - MONDAY).days: units for day, units in days}


def own(units: int) -> None:
    row = StockRow.objects.get()
    recount_stock(
        shop_id=row.owner_id, stock_row_id=row.pk, counted=units, note="A test", acting=Actor("system", "test")
    )  # fmt: skip


def test_a_checkout_books_days_and_leaves_the_stock_owned(rental_trade: RentalTrade, standin: StandIn) -> None:
    session_id = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2), 3)).json()["sessionId"]
    assert booked(rental_trade) == {0: 3, 1: 3}
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert booked(rental_trade) == {0: 3, 1: 3}
    facts = rental_trade.facts()
    assert (facts["on_hand"], facts["held"], facts["sales"], facts["orders"], facts["holds"]) == (
        10, 0, 0, ["confirmed"], ["committed"],
    )  # fmt: skip
    assert rental_trade.buyer().call("GET", "/api/cart").status_code == 200
    # What is gone on these days is there on others.
    assert keyed(rental_trade, rental_trade.line(days_from(MONDAY, 1), 8)).status_code == 409
    assert keyed(rental_trade, rental_trade.line(days_from(MONDAY + timedelta(days=2), 1), 8)).status_code == 201


def test_taken_days_are_told_with_when(rental_trade: RentalTrade, standin: StandIn) -> None:
    own(1)
    first = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2))).json()
    refused = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 4)))
    assert (refused.status_code, refused.json()["code"], refused.json()["items"]) == (
        409,
        "rental_unavailable",
        [
            {
                "sku": "BAND",
                "variantKey": rental_trade.variant.variant_key,
                "requested": 1,
                "available": 0,
                "rental": days_from(MONDAY, 4),
                "days": [str(MONDAY), str(MONDAY + timedelta(days=1))],
            }
        ],
    )
    buyer = rental_trade.buyer_of(rental_trade.line(days_from(MONDAY, 4)))
    assert buyer.call("GET", "/api/cart").json()["lines"][0]["available"] == 0
    standin.call(f"sessions/{first['sessionId']}/expire", {})
    settle_session(shop=load_shop("band"), session_id=first["sessionId"])
    assert booked(rental_trade) == {}
    assert buyer.checkout().status_code == 201


def test_twenty_customers_one_cape(rental_trade: RentalTrade, standin: StandIn) -> None:
    """Overlapping periods, all at once: whoever gets a session has every one of its days alone."""
    own(1)
    periods = [days_from(MONDAY + timedelta(days=shift), 3) for shift in range(5) for _ in range(4)]
    answers = in_threads([lambda period=period: keyed(rental_trade, rental_trade.line(period)) for period in periods])
    got = [period for period, answer in zip(periods, answers, strict=True) if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409, 429}
    assert got and set(booked(rental_trade).values()) == {1}
    assert len(booked(rental_trade)) == 3 * len(got)
    assert verify_stock().clean


def test_a_repeat_books_nothing_twice(rental_trade: RentalTrade, standin: StandIn) -> None:
    own(1)
    buyer = rental_trade.buyer_of(rental_trade.line(days_from(MONDAY, 2)))
    answers = in_threads([buyer.twin().checkout for _ in range(8)])
    assert len({answer.json()["sessionId"] for answer in answers}) == 1
    assert booked(rental_trade) == {0: 1, 1: 1}
    buyer.call("PUT", "/api/cart", {"lines": [rental_trade.line(days_from(MONDAY + timedelta(days=1), 2))]})
    assert buyer.checkout().status_code == 201
    assert booked(rental_trade) == {1: 1, 2: 1}


def test_a_shop_that_holds_nothing_books_when_it_is_paid(rental_trade: RentalTrade, standin: StandIn) -> None:
    own(1)
    ShopSettings.objects.update(inventory_mode="validate_only")
    first, second = (keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2))).json() for _ in range(2))
    assert (first["inventoryReservationId"], booked(rental_trade)) == (None, {})
    for session in (first, second):
        standin.pay(session["sessionId"])
        settle_session(shop=load_shop("band"), session_id=session["sessionId"])
    assert booked(rental_trade) == {0: 1, 1: 1}
    assert sorted(Order.objects.values_list("status", flat=True)) == ["confirmed", "review"]
    refused = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 1)))
    assert (refused.status_code, refused.json()["code"]) == (409, "rental_unavailable")
    assert verify_stock().clean


def test_paid_after_its_days_were_given_back(rental_trade: RentalTrade, standin: StandIn) -> None:
    """W6: taken again where they are free; else the order goes to the desk."""
    own(1)
    session_id = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2))).json()["sessionId"]
    standin.pay(session_id)
    hold = Hold.objects.get()
    finish_holds(hold.pk)
    assert booked(rental_trade) == {}
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert (booked(rental_trade), Order.objects.get().status) == ({0: 1, 1: 1}, "confirmed")


def finish_holds(hold_id: Any) -> None:
    with transaction.atomic():
        finish_holds_within(
            hold_ids=[hold_id], outcome="expired", reason="A test", acting=Actor("system", "test"), now=timezone.now()
        )


def test_availability_by_period(rental_trade: RentalTrade, standin: StandIn) -> None:
    own(2)
    keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2), 2))
    ask = rental_trade.buyer().call
    path = "/api/inventory/availability"
    later = days_from(MONDAY + timedelta(days=2), 3)
    answer = ask("GET", path, {"sku": "BAND", **days_from(MONDAY, 3)})
    [item] = answer.json()["items"]
    assert (item["available"], item["state"], item["shortDays"]) == (
        0, "out", [str(MONDAY), str(MONDAY + timedelta(days=1))],
    )  # fmt: skip
    [item] = ask("GET", path, {"sku": "BAND", **later}).json()["items"]
    assert (item["available"], item["state"], item["shortDays"]) == (2, "in_stock", [])
    assert ask("GET", path, {"sku": "BAND"}).json()["items"][0]["available"] == 2
    for bad in ({"start": "x", "end": "y"}, {"start": str(MONDAY)}, days_from(MONDAY, 0), days_from(MONDAY, 367)):
        assert ask("GET", path, {"sku": "BAND", **bad}).status_code == 400
    ShopSettings.objects.update(kind="sale")
    assert ask("GET", path, {"sku": "BAND", **later}).status_code == 400


def test_what_is_called_off_is_refunded_with_its_deposit_and_free_again(
    rental_trade: RentalTrade, standin: StandIn
) -> None:
    session_id = keyed(rental_trade, rental_trade.line(days_from(MONDAY, 2), 3)).json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    order = Order.objects.get()
    line = {"lineId": str(order.lines.get().pk), "quantity": 2, "restock": True}
    body = {"orderId": str(order.pk), "lines": [line], "deposit": True, "reason": "Called off", "idempotencyKey": "k"}
    token = issue("band", "payments:write")
    answer = rental_trade.buyer().call("POST", "/api/return", body, Authorization=f"Bearer {token}")
    assert answer.status_code == 201, answer.json()
    assert sum(refund["amount"] for refund in answer.json()["refunds"]) == 2 * (5000 + 9000)
    assert booked(rental_trade) == {0: 1, 1: 1}
    rental_trade.stock.refresh_from_db()
    assert rental_trade.stock.on_hand == 10
    balances = JournalLine.objects.filter(account="deposits_held").aggregate(left=Sum("amount"))
    assert balances == {"left": -9000}
    assert verify_stock().clean

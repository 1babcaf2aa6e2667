"""A rental's life over `PATCH /api/rental`: what each step does to units, days, deposit and journal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from commerce.models import JournalLine, Order, Rental, RentalEvent, RentalLine, Return
from commerce.rentals.looking_after import Looked, look_after
from commerce.returns.claiming import LineReturned, ReturnCommand
from commerce.returns.refunding import refund_order, return_order
from inventory.models import StockMovement, StockRow
from inventory.verify import verify_stock
from tenants.audit import Actor
from tenants.context import load_shop
from tenants.models import AuditEntry
from tests.commerce.rentals.counter import Counter, code, noon, whereabouts
from tests.factories.commerce import VariantFactory
from tests.factories.inventory import StockRowFactory

KEY = "BAND#size:M"


def at(counter: Counter, day: int) -> Any:
    """That day of the rental, from 0, at noon."""
    return time_machine.travel(noon(counter.first + timedelta(days=day)), tick=True)


def deposits() -> dict[str, int]:
    accounts = ["deposits_held", "deposits_kept"]
    lines = JournalLine.objects.filter(account__in=accounts).values_list("account", "amount")
    return {name: sum(amount for account, amount in lines if account == name) for name in accounts}


def test_the_whole_life_on_time(counter: Counter) -> None:
    counter.clean(1)
    order = counter.book(days=3, quantity=2)
    assert counter.booked() == {0: 2, 1: 2, 2: 2, 3: 2}
    with at(counter, 0):
        out = counter.do(order, "hand_out")
        assert (out.status_code, out.json()["status"]) == (200, "handed_out")
        assert counter.stock() == (10, 2)
    with at(counter, 2):
        back = counter.do(order, "return", 2, condition="like new").json()
        assert (back["status"], back["lines"][0]["returned"], back["lines"][0]["units"]) == ("returned", 2, [])
        assert counter.stock() == (10, 0) and counter.booked() == {0: 2, 1: 2, 2: 2, 3: 2}
        assert counter.do(order, "inspect").json()["status"] == "inspected"
        closed = counter.do(order, "close").json()
    assert (closed["status"], closed["depositLeftAmount"], closed["owedAmount"]) == ("closed", 0, 0)
    order.refresh_from_db()
    assert (order.status, order.deposit_refunded_amount, deposits()["deposits_held"]) == ("confirmed", 18000, 0)
    assert whereabouts(order) == {
        "status": "closed", "counts": (2, 2, 0, 0, 0), "late": 0, "units": [], "next": (None, None),
    }  # fmt: skip
    assert list(RentalEvent.objects.values_list("action", flat=True)) == [
        "reserved", "hand_out", "return", "inspect", "close",
    ]  # fmt: skip
    assert RentalEvent.objects.get(action="return").units == [
        {"lineId": str(order.lines.get().pk), "quantity": 2, "variantKey": KEY, "condition": "like new"}
    ]
    assert AuditEntry.objects.filter(action__startswith="rental.").count() == 4
    assert verify_stock().clean


def test_units_go_and_come_in_parts(counter: Counter) -> None:
    order = counter.book(days=3, quantity=3)
    with at(counter, 0):
        assert counter.do(order, "hand_out", 2).json()["status"] == "handed_out"
        assert counter.do(order, "return", 1).json()["status"] == "handed_out"
        assert counter.booked() == {0: 3, 1: 2, 2: 2}
        assert code(counter.do(order, "return", 2)) == (409, "wrong_state")
        assert code(counter.do(order, "hand_out", 2)) == (409, "wrong_state")
    with at(counter, 1):
        assert counter.do(order, "hand_out").json()["status"] == "handed_out"
        assert whereabouts(order)["units"] == [(KEY, 2, 2)]
        assert counter.do(order, "return").json()["status"] == "returned"
    assert counter.booked() == {0: 3, 1: 2}
    assert counter.stock() == (10, 0) and verify_stock().clean


def test_early_units_free_their_days_but_for_cleaning(counter: Counter) -> None:
    counter.clean(1)
    order = counter.book(days=7)
    with at(counter, 2):
        counter.do(order, "hand_out")
        counter.do(order, "return")
        assert counter.booked() == {0: 1, 1: 1, 2: 1, 3: 1}
        assert RentalLine.objects.get().returned_on == counter.first + timedelta(days=2)
    assert verify_stock().clean


def test_late_units_keep_days_where_they_are_free_and_endanger_where_not(counter: Counter) -> None:
    counter.clean(1)
    StockRow.objects.update(on_hand=1)
    order = counter.book(days=2)
    later = counter.book(days=2, offset=4)
    with at(counter, 0):
        counter.do(order, "hand_out")
    assert counter.booked() == {0: 1, 1: 1, 2: 1, 4: 1, 5: 1, 6: 1}
    with at(counter, 2):
        follow()
        assert counter.booked() == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}
        assert Rental.objects.get(order=order).endangered == 0
    with at(counter, 3):
        follow()
        assert counter.booked() == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}
        assert Rental.objects.get(order=order).endangered == 1
    with at(counter, 4):
        refused = counter.do(later, "hand_out")
        assert code(refused) == (409, "wrong_state")
        assert refused.json()["items"] == [{"sku": "BAND", "variantKey": KEY, "requested": 1, "available": 0}]
        back = counter.do(order, "return").json()
        assert (back["status"], back["lines"][0]["lateUnitDays"]) == ("returned", 3)
        assert Rental.objects.get(order=order).endangered == 0
        assert counter.do(later, "hand_out").json()["status"] == "handed_out"
        assert counter.stock() == (1, 1)


def follow() -> None:
    assert look_after() == Looked(followed=1)
    assert look_after() == Looked()  # once a day


def test_damage_is_kept_of_the_deposit_and_what_is_more_is_owed(counter: Counter) -> None:
    order = counter.book(days=2, quantity=2)
    with at(counter, 0):
        counter.do(order, "hand_out")
        assert code(counter.do(order, "damage", 1, amount=100)) == (409, "wrong_state")
        counter.do(order, "return")
        counter.do(order, "damage", 1, amount=5000, note="A stain")
        assert code(counter.do(order, "damage", 2, amount=1)) == (409, "wrong_state")
        counter.do(order, "inspect")
        told = counter.do(order, "damage", 1, amount=20000, note="Torn").json()
        assert (told["owedAmount"], told["depositLeftAmount"], told["lines"][0]["damaged"]) == (7000, 0, 2)
        closed = counter.do(order, "close").json()
    assert (closed["status"], closed["owedAmount"]) == ("closed", 7000)
    assert deposits() == {"deposits_held": 0, "deposits_kept": -18000}
    assert list(RentalEvent.objects.filter(action="damage").values_list("amount", "kept_amount")) == [
        (5000, 5000), (20000, 13000),
    ]  # fmt: skip


def test_a_lost_unit_leaves_stock_and_calendar(counter: Counter) -> None:
    counter.clean(1)
    order = counter.book(days=3, quantity=2)
    with at(counter, 1):
        counter.do(order, "hand_out")
        lost = counter.do(order, "lose", 1, amount=9000, note="Left on a train").json()
        assert (lost["status"], lost["lines"][0]["lost"], lost["depositLeftAmount"]) == ("handed_out", 1, 9000)
        assert counter.stock() == (9, 1)
        assert counter.booked() == {0: 1, 1: 1, 2: 1, 3: 1}
        assert counter.do(order, "return").json()["status"] == "returned"
        assert verify_stock().clean
    movement = StockMovement.objects.get(reason="loss")
    assert (movement.delta, movement.on_hand_after, movement.reference) == (-1, 9, str(order.pk))


def test_a_loss_that_later_bookings_stand_against_is_told(counter: Counter) -> None:
    order = counter.book(days=2)
    counter.book(days=2, quantity=10, offset=7)
    with at(counter, 0):
        counter.do(order, "hand_out")
        refused = counter.do(order, "lose", 1, amount=9000)
        assert (code(refused), refused.json()["bookings"][0]["quantity"]) == ((409, "wrong_state"), 10)
        assert whereabouts(order)["counts"] == (1, 0, 0, 0, 0) and counter.stock() == (10, 1)
    order.refresh_from_db()
    assert order.deposit_kept_amount == 0 and verify_stock().clean


def test_an_exchange_books_the_rest_of_the_period(counter: Counter) -> None:
    counter.clean(1)
    other = VariantFactory(product=counter.trade.variant.product, attributes={"size": "L"}, price_amount=2500)
    StockRowFactory(owner__shop=counter.trade.shop, sku="BAND", variant_key=other.variant_key, on_hand=1)
    order = counter.book(days=7, quantity=2)
    with at(counter, 1):
        counter.do(order, "hand_out")
        told = counter.do(order, "exchange", 1, variantAttributes={"size": "L"}, note="Too small").json()
        assert told["lines"][0]["units"] == [
            {"variantKey": KEY, "quantity": 1, "out": 1}, {"variantKey": other.variant_key, "quantity": 1, "out": 1},
        ]  # fmt: skip
        assert counter.booked() == {0: 2, 1: 2, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1}
        assert counter.booked(other.variant_key) == dict.fromkeys(range(1, 7), 1)
        assert code(counter.do(order, "exchange", 1, variantAttributes={"size": "L"})) == (409, "rental_unavailable")
        assert code(counter.do(order, "exchange", 1, variantAttributes={"size": "X"})) == (400, "invalid_request")
        assert code(counter.do(order, "return", 1)) == (400, "invalid_request")
        assert counter.do(order, "return", 1, variantAttributes={"size": "L"}).json()["status"] == "handed_out"
        assert counter.booked(other.variant_key) == {1: 1}
        assert counter.do(order, "return", 1).json()["status"] == "returned"
    assert verify_stock().clean
    assert set(StockRow.objects.values_list("out", flat=True)) == {0}


def test_before_the_pick_up_the_whole_period_is_exchanged(counter: Counter) -> None:
    other = VariantFactory(product=counter.trade.variant.product, attributes={"size": "L"}, price_amount=2500)
    StockRowFactory(owner__shop=counter.trade.shop, sku="BAND", variant_key=other.variant_key, on_hand=1)
    order = counter.book(days=2)
    assert counter.do(order, "exchange", 1, variantAttributes={"size": "L"}).json()["status"] == "reserved"
    assert counter.booked() == {} and counter.booked(other.variant_key) == {0: 1, 1: 1}
    with at(counter, 0):
        assert counter.do(order, "hand_out").json()["lines"][0]["units"] == [
            {"variantKey": other.variant_key, "quantity": 1, "out": 1}
        ]
    assert counter.stock() == (10, 0)


def test_a_repeat_is_the_same_step_and_another_request_a_conflict(counter: Counter) -> None:
    order = counter.book(days=2, quantity=2)
    with at(counter, 0):
        first = counter.do(order, "hand_out", 1, idempotencyKey="same")
        again = counter.do(order, "hand_out", 1, idempotencyKey="same", note="In other words")
        assert (first.status_code, again.json()) == (200, first.json())
        assert code(counter.do(order, "hand_out", 2, idempotencyKey="same")) == (409, "idempotency_conflict")
        assert code(counter.do(order, "return", 1, idempotencyKey="same")) == (409, "idempotency_conflict")
        assert whereabouts(order)["counts"] == (1, 0, 0, 0, 0)


@pytest.mark.parametrize("action", ["return", "lose", "inspect", "close", "damage"])
def test_what_comes_later_is_refused_and_says_how_things_are(counter: Counter, action: str) -> None:
    order = counter.book(days=2)
    before = whereabouts(order)
    refused = counter.do(order, action, 1)
    assert (code(refused), refused.json()["rentalStatus"]) == ((409, "wrong_state"), "reserved")
    assert code(counter.do(order, "hand_out")) == (409, "wrong_state")  # too early
    assert whereabouts(order) == before and RentalEvent.objects.count() == 1


def test_what_is_never_collected_is_closed_after_its_period(counter: Counter) -> None:
    order = counter.book(days=2)
    with at(counter, 1):
        assert code(counter.do(order, "close")) == (409, "wrong_state")
    with at(counter, 2):
        assert code(counter.do(order, "hand_out")) == (409, "wrong_state")
        assert counter.do(order, "close").json()["status"] == "closed"
    assert whereabouts(order)["counts"] == (0, 0, 0, 0, 1)
    order.refresh_from_db()
    assert order.deposit_refunded_amount == 9000


def test_bad_bodies_are_named(counter: Counter) -> None:
    order = counter.book(days=2)
    line = str(order.lines.get().pk)
    good = {"rentalId": str(order.pk), "action": "damage", "idempotencyKey": "k"}
    for body, fields in (
        ({**good, "action": "sell"}, None),
        ({**good, "items": []}, None),
        ({**good, "items": [{"lineId": str(order.pk), "quantity": 1}]}, ["items[0].lineId"]),
        ({**good, "items": [{"lineId": line, "quantity": 0}]}, None),
        ({**good, "amount": -5}, None),
        ({**good, "amount": 1.5}, None),
        ({**good, "action": "hand_out", "amount": 5}, ["amount"]),
        ({**good, "at": "2027-01-01T00:00:00"}, None),
        ({**good, "at": "2999-01-01T00:00:00Z"}, ["at"]),
        (good, ["items"]),
        ({**good, "unknown": 1}, None),
        (b"{", None),
    ):
        answer = counter.send(body)
        assert code(answer) == (400, "invalid_request"), body
        assert fields is None or list(answer.json()["fields"]) == fields
    assert code(counter.send({**good, "rentalId": line})) == (404, "not_found")
    assert counter.send(good, token="").status_code == 401
    assert RentalEvent.objects.count() == 1


def test_refunded_before_the_pick_up_it_is_canceled_and_its_days_are_free(counter: Counter) -> None:
    order = counter.book(days=2, quantity=2)
    refund_order(shop=load_shop("band"), order_id=order.pk, reason="Ill", key="k", acting=Actor("staff", "x"))
    assert whereabouts(order)["status"] == "canceled" and whereabouts(order)["counts"] == (0, 0, 0, 0, 2)
    assert counter.booked() == {0: 2, 1: 2}
    assert (look_after(), look_after()) == (Looked(freed=1), Looked())
    assert counter.booked() == {} and whereabouts(order)["units"] == []
    assert code(counter.do(order, "hand_out")) == (409, "wrong_state")
    assert verify_stock().clean


def test_money_given_back_for_units_says_where_they_are(counter: Counter) -> None:
    """`POST /api/return` with `restock`: what never went out is called off, what is out is back."""
    order = counter.book(days=4, quantity=3)
    with at(counter, 0):
        counter.do(order, "hand_out", 1)
        give(order, 2, key="a")
        assert whereabouts(order) == {
            "status": "handed_out", "counts": (1, 0, 0, 0, 2), "late": 0, "units": [(KEY, 1, 1)],
            "next": (None, counter.first + timedelta(days=3)),
        }  # fmt: skip
        give(order, 1, key="b")
        assert whereabouts(order)["status"] == "returned" and whereabouts(order)["counts"] == (1, 1, 0, 0, 2)
        assert counter.booked() == {0: 3} and counter.stock() == (10, 0)
    assert set(Return.objects.values_list("restock", flat=True)) == {"done"} and verify_stock().clean


def give(order: Order, quantity: int, *, key: str) -> None:
    lines = [LineReturned(order.lines.get().pk, quantity, restock=True)]
    command = ReturnCommand(order_id=order.pk, reason="x", key=key, lines=lines)
    return_order(shop=load_shop("band"), command=command, acting=Actor("staff", "x"))

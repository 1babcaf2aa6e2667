"""A rental begins when its order is confirmed, by whatever way, and with everything that is booked for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from checkout.settle import settle_session
from commerce.models import Order, Rental, RentalEvent, RentalLine, RentalUnits
from commerce.rentals.opening import open_rental_within
from tenants.context import load_shop
from tests.fixtures.periods import days_from, monday
from tests.fixtures.standin import StandIn
from tests.fixtures.trade import RentalTrade, Trade


def booked(trade: RentalTrade, standin: StandIn, *lines: dict[str, Any]) -> str:
    session_id = str(trade.buyer_of(*lines).checkout({"email": "a@band.example"}).json()["sessionId"])
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    return session_id


def facts() -> dict[str, Any]:
    return {
        "rentals": list(
            Rental.objects.values_list(
                "order_id", "status", "source", "starts_on", "ends_on", "next_out_on", "next_due_on"
            )
        ),
        "lines": list(RentalLine.objects.values_list("order_line_id", "due_on", "quantity", "handed_out", "returned")),
        "units": list(
            RentalUnits.objects.order_by("variant_key", "starts_on").values_list(
                "line__order_line_id", "hold_id", "variant_key", "starts_on", "ends_on", "quantity", "out"
            )
        ),
    }


def test_a_confirmed_order_begins_its_rental(rental_trade: RentalTrade, standin: StandIn):
    first, second = monday(), monday(3)
    session_id = booked(
        rental_trade, standin, rental_trade.line(days_from(first, 3), 2), rental_trade.line(days_from(second, 5))
    )
    order = Order.objects.get()
    one, two = order.lines.all()
    found = facts()
    assert found == {
        "rentals": [(order.pk, "reserved", "checkout", first, two.rental_end, first, None)],
        "lines": [(one.pk, one.rental_end, 2, 0, 0), (two.pk, two.rental_end, 1, 0, 0)],
        "units": [
            (one.pk, order.hold_id, "BAND#size:M", first, one.rental_end, 2, 0),
            (two.pk, order.hold_id, "BAND#size:M", second, two.rental_end, 1, 0),
        ],
    }
    (event,) = RentalEvent.objects.all()
    assert (event.action, [part["quantity"] for part in event.units]) == ("reserved", [2, 1])
    settle_session(shop=load_shop("band"), session_id=session_id)
    with transaction.atomic():
        assert open_rental_within(order=order, now=timezone.now()) is None
    assert facts() == found and RentalEvent.objects.count() == 1


def test_a_sale_begins_none(trade: Trade, standin: StandIn):
    session_id = trade.buyer_with_cart().checkout().json()["sessionId"]
    standin.pay(session_id)
    settle_session(shop=load_shop("band"), session_id=session_id)
    assert Order.objects.get().status == "confirmed" and not Rental.objects.exists()


@pytest.mark.parametrize(
    ("first", "then", "refused"),
    [
        ("reserved", "canceled", False),
        ("canceled", "reserved", True),
        ("returned", "handed_out", True),
        ("closed", "canceled", True),
        ("inspected", "closed", False),
    ],
)
def test_the_database_lets_a_rental_move_forwards_only(
    first: str, then: str, refused: bool, rental_trade: RentalTrade, standin: StandIn
):
    booked(rental_trade, standin, rental_trade.line(days_from(monday(), 3)))
    now = timezone.now()
    times = {"handed_out_at": now, "returned_at": now, "inspected_at": now, "closed_at": now}
    if first != "reserved":
        Rental.objects.update(status=first, **times)
    if refused:
        with pytest.raises(DatabaseError, match="does not become"):
            Rental.objects.update(status=then)
    else:
        Rental.objects.update(status=then, **times)
    assert Rental.objects.get().status == (first if refused else then)


def test_the_history_stays_as_it_was_written(rental_trade: RentalTrade, standin: StandIn):
    booked(rental_trade, standin, rental_trade.line(days_from(monday(), 3)))
    for change in (RentalEvent.objects.update, RentalEvent.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"):
            change(**({"note": "otherwise"} if change == RentalEvent.objects.update else {}))
    assert RentalEvent.objects.get().note == ""

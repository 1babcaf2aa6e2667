"""A rental begins with its order's confirmation, however that comes about."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from commerce.orders.models import Order, OrderLine
from commerce.rentals.models import Rental, RentalEvent, RentalLine, RentalUnits
from commerce.rentals.states import follow_counts
from inventory.holds import bound_request_id
from inventory.models import Hold
from tenants.audit import SETTLEMENT
from tenants.postgres.kept import KeptQuery

OPENED: Final = "opened"
_RENTED: Final = KeptQuery(
    lambda shop_id, order_id: OrderLine.objects.for_shop(shop_id).filter(
        order_id=order_id, rental_start__isnull=False, rental_end__isnull=False
    ),
    str,
    UUID,
)


def open_rental_within(*, order: Order, now: datetime) -> Rental | None:
    """The rental of an order that is just being confirmed, with its days booked; None for a sale, and when it has one.

    Joins the caller's transaction, the order locked. One query for a sale.
    """
    lines = [
        (line, line.rental_start, line.rental_end)
        for line in _RENTED.rows(order.shop_id, order.pk)
        if line.rental_start is not None and line.rental_end is not None
    ]
    if not lines or Rental.objects.for_shop(order.shop_id).filter(order=order).exists():
        return None
    rental = Rental(
        id=order.pk,
        shop_id=order.shop_id,
        order=order,
        source=Rental.Source.COUNTER if order.source == Rental.Source.COUNTER else Rental.Source.CHECKOUT,
        starts_on=min(starts for _, starts, _ in lines),
        ends_on=max(ends for _, _, ends in lines),
        created_at=now,
    )
    hold_id = _booking_of(order)
    rented, units = [], []
    for line, starts, ends in lines:
        rented.append(
            RentalLine(shop_id=order.shop_id, rental=rental, order_line=line, due_on=ends, quantity=line.quantity)
        )
        units.append(
            RentalUnits(
                shop_id=order.shop_id,
                line=rented[-1],
                hold_id=hold_id,
                sku=line.sku,
                variant_key=line.variant_key,
                starts_on=starts,
                ends_on=ends,
                quantity=line.quantity,
            )
        )
    follow_counts(rental=rental, lines=rented, units=units)
    rental.save(force_insert=True)
    RentalLine.objects.bulk_create(rented)
    RentalUnits.objects.bulk_create(units)
    RentalEvent.objects.create(
        shop_id=order.shop_id,
        rental=rental,
        action=RentalEvent.Action.RESERVED,
        units=[
            {"lineId": str(line.pk), "quantity": line.quantity, "variantKey": line.variant_key} for line, _, _ in lines
        ],
        actor=str(SETTLEMENT),
        at=now,
        idempotency_key=OPENED,
        digest="",
        request_id=bound_request_id(),
    )
    return rental


def _booking_of(order: Order) -> UUID:
    """The hold that keeps the order's days: the one it was placed with, or the one made when it was paid."""
    committed = Hold.objects.for_shop(order.shop_id).filter(status=Hold.Status.COMMITTED)
    when_paid = Q(active_idempotency_key=f"paid:{order.pk}")
    own = Q(pk=order.hold_id) if order.hold_id else when_paid
    return committed.filter(own | when_paid).values_list("pk", flat=True).get()

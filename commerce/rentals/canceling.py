"""A rental whose money went back before anything went out: canceled with its order, its days freed right after."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import F

from commerce.orders.models import Order
from commerce.rentals.models import Rental, RentalEvent, RentalLine, RentalUnits
from inventory.holds import bound_request_id
from tenants.audit import SETTLEMENT

REFUNDED: Final = "refunded"


def cancel_refunded_within(*, order: Order, now: datetime) -> None:
    """Cancels the rental of an order that has just been refunded, if all of it is still here. One query for a sale.

    In the caller's transaction, the order locked. No stock is touched: what Stripe has done is not to wait for it, nor
    to be unwritten. `commerce/rentals/calling_off.py` frees the days.
    """
    rentals = Rental.objects.for_shop(order.shop_id).select_for_update(no_key=True)
    rental = rentals.filter(order=order, status=Rental.Status.RESERVED).first()
    if rental is None:
        return
    left = RentalUnits.objects.for_shop(order.shop_id).filter(line__rental=rental).select_related("line")
    RentalEvent.objects.create(
        shop_id=order.shop_id,
        rental=rental,
        action=RentalEvent.Action.CALL_OFF,
        units=[
            {"lineId": str(row.line.order_line_id), "quantity": row.quantity, "variantKey": row.variant_key}
            for row in left
        ],
        note="Refunded before anything went out",
        actor=str(SETTLEMENT),
        at=now,
        idempotency_key=REFUNDED,
        digest="",
        request_id=bound_request_id(),
    )
    RentalLine.objects.for_shop(order.shop_id).filter(rental=rental).update(called_off=F("quantity"))
    rental.status, rental.frees_days, rental.next_out_on = Rental.Status.CANCELED, True, None
    rental.save(update_fields=["status", "frees_days", "next_out_on"])

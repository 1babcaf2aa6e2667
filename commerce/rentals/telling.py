"""A rental as callers read it: what the contract answers, and each line's whereabouts."""

from __future__ import annotations

from typing import Any

from commerce.orders.models import Order
from commerce.rentals.models import Rental, RentalLine, RentalUnits

AWAITING_PAYMENT = "awaiting_payment"


def rental_json(rental: Rental) -> dict[str, Any]:
    """The rental with its lines. Two queries."""
    lines = RentalLine.objects.for_shop(rental.shop_id).filter(rental=rental).select_related("order_line")
    units: dict[Any, list[dict[str, Any]]] = {}
    for row in RentalUnits.objects.for_shop(rental.shop_id).filter(line__rental=rental):
        part = {"variantKey": row.variant_key, "quantity": row.quantity, "out": row.out}
        units.setdefault(row.line_id, []).append(part)
    order = rental.order
    return {
        **summary_json(order, status=rental.status),
        "period": {"start": rental.starts_on.isoformat(), "end": rental.ends_on.isoformat()},
        "owedAmount": rental.owed_amount,
        "depositLeftAmount": order.deposit_amount - order.deposit_refunded_amount - order.deposit_kept_amount,
        "lines": [line_json(line, units.get(line.pk, [])) for line in lines],
    }


def summary_json(order: Order, *, status: str) -> dict[str, Any]:
    """What is known of a rental as soon as its order is; its id is the order's."""
    return {
        "rentalId": str(order.pk),
        "orderId": str(order.pk),
        "status": status,
        "depositAmount": order.deposit_amount,
        "totalAmount": order.total_amount,
        "currency": order.currency,
    }


def line_json(line: RentalLine, units: list[dict[str, Any]]) -> dict[str, Any]:
    bought = line.order_line
    return {
        "lineId": str(bought.pk),
        "sku": bought.sku,
        "title": bought.title,
        "quantity": line.quantity,
        "rental": {
            "start": bought.rental_start.isoformat() if bought.rental_start else None,
            "end": line.due_on.isoformat(),
        },
        "calledOff": line.called_off,
        "handedOut": line.handed_out,
        "returned": line.returned,
        "damaged": line.damaged,
        "lost": line.lost,
        "lateUnitDays": line.late_unit_days,
        "returnedOn": line.returned_on.isoformat() if line.returned_on else None,
        # What is still to go out or out: after an exchange of another variant than was bought.
        "units": units,
    }

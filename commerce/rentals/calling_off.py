"""Units that won't go out after all: given back for money before the pick-up, never collected, or canceled."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from commerce.orders.locks import order_tx
from commerce.rentals.cases import Case, Picked, RentalCommand, close_case, open_case, pick
from commerce.rentals.models import Rental, RentalEvent
from commerce.rentals.moving import booked_days, take_back_within
from inventory.early_returns import free_days_within
from tenants.audit import Actor
from tenants.context import ShopContext

Action = RentalEvent.Action


def call_off_within(case: Case, chosen: list[Picked]) -> None:
    """Frees the days of units that are still here, and counts them as never to go out."""
    if not chosen:
        return
    booked = [booked_days(picked) for picked in chosen]
    free_days_within(shop_id=case.shop.shop_id, booked=booked, today=case.today)
    for picked in chosen:
        picked.line.called_off += picked.quantity
        picked.units.quantity -= picked.quantity
        case.tell(picked.line, picked.quantity, picked.units.variant_key)


def restock_within(
    *, shop: ShopContext, order_id: UUID, units: Mapping[UUID, int], reference: str, note: str, acting: Actor
) -> None:
    """Units of order lines that were given back for money and are here: those that hadn't gone out first, then those
    that had. What the rental knows to be back already changes nothing. In the caller's transaction, the order locked.

    Raises NotFound for an order without a rental.
    """
    key = f"return:{reference}"
    case = open_case(
        shop=shop, command=RentalCommand(rental_id=order_id, action=Action.CALL_OFF, key=key, note=note), acting=acting
    )
    if case.rental.frees_days:
        free_canceled_within(case)
        return
    here, out = _split(case, units)
    call_off_within(case, here)
    if out:
        take_back_within(case, out)
    if here or out:
        close_case(case, action=Action.RETURN if out else Action.CALL_OFF)


def free_canceled(*, shop: ShopContext, rental_id: UUID, acting: Actor) -> None:
    """Gives back the days of a canceled rental, once. Raises InventoryBusy."""
    with order_tx(shop.shop_id):
        command = RentalCommand(rental_id=rental_id, action=Action.CALL_OFF, key="")
        case = open_case(shop=shop, command=command, acting=acting)
        if case.rental.frees_days:
            free_canceled_within(case)


def free_canceled_within(case: Case) -> None:
    picked = pick(case, out=False)
    if picked:
        booked = [booked_days(units) for units in picked]
        free_days_within(shop_id=case.shop.shop_id, booked=booked, today=case.today)
    for row in case.units:
        row.delete()
    Rental.objects.for_shop(case.shop.shop_id).filter(pk=case.rental.pk).update(frees_days=False)


def _split(case: Case, units: Mapping[UUID, int]) -> tuple[list[Picked], list[Picked]]:
    here, gone = list[Picked](), list[Picked]()
    for line in case.lines:
        left = units.get(line.order_line_id, 0)
        for out, into in ((False, here), (True, gone)):
            for row in (row for row in case.units if row.line_id == line.pk):
                number = min(left, row.out if out else row.quantity - row.out)
                left -= number
                if number:
                    into.append(Picked(row, line, number, None))
    return here, gone

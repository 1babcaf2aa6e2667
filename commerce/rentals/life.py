"""Everything that is done to a rental, by one verb, for the API, for staff and for jobs. docs/rentals.md draws it.

One durable transaction each, in the order of locks: order, rental, holds, queues of stock rows, stock rows, journal.
Only the end speaks to Stripe, before its transaction: the deposit that is left goes back by the refunds' own verb.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from commerce.charges.clearing import clear_before_close
from commerce.charges.releasing import release_holds
from commerce.orders.locks import order_tx
from commerce.orders.models import Order
from commerce.rentals.cases import BAD, Case, RentalCommand, close_case, done_before, open_case
from commerce.rentals.judging import close, damage, inspect, refuse_close
from commerce.rentals.models import Rental, RentalEvent
from commerce.rentals.moving import exchange, give_back, hand_out, lose
from commerce.returns.claiming import ReturnCommand, balance_of
from commerce.returns.errors import RefundExceedsPayment
from commerce.returns.refunding import return_order
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.database import as_shop
from tenants.errors import InvalidRequest

Action = RentalEvent.Action

EFFECTS: Final[dict[str, Callable[[Case], None]]] = {
    Action.HAND_OUT: hand_out,
    Action.RETURN: give_back,
    Action.INSPECT: inspect,
    Action.DAMAGE: damage,
    Action.LOSE: lose,
    Action.EXCHANGE: exchange,
    Action.CLOSE: close,
}
WITH_AMOUNT: Final = frozenset({Action.DAMAGE, Action.LOSE})


def handle_rental(*, shop: ShopContext, command: RentalCommand, acting: Actor) -> Rental:
    """Does what `command` says, once per key, and answers the rental as it is then. Audited.

    Raises NotFound, InvalidRequest, RentalWrongState, RentalKeyConflict, InventoryBusy; by action UnitsAway (hand out,
    exchange), RentalUnavailable (exchange), StockBooked (lose), and as `return_order` (close). Nothing is written then,
    but for a refund that Stripe hasn't spoken of yet: repeating finds out.
    """
    if command.amount is not None and command.action not in WITH_AMOUNT:
        raise InvalidRequest(BAD, {"amount": ["Only damage and loss have one."]})
    with as_shop(shop.shop_id):
        if command.action == Action.CLOSE:
            _give_deposit_back(shop=shop, command=command, acting=acting)  # no tx around Stripe
        with order_tx(shop.shop_id):
            case = open_case(shop=shop, command=command, acting=acting)
            if not done_before(case):
                EFFECTS[command.action](case)
                close_case(case, action=command.action)
        return case.rental


def _give_deposit_back(*, shop: ShopContext, command: RentalCommand, acting: Actor) -> None:
    """What is left of the deposit once what is owed was taken from it, unless the rental isn't to be closed yet. A
    repeat finds nothing left.
    """
    with order_tx(shop.shop_id):
        case = open_case(shop=shop, command=command, acting=acting)
        if done_before(case):
            return
        refuse_close(case)
    clear_before_close(shop=shop, rental_id=case.rental.pk)
    reason = command.note or "The rental is over"
    key = f"rental:{case.rental.pk}:{command.key}"
    release_deposit(shop=shop, order_id=case.order.pk, key=key, reason=reason, acting=acting)
    release_holds(shop=shop, order_id=case.order.pk, reason=reason, acting=acting)


def release_deposit(*, shop: ShopContext, order_id: UUID, key: str, reason: str, acting: Actor) -> None:
    """Gives back what an order's deposit has left, once per key; nothing when nothing is. Raises as `return_order`."""
    order = Order.objects.for_shop(shop.shop_id).get(pk=order_id)
    if balance_of(order).deposit_left <= 0:
        return
    try:
        return_order(
            shop=shop,
            command=ReturnCommand(order_id=order_id, reason=reason, key=key, deposit=True),
            acting=acting,
        )
    except RefundExceedsPayment:
        # Somebody else was faster: nothing is left to give back.
        if balance_of(Order.objects.for_shop(shop.shop_id).get(pk=order_id)).deposit_left > 0:
            raise

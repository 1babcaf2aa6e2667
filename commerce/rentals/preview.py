"""What would come of a step, by taking it and leaving the transaction: the rules are the verb's own, not a copy."""

from __future__ import annotations

from dataclasses import dataclass

from commerce.orders.locks import order_tx
from commerce.rentals.cases import Case, RentalCommand, close_case, open_case
from commerce.rentals.life import EFFECTS
from commerce.rentals.models import Rental
from commerce.returns.claiming import balance_of
from tenants.audit import Actor
from tenants.context import ShopContext


@dataclass(frozen=True, slots=True)
class Preview:
    """Units that it would be done to, as `(quantity, variant, what instead)`; amounts in minor units."""

    units: tuple[tuple[int, str, str], ...]
    status: str
    late_unit_days: int
    kept: int
    owed: int
    deposit_back: int
    endangered: int


class _LeftAgain(Exception):
    """Takes the preview out of the block."""

    def __init__(self, preview: Preview) -> None:
        self.preview = preview


def preview_rental(*, shop: ShopContext, command: RentalCommand, acting: Actor) -> Preview:
    """Raises as `handle_rental`, and writes nothing; of Stripe nothing is asked."""
    try:
        with order_tx(shop.shop_id):
            case = open_case(shop=shop, command=command, acting=acting)
            left, late = balance_of(case.order).deposit_left, _late(case)
            owed = case.rental.owed_amount
            EFFECTS[command.action](case)
            close_case(case, action=command.action)
            raise _LeftAgain(
                Preview(
                    units=tuple((t["quantity"], t["variantKey"], t.get("instead", "")) for t in case.told),
                    status=case.rental.status,
                    late_unit_days=_late(case) - late,
                    kept=case.kept,
                    owed=case.rental.owed_amount - owed,
                    deposit_back=max(0, left) if case.rental.status == Rental.Status.CLOSED else 0,
                    endangered=case.rental.endangered,
                )
            )
    except _LeftAgain as done:
        return done.preview


def _late(case: Case) -> int:
    return sum(line.late_unit_days for line in case.lines)

"""What a customer owes beyond the price, once per operation: off the deposit that was charged, then off what is held on
the card, and the rest off the saved card. Decided in one transaction; whoever comes next tells Stripe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from commerce.charges.claiming import NewCharge, claim_charge_within, want_capture_within
from commerce.charges.models import Charge, Collection
from commerce.charges.resolver import advance_charge
from commerce.charges.sending import send_charge
from commerce.gateway.failures import StripeFailure
from commerce.orders.models import Order
from commerce.returns.claiming import REFUNDABLE, balance_of
from commerce.returns.deposits import keep_deposit_within
from inventory.errors import InventoryBusy
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One thing that is owed, in minor units of the order's currency. `key` makes it be collected once."""

    purpose: str
    amount: int
    key: str
    reason: str
    basis: Mapping[str, Any] = field(default_factory=dict)


def collect_within(*, order: Order, owed: Iterable[Owed], acting: Actor, now: datetime) -> list[Collection]:
    """Takes what the locked order owes from where there is money; those that were collected before are left out.

    What is held on a card can be taken once: all that is owed is best brought in one call. Raises what keeping a
    deposit and claiming a charge raise; nothing is written then.
    """
    hold = _hold(order)
    held, taken, made = (hold.amount if hold else 0), 0, []
    for item in owed:
        if Collection.objects.for_shop(order.shop_id).filter(operation_key=item.key).exists():
            continue
        from_deposit = _from_deposit(order, item, acting, now)
        from_hold = min(item.amount - from_deposit, held - taken)
        taken += from_hold
        rest = item.amount - from_deposit - from_hold
        made.append(
            Collection.objects.create(
                shop_id=order.shop_id,
                order=order,
                purpose=item.purpose,
                operation_key=item.key,
                currency=order.currency,
                amount=item.amount,
                from_deposit=from_deposit,
                from_hold=from_hold,
                from_card=rest,
                charge=_rest(order, item, rest, acting, now) if rest else None,
                basis=dict(item.basis),
                acting=str(acting),
                reason=item.reason[:500],
                created_at=now,
            )
        )
    if hold is not None and taken:
        want_capture_within(hold, amount=taken, reason="; ".join(one.reason for one in made), acting=acting)
    return made


def settle_charges(*, shop: ShopContext, order: Order, now: datetime) -> list[Charge]:
    """Tells Stripe what was decided about an order's charges. What can't be told now is left to the worker."""
    rows = list(order.charges.exclude(status__in=Charge.ENDED).order_by("id"))
    return [_advance(shop, row, now) for row in rows]


def _advance(shop: ShopContext, row: Charge, now: datetime) -> Charge:
    try:
        if row.status == Charge.Status.SENDING and row.payment_intent_id is None and row.checked_at is None:
            row = send_charge(shop=shop, row=row)
        decided = row.release or row.capture_amount is not None
        waits = row.status not in Charge.ASKED and (row.status == Charge.Status.CUSTOMER or decided)
        return advance_charge(shop=shop, row=row, now=now) if waits else row
    except (StripeFailure, InventoryBusy, HoldfastError) as failure:
        log.warning("charge_left_to_worker", charge=str(row.pk), error=str(failure))
        return row


def _hold(order: Order) -> Charge | None:
    holds = Charge.objects.for_shop(order.shop_id).held().filter(order=order, purpose=Charge.Purpose.DEPOSIT)
    return holds.select_for_update(no_key=True).first()


def _from_deposit(order: Order, item: Owed, acting: Actor, now: datetime) -> int:
    amount = min(balance_of(order).deposit_left, item.amount) if order.status in REFUNDABLE else 0
    if amount > 0:
        keep_deposit_within(order=order, amount=amount, reason=item.reason, key=item.key, acting=acting, now=now)
    return max(amount, 0)


def _rest(order: Order, item: Owed, rest: int, acting: Actor, now: datetime) -> Charge | None:
    new = NewCharge(purpose=item.purpose, amount=rest, key=f"rest:{item.key}", reason=item.reason)
    return claim_charge_within(order=order, new=new, acting=acting, now=now)

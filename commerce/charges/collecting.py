"""What a customer owes beyond the price, once per operation: off the deposit that was charged, then off what is held on
the card, and the rest off the saved card. Decided in one transaction; whoever comes next tells Stripe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from commerce.charges.claiming import NewCharge, claim_charge_within, want_capture_within
from commerce.charges.models import Charge, ChargeQuerySet, Collection
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


@dataclass(frozen=True, slots=True)
class Sources:
    """Where one amount comes from, in minor units."""

    from_deposit: int
    from_hold: int
    from_card: int


def collect_within(*, order: Order, owed: Iterable[Owed], acting: Actor, now: datetime) -> list[Collection]:
    """Takes what the locked order owes from where there is money; those that were collected before are left out.

    What is held on a card can be taken once: all that is owed is best brought in one call. Raises what keeping a
    deposit and claiming a charge raise; nothing is written then.
    """
    hold = _hold(order)
    new = [item for item in owed if not _collected(order, item)]
    parts = spread([item.amount for item in new], deposit_left=_deposit_left(order), held=hold.amount if hold else 0)
    made = [_collect(order, item, part, acting, now) for item, part in zip(new, parts, strict=True)]
    taken = sum(part.from_hold for part in parts)
    if hold is not None and taken:
        want_capture_within(hold, amount=taken, reason="; ".join(one.reason for one in made), acting=acting)
    return made


def spread(amounts: Sequence[int], *, deposit_left: int, held: int) -> list[Sources]:
    """Where each amount comes from: the charged deposit while there is any, then what is held, then the card. Pure."""
    found = []
    for amount in amounts:
        deposit = min(amount, deposit_left)
        hold = min(amount - deposit, held)
        deposit_left, held = deposit_left - deposit, held - hold
        found.append(Sources(deposit, hold, amount - deposit - hold))
    return found


def sources_now(order: Order, amounts: Sequence[int]) -> list[Sources]:
    """What `collect_within` would do to the order as it is. Writes nothing, locks nothing."""
    hold = _holds(order).first()
    return spread(amounts, deposit_left=_deposit_left(order), held=hold.amount if hold else 0)


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
    return _holds(order).select_for_update(no_key=True).first()


def _holds(order: Order) -> ChargeQuerySet:
    return Charge.objects.for_shop(order.shop_id).held().filter(order=order, purpose=Charge.Purpose.DEPOSIT)


def _deposit_left(order: Order) -> int:
    return max(0, balance_of(order).deposit_left) if order.status in REFUNDABLE else 0


def _collected(order: Order, item: Owed) -> bool:
    return Collection.objects.for_shop(order.shop_id).filter(operation_key=item.key).exists()


def _collect(order: Order, item: Owed, part: Sources, acting: Actor, now: datetime) -> Collection:
    if part.from_deposit:
        keep_deposit_within(
            order=order, amount=part.from_deposit, reason=item.reason, key=item.key, acting=acting, now=now
        )
    charge = None
    if part.from_card:
        new = NewCharge(purpose=item.purpose, amount=part.from_card, key=f"rest:{item.key}", reason=item.reason)
        charge = claim_charge_within(order=order, new=new, acting=acting, now=now)
    return Collection.objects.create(
        shop_id=order.shop_id,
        order=order,
        purpose=item.purpose,
        operation_key=item.key,
        currency=order.currency,
        amount=item.amount,
        from_deposit=part.from_deposit,
        from_hold=part.from_hold,
        from_card=part.from_card,
        charge=charge,
        basis=dict(item.basis),
        acting=str(acting),
        reason=item.reason[:500],
        created_at=now,
    )

"""What may be given back, decided and written down under the order's lock, before Stripe hears of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from django.db.models import Sum

from commerce.money import require_minor, stripe_amount
from commerce.orders.models import Order, OrderLine
from commerce.returns.errors import RefundExceedsPayment, ReturnKeyConflict
from commerce.returns.models import Refund, Return, ReturnLine
from commerce.returns.shares import Parts, line_taxes, shares_of, tax_part, units_share
from inventory.holds import bound_request_id
from tenants.audit import Actor, record_audit
from tenants.errors import InvalidRequest, WrongState

REFUNDABLE: Final = (Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED)
MOST_LINES: Final = 200
# Longer than the two bounded calls that a sender makes take at their slowest.
SENDER_LEASE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class LineReturned:
    """Units of an order line that come back, and whether they go on sale again."""

    line_id: UUID
    quantity: int
    restock: bool = False


Chosen: TypeAlias = Sequence[tuple[LineReturned, OrderLine, int, int]]
"""Each line of a command with its order line, what its units are worth, and the tax in that, in minor units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCommand:
    """What is to be given back of one order: lines, or an amount in minor units, or neither: all that is left.

    `deposit` alone: the deposit that is left, or `amount` of it. With lines: these units' deposits too.
    """

    order_id: UUID
    reason: str
    key: str
    lines: Sequence[LineReturned] = ()
    amount: int | None = None
    deposit: bool = False

    def digest(self) -> str:
        """What a repeat under the same key must ask for. The reason is words, and may be put differently."""
        asked = {name: value for name, value in asdict(self).items() if name not in {"reason", "key"}}
        asked["lines"] = sorted((str(line.line_id), line.quantity, line.restock) for line in self.lines)
        return hashlib.sha256(json.dumps(asked, default=str, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Balance:
    """What an order's payment still holds, in minor units of its currency. Kept deposits aren't refundable."""

    goods_left: int
    deposit_left: int

    @property
    def left(self) -> int:
        return self.goods_left + self.deposit_left


def balance_of(order: Order) -> Balance:
    """By the order's own columns, which the database holds against its refunds."""
    paid_for_goods = order.total_amount - order.deposit_amount
    return Balance(
        # A dashboard's refund may have taken from a kept deposit, which is then missing here.
        goods_left=max(0, paid_for_goods - (order.refunded_amount - order.deposit_refunded_amount)),
        deposit_left=order.deposit_amount - order.deposit_refunded_amount - order.deposit_kept_amount,
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """What was paid for a line's units, discount and tax included, and how much of it was tax; in minor units."""

    paid: int
    tax: int


def line_worths(order: Order, lines: Sequence[OrderLine]) -> dict[UUID, Worth]:
    """What was paid for each line: everything but shipping, the tax on shipping, and deposits.

    `lines` are all of the order's, in their order. Shipping is given back by amount, never by line. Where Stripe has
    charged another sum than our lines come to, that is divided by their size.
    """
    bases = [line.line_amount - line.discount_amount for line in lines]
    taxes = line_taxes(order.tax_amount, [line.tax_amount for line in lines], bases)
    on_top = [0] * len(lines) if order.tax_inclusive else taxes
    for_shipping = order.shipping_amount + (0 if order.tax_inclusive else order.tax_amount - sum(taxes))
    paid = max(0, order.total_amount - order.deposit_amount - for_shipping)
    shares = shares_of(paid, [base + tax for base, tax in zip(bases, on_top, strict=True)])
    found = zip(lines, shares, taxes, strict=True)
    return {line.pk: Worth(share, min(tax, share)) for line, share, tax in found}


def earlier_return(*, shop_id: str, command: ReturnCommand) -> Return | None:
    """The return that the key made before. Raises ReturnKeyConflict when it was another one."""
    made = Return.objects.for_shop(shop_id).filter(idempotency_key=command.key).first()
    if made is not None and (made.digest != command.digest() or made.order_id != command.order_id):
        raise ReturnKeyConflict("This idempotency key was used for another return.")
    return made


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command comes to: its lines with what each is worth, and the sums, in minor units."""

    chosen: Chosen
    goods: int
    deposit: int


def plan_return(*, order: Order, lines: Sequence[OrderLine], command: ReturnCommand) -> Plan:
    """What `command` would do to the order as it is; `lines` are all of its lines. Writes nothing.

    Raises WrongState, RefundExceedsPayment, InvalidRequest.
    """
    if order.status not in REFUNDABLE or not (order.payment_intent_id or order.is_external):
        raise WrongState(f"Order {order.number} is {order.get_status_display().lower()}: there is nothing to refund.")
    if command.amount is not None and require_minor(command.amount) <= 0:
        raise InvalidRequest("The request body is not valid.", {"amount": ["A whole number above 0."]})
    chosen = _chosen_lines(order, lines, command)
    return Plan(chosen, *_amounts(order, command, chosen))


def claim_return_within(*, order: Order, command: ReturnCommand, acting: Actor, now: datetime) -> Return:
    """Reserves the amounts on the locked order and writes return, lines and refunds, ready to be sent.

    Raises WrongState, RefundExceedsPayment, InvalidRequest; nothing is written then.
    """
    plan = plan_return(order=order, lines=list(order.lines.select_for_update(no_key=True)), command=command)
    chosen, goods, deposit = plan.chosen, plan.goods, plan.deposit
    made = Return.objects.create(
        shop_id=order.shop_id,
        order=order,
        idempotency_key=command.key,
        digest=command.digest(),
        reason=command.reason,
        acting=str(acting),
        request_id=bound_request_id(),
        restock=Return.Restock.DUE if any(line.restock for line, *_ in chosen) else Return.Restock.NONE,
        created_at=now,
    )
    _write_lines(made, chosen)
    refunds = [part for part in (_goods_part(order, goods, chosen), Parts(deposit, deposit, 0)) if part.amount]
    for part in refunds:
        reserve_within(order=order, made=made, parts=part, now=now)
    if not refunds:
        made.status = Return.Status.ACCEPTED
        made.save(update_fields=["status"])
    record_audit(
        shop_id=order.shop_id,
        acting=acting,
        action="return.requested",
        object_type="order",
        object_id=order.pk,
        reason=command.reason,
        data={"return": str(made.pk), "goods": goods, "deposit": deposit, "currency": order.currency},
    )
    return made


def reserve_within(*, order: Order, made: Return, parts: Parts, now: datetime) -> Refund:
    """One refund row with what will be sent to Stripe, its amount taken from what the order has left."""
    row = Refund(
        shop_id=order.shop_id,
        order=order,
        returned=made,
        currency=order.currency,
        amount=parts.amount,
        deposit_amount=parts.deposit,
        tax_amount=parts.tax,
        stripe_account=order.stripe_account,
        sends=1,
        lease_until=now + SENDER_LEASE,
        created_at=now,
    )
    row.stripe_key = f"refund:{order.shop_id}:{row.pk}"
    row.stripe_params = {
        "payment_intent": order.payment_intent_id,
        "amount": stripe_amount(parts.amount, order.currency),
        "metadata": {
            "shop_id": order.shop_id,
            "order_id": str(order.pk),
            "return_id": str(made.pk),
            "refund_id": str(row.pk),
        },
    }
    row.save(force_insert=True)
    count_within(order=order, amount=parts.amount, deposit=parts.deposit)
    return row


def count_within(*, order: Order, amount: int, deposit: int) -> None:
    """Adds to what the locked order has refunded; negative where a refund has come to nothing."""
    order.refunded_amount += amount
    order.deposit_refunded_amount += deposit
    order.save(update_fields=["refunded_amount", "deposit_refunded_amount"])


def uncount_lines_within(made: Return) -> None:
    """The units of a return that came to nothing may be returned again."""
    for line in made.lines.select_related("order_line").order_by("order_line_id"):
        line.order_line.returned_quantity -= line.quantity
        line.order_line.save(update_fields=["returned_quantity"])


def _chosen_lines(order: Order, lines: Sequence[OrderLine], command: ReturnCommand) -> Chosen:
    """Each line of the command with its order line and what its units are worth."""
    if command.lines and command.amount is not None:
        raise InvalidRequest("The request body is not valid.", {"amount": ["Lines or an amount, not both."]})
    known, worths = {line.pk: line for line in lines}, line_worths(order, lines)
    seen: set[UUID] = set()
    chosen = []
    for number, wanted in enumerate(command.lines):
        line = known.get(wanted.line_id)
        if line is None or wanted.line_id in seen:
            why = "Not a line of this order." if line is None else "Named twice."
            raise InvalidRequest("The request body is not valid.", {f"lines[{number}].lineId": [why]})
        seen.add(wanted.line_id)
        left = line.quantity - line.returned_quantity
        if not 0 < wanted.quantity <= left:
            raise WrongState(f"{line.title}: {left} of {line.quantity} can still be returned, not {wanted.quantity}.")
        parts = [
            units_share(whole, line.quantity, already=line.returned_quantity, units=wanted.quantity)
            for whole in (worths[line.pk].paid, worths[line.pk].tax)
        ]
        chosen.append((wanted, line, parts[0], parts[1]))
    return chosen


def _amounts(order: Order, command: ReturnCommand, chosen: Chosen) -> tuple[int, int]:
    """Goods and deposit that the command means. Raises RefundExceedsPayment."""
    balance = balance_of(order)
    if command.lines:
        goods = sum(worth for _, _, worth, _ in chosen)
        deposit = sum(line.deposit_amount * wanted.quantity for wanted, line, *_ in chosen) if command.deposit else 0
    elif command.deposit:
        goods, deposit = 0, balance.deposit_left if command.amount is None else command.amount
    elif command.amount is not None:
        goods, deposit = command.amount, 0
    else:
        goods, deposit = balance.goods_left, balance.deposit_left
    if goods > balance.goods_left:
        raise RefundExceedsPayment(balance.goods_left, order.currency)
    if deposit > balance.deposit_left:
        raise RefundExceedsPayment(balance.deposit_left, order.currency, of="deposit")
    if goods + deposit == 0 and not command.lines:
        raise RefundExceedsPayment(0, order.currency, of="deposit" if command.deposit else "payment")
    return goods, deposit


def _goods_part(order: Order, goods: int, chosen: Chosen) -> Parts:
    """Of units the tax that was on them, of an amount the tax in proportion; with the last refund all that is left."""
    live = order.refunds.exclude(status__in=Refund.DEAD).aggregate(tax=Sum("tax_amount"))
    given_back, refunded = live["tax"] or 0, order.refunded_amount - order.deposit_refunded_amount
    paid = order.total_amount - order.deposit_amount
    if chosen and refunded + goods < paid:
        return Parts(goods, 0, min(sum(tax for *_, tax in chosen), goods, order.tax_amount - given_back))
    tax = tax_part(order.tax_amount, paid, refunded=refunded, tax_refunded=given_back, amount=goods)
    return Parts(goods, 0, tax)


def _write_lines(made: Return, chosen: Chosen) -> None:
    ReturnLine.objects.bulk_create(
        ReturnLine(
            shop_id=made.shop_id,
            returned=made,
            order_line=line,
            quantity=wanted.quantity,
            restock=wanted.restock,
            amount=worth,
        )
        for wanted, line, worth, _ in chosen
    )
    for wanted, line, *_ in chosen:
        line.returned_quantity += wanted.quantity
        line.save(update_fields=["returned_quantity"])

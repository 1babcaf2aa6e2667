"""Writing orders. Bare helpers: the checkout's two flows own the transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from commerce.gateway.sessions import SessionFacts
from commerce.orders.models import Order, OrderLine
from commerce.orders.states import may_move, without_refund
from commerce.rentals.canceling import cancel_refunded_within
from commerce.rentals.opening import open_rental_within
from commerce.rentals.pricing import RentalPrice
from tenants.postgres.writing import write_fields

LONGEST_EMAIL = 254
LONGEST_PHONE = 40
LONGEST_NAME = 200
COUNTER = "counter"
"""The `source` of what staff or their servers book for a customer."""


@dataclass(frozen=True, slots=True)
class NewLine:
    """One line as priced from the catalog, per unit, in minor units; the discount is that on all its units."""

    sku: str
    variant_key: str
    title: str
    quantity: int
    unit_amount: int
    deposit_amount: int
    options: dict[str, str]
    rental_start: date | None
    rental_end: date | None
    rental: RentalPrice | None = None
    discount_amount: int = 0

    @property
    def line_amount(self) -> int:
        return self.unit_amount * self.quantity


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A pending order: what the customer is about to pay for. Amounts in minor units."""

    order_id: UUID
    shop_id: str
    currency: str
    subtotal: int
    tax: int
    tax_mode: str
    tax_inclusive: bool
    discount: int
    coupon_code: str
    shipping: int
    deposit: int
    deposit_authorised: int
    shipping_name: str
    hold_id: UUID | None
    stripe_account: str
    email: str
    locale: str
    shipping_address: Mapping[str, str] | None
    request_id: str
    lines: Sequence[NewLine]
    source: str = "checkout"
    customer_name: str = ""
    phone: str = ""


def create_pending_order_within(*, new: NewOrder, now: datetime) -> Order:
    """Writes the order and its lines, two statements, in the caller's transaction."""
    total = new.subtotal - new.discount + new.shipping + new.deposit + new.tax
    order = Order.objects.create(
        id=new.order_id,
        shop_id=new.shop_id,
        currency=new.currency,
        subtotal_amount=new.subtotal,
        tax_amount=new.tax,
        tax_mode=new.tax_mode,
        tax_inclusive=new.tax_inclusive,
        discount_amount=new.discount,
        coupon_code=new.coupon_code,
        shipping_amount=new.shipping,
        shipping_name=new.shipping_name,
        deposit_amount=new.deposit,
        deposit_authorised_amount=new.deposit_authorised,
        total_amount=total,
        expected_total_amount=total,
        hold_id=new.hold_id,
        stripe_account=new.stripe_account,
        email=new.email,
        locale=new.locale,
        shipping_address=dict(new.shipping_address) if new.shipping_address else None,
        request_id=new.request_id,
        source=new.source,
        customer_name=new.customer_name[:LONGEST_NAME],
        phone=new.phone[:LONGEST_PHONE],
        created_at=now,
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            shop_id=new.shop_id,
            order=order,
            position=position,
            sku=line.sku,
            variant_key=line.variant_key,
            title=line.title,
            quantity=line.quantity,
            unit_amount=line.unit_amount,
            deposit_amount=line.deposit_amount,
            line_amount=line.line_amount,
            discount_amount=line.discount_amount,
            options=line.options,
            rental_start=line.rental_start,
            rental_end=line.rental_end,
            rental_days=line.rental.days if line.rental else None,
            rental_rates=[applied.as_json() for applied in line.rental.applied] if line.rental else [],
        )
        for position, line in enumerate(new.lines)
    )
    return order


def advance_order_within(*, order: Order, to: str, now: datetime, **fields: Any) -> bool:
    """Moves a locked order forwards and writes `fields` with it; False, and nothing written, when it may not move.

    One that is confirmed and rents something begins a rental, its days being booked by then; refunded before anything
    went out, it ends one.
    """
    if not may_move(order.status, to):
        return False
    order.status = to
    if to == Order.Status.CONFIRMED:
        order.confirmed_at = now
    if to in {Order.Status.FAILED, Order.Status.CANCELED}:
        order.closed_at = now
    for name, value in fields.items():
        setattr(order, name, value)
    write_fields(order, "status", "confirmed_at", "closed_at", *fields)
    if to == Order.Status.CONFIRMED:
        open_rental_within(order=order, now=now)
    elif to == Order.Status.REFUNDED:
        cancel_refunded_within(order=order, now=now)
    return True


def follow_refunds_within(*, order: Order, whole: bool, now: datetime) -> bool:
    """Makes a locked order `refunded` while its refunds are `whole`, and takes that back when they aren't any more.

    So it ends as its refunds do, whichever of their changes was read first, or not at all. Whether it changed.
    """
    if whole:
        return advance_order_within(order=order, to=Order.Status.REFUNDED, now=now)
    if order.status != Order.Status.REFUNDED:
        return False
    order.status = without_refund(was_confirmed=order.confirmed_at is not None)
    order.save(update_fields=["status"])
    return True


def charged_fields(*, order: Order, session: SessionFacts) -> dict[str, Any]:
    """What a completed session says about the order. Stripe's amounts win; a difference to ours is flagged (O1), also
    when its parts differ and the total doesn't, and stays so however often it is settled. A tax that was left to Stripe
    explains the difference that it makes.

    The subtotal is what remains of Stripe's total, so that the parts add up whether tax is inside the prices or on top.
    """
    return {
        "discount_amount": session.discount,
        "shipping_amount": session.shipping,
        "tax_amount": session.tax,
        "subtotal_amount": session.total + session.discount - session.shipping - session.tax - order.deposit_amount,
        "total_amount": session.total,
        "amount_differs": order.amount_differs
        or (session.total - _unforeseen(order, session), session.discount)
        != (order.expected_total_amount, order.discount_amount)
        or (order.tax_mode != Order.TaxMode.AUTOMATIC and session.tax != order.tax_amount)
        or session.currency != order.currency,
        "session_id": session.id,
        "payment_intent_id": session.intent_id,
        "charge_id": session.charge_id,
        "customer_id": session.customer_id,
        # Only a kept one can be charged again: the session of a sale names the card that paid, and no customer.
        "payment_method_id": session.method_id if session.customer_id else "",
        # Stripe takes longer addresses than mail does. No reason to lose the payment over one.
        "email": session.email if 0 < len(session.email) <= LONGEST_EMAIL else order.email,
        "customer_name": session.name[:LONGEST_NAME] or order.customer_name,
        "phone": session.phone[:LONGEST_PHONE] or order.phone,
        "billing_address": session.billing_address,
        "shipping_address": session.shipping_address or order.shipping_address,
    }


def tax_lines_within(*, order: Order, session: SessionFacts) -> None:
    """Writes the tax that Stripe charged on each line, in the caller's transaction; none where lines aren't recognised.

    Ours are the session's first, in their order and under their titles (checkout/stripe_session.py).
    """
    if not session.tax:
        return
    lines = list(order.lines.order_by("position"))
    theirs = session.lines[: len(lines)]
    if [(line.title, line.quantity) for line in theirs] != [(line.title, line.quantity) for line in lines]:
        return
    for line, charged in zip(lines, theirs, strict=True):
        line.tax_amount = charged.tax
    OrderLine.objects.for_shop(order.shop_id).bulk_update(lines, ["tax_amount"])


def _unforeseen(order: Order, session: SessionFacts) -> int:
    """Tax on top of the prices that nobody could know before the customer had typed an address."""
    left_to_stripe = order.tax_mode == Order.TaxMode.AUTOMATIC and not order.tax_inclusive
    return session.tax if left_to_stripe else 0

"""How every checkout ends. One verb, `settle_session`: webhooks, reaper, resolver, order status and staff all call it.

Stripe is asked first, outside any transaction; then one transaction applies a closed table.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from checkout.attempts import close_within, give_back_within, mark_closing
from checkout.errors import SessionUnknown
from checkout.locks import attempt_for_update, limit_lock_waits
from checkout.models import CheckoutAttempt
from commerce.cart.carts import empty_bought_within, restore_lines_within
from commerce.cart.lines import BoughtLine
from commerce.gateway.client import access_of, expire_session, read_session
from commerce.gateway.failures import StripeFailure
from commerce.gateway.sessions import SessionFacts
from commerce.ledger.journal import post_capture_within
from commerce.models import Order
from commerce.orders.locks import order_for_update
from commerce.orders.orders import advance_order_within, charged_fields
from inventory.errors import InsufficientStock, InventoryBusy
from inventory.holds import Line, busy_on_lock_timeout, finish_holds_within
from inventory.models import Hold
from inventory.stock import take_stock_within
from tenants.audit import SETTLEMENT, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)
Outcome = CheckoutAttempt.Outcome


class SessionVerdict(Enum):
    """What a session's facts mean for its order."""

    OPEN = "open"
    PAID = "paid"
    PROCESSING = "processing"
    PAYMENT_FAILED = "payment_failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Settlement:
    """State after settling: Stripe's facts, the order's status, and what the facts meant."""

    session: SessionFacts
    attempt_id: UUID
    order_id: UUID
    order_status: str
    verdict: SessionVerdict


def judge_session(session: SessionFacts) -> SessionVerdict:
    """The closed table's left side. What isn't listed is processing: the hold stays until Stripe says more.

    Source: Stripe, "Fulfill orders" and the Checkout Session object. `requires_capture` belongs here too: a flow that
    authorises only must say so, and none does yet.
    """
    if session.status == "open":
        return SessionVerdict.OPEN
    if session.payment_status in {"paid", "no_payment_required"}:
        return SessionVerdict.PAID
    if session.status == "expired":
        return SessionVerdict.EXPIRED
    if session.intent_status in {"requires_payment_method", "canceled"}:
        return SessionVerdict.PAYMENT_FAILED
    return SessionVerdict.PROCESSING


def settle_session(*, shop: ShopContext, session_id: str) -> Settlement:
    """Brings attempt, order, hold, stock, cart and journal to what Stripe says of the session. Any number of times.

    Raises StripeFailure when Stripe can't be read, SessionUnknown when no attempt of this shop stands behind the
    session, InventoryBusy when locks are taken for too long; nothing is written then.
    """
    access = access_of(shop)
    session = read_session(access, session_id)  # no tx
    verdict = judge_session(session)
    attempt_id = attempt_behind(shop_id=shop.shop_id, account=access.scope.account, session=session)
    with busy_on_lock_timeout(shop_id=shop.shop_id), transaction.atomic(durable=True):
        limit_lock_waits()
        now = timezone.now()
        attempt = attempt_for_update(shop_id=shop.shop_id, attempt_id=attempt_id)
        order = order_for_update(shop_id=shop.shop_id, order_id=attempt.order_id)
        attempt.session_id = session.id
        record_ownership(
            scope=access.scope,
            shop_id=shop.shop_id,
            objects=[
                ("checkout.session", session.id),
                ("payment_intent", session.intent_id),
                ("charge", session.charge_id),
            ],
            source="settle",
        )
        EFFECTS[verdict](attempt, order, session, now)
    log.info("session_settled", session_id=session.id, verdict=verdict.value, order_status=order.status)
    if verdict is SessionVerdict.PAID:
        _end_rivals(shop=shop, paid=attempt)
    return Settlement(session, attempt.pk, order.pk, order.status, verdict)


def _end_rivals(*, shop: ShopContext, paid: CheckoutAttempt) -> None:
    """A payment may land after its session expired and another was opened: that other one of the cart must end too."""
    if paid.cart_id is None:
        return
    for rival in CheckoutAttempt.objects.for_shop(shop.shop_id).unfinished().filter(cart_id=paid.cart_id):
        mark_closing(shop_id=shop.shop_id, attempt_id=rival.pk, reason="Another session was paid", acting=SETTLEMENT)
        if rival.session_id is None:
            continue  # the resolver learns its session first
        try:
            expire_session(access_of(shop), rival.session_id)
            settle_session(shop=shop, session_id=rival.session_id)
        except (StripeFailure, InventoryBusy) as failure:
            log.warning("rival_left_to_resolver", attempt_id=str(rival.pk), error=str(failure))


def attempt_behind(*, shop_id: str, account: str, session: SessionFacts) -> UUID:
    """The attempt that made the session: by its recorded id, else by the reference that the session carries, which is
    there before our own record is. Raises SessionUnknown.
    """
    attempts = CheckoutAttempt.objects.for_shop(shop_id).filter(stripe_account=account)
    found = attempts.filter(session_id=session.id).values_list("pk", flat=True).first()
    if found is None and session.metadata.get("shop_id") == shop_id:
        with suppress(ValueError):
            made = attempts.filter(pk=UUID(session.reference), session_id__isnull=True)
            found = made.values_list("pk", flat=True).first()
    if found is None:
        raise SessionUnknown(f"No checkout of {shop_id} stands behind session {session.id}.")
    return found


# ---------------------------------------------------------------- the table's right side, in lock order
def _nothing(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> None:
    """An open session is left alone: whoever wants its end expires it first, then settles again."""


def _paid(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> None:
    if order.status in {Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED}:
        return
    was_processing = order.status == Order.Status.PROCESSING
    fields = charged_fields(order=order, session=session)
    allocated = _allocate(attempt, order, now)
    close_within(attempt=attempt, outcome=Outcome.COMPLETED, now=now)
    if allocated:
        advance_order_within(order=order, to=Order.Status.CONFIRMED, now=now, **fields)
    else:
        reason = "Paid after its stock was given back, and none is left"
        advance_order_within(order=order, to=Order.Status.REVIEW, now=now, review_reason=reason, **fields)
        log.error("paid_without_stock", order_id=str(order.pk), session_id=session.id)
    if not was_processing:
        _empty_cart(attempt, order)
    post_capture_within(order=order, reference=session.id, now=now, request_id=attempt.request_id)
    record_audit(
        shop_id=order.shop_id,
        acting=SETTLEMENT,
        action=f"order.{order.status}",
        object_type="order",
        object_id=order.pk,
        data={"session": session.id, "amount": session.total, "currency": session.currency},
    )


def _processing(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> None:
    """The customer is done, the money is not: lines leave the cart for the order, the hold stays, for days maybe."""
    if order.status != Order.Status.PENDING:
        return
    close_within(attempt=attempt, outcome=Outcome.COMPLETED, now=now)
    advance_order_within(
        order=order, to=Order.Status.PROCESSING, now=now, **charged_fields(order=order, session=session)
    )
    _empty_cart(attempt, order)


def _payment_failed(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> None:
    """A delayed payment failed: stock goes back, and the lines return to the cart as a new generation."""
    if order.status not in {Order.Status.PENDING, Order.Status.PROCESSING}:
        return
    if order.status == Order.Status.PENDING:
        # Nobody saw it processing: leave and come back, so that the cart has a generation no attempt has completed.
        _processing(attempt, order, session, now)
    give_back_within(
        attempt=attempt,
        outcome=Outcome.COMPLETED,
        order_to=Order.Status.FAILED,
        now=now,
        reason="Payment failed",
        acting=SETTLEMENT,
    )
    order.refresh_from_db(fields=["status"])
    if attempt.cart_id is not None:
        restore_lines_within(shop_id=order.shop_id, cart_id=attempt.cart_id, bought=_bought(order))


def _expired(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> None:
    if order.status != Order.Status.PENDING:
        return
    give_back_within(
        attempt=attempt,
        outcome=Outcome.EXPIRED,
        order_to=Order.Status.CANCELED,
        now=now,
        reason=attempt.closing_reason or "Session expired",
        acting=SETTLEMENT,
    )
    order.refresh_from_db(fields=["status"])


EFFECTS: dict[SessionVerdict, Callable[[CheckoutAttempt, Order, SessionFacts, datetime], None]] = {
    SessionVerdict.OPEN: _nothing,
    SessionVerdict.PAID: _paid,
    SessionVerdict.PROCESSING: _processing,
    SessionVerdict.PAYMENT_FAILED: _payment_failed,
    SessionVerdict.EXPIRED: _expired,
}


def _allocate(attempt: CheckoutAttempt, order: Order, now: datetime) -> bool:
    """Turns the hold into a sale; without one, takes unheld stock (W6). False when there is none: never negative."""
    if attempt.hold_id is not None:
        committed = finish_holds_within(
            hold_ids=[attempt.hold_id], outcome="committed", reason="Paid", acting=SETTLEMENT, now=now
        )
        if committed or Hold.objects.filter(attempt=attempt, status=Hold.Status.COMMITTED).exists():
            return True
    lines = [Line(sku=line.sku, variant_key=line.variant_key, quantity=line.quantity) for line in order.lines.all()]
    try:
        with transaction.atomic():
            take_stock_within(shop_id=order.shop_id, lines=lines, reference=str(order.pk), acting=SETTLEMENT, now=now)
    except InsufficientStock:
        return False
    return True


def _bought(order: Order) -> list[BoughtLine]:
    return [
        BoughtLine(line.variant_key, line.quantity, line.options, line.rental_start, line.rental_end)
        for line in order.lines.all()
    ]


def _empty_cart(attempt: CheckoutAttempt, order: Order) -> None:
    if attempt.cart_id is None or attempt.cart_generation is None:
        return
    empty_bought_within(
        shop_id=order.shop_id, cart_id=attempt.cart_id, generation=attempt.cart_generation, bought=_bought(order)
    )

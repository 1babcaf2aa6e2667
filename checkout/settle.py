"""How every checkout ends. One verb, `settle_session`: webhooks, reaper, resolver, order status and staff all call it.

Stripe is asked first, outside any transaction; then one transaction applies a closed table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from checkout.attempts import close_door_within, close_within, give_back_within
from checkout.claims import rivals_within
from checkout.errors import SessionUnknown
from checkout.locks import attempt_for_update, checkout_tx
from checkout.metrics import PAID_WITHOUT_STOCK
from checkout.models import CheckoutAttempt, SubscribeAttempt
from checkout.session_attempt import SessionAttempt
from checkout.shortages import open_shortage_within
from commerce.cart.carts import empty_bought_within, restore_lines_within
from commerce.cart.lines import BoughtLine
from commerce.coupons.redemptions import redeem_within
from commerce.gateway.client import StripeAccess, access_for_account, access_of, expire_session, read_session
from commerce.gateway.failures import StripeFailure
from commerce.gateway.sessions import SessionFacts
from commerce.ledger.postings import post_capture_within
from commerce.models import Order
from commerce.orders.locks import order_for_update
from commerce.orders.orders import advance_order_within, charged_fields, tax_lines_within
from commerce.returns.mirror import order_follows_within
from inventory.errors import InsufficientStock, InventoryBusy, InventoryUnavailable
from inventory.holds import Line, finish_holds_within
from inventory.models import Hold
from inventory.periods import has_periods
from inventory.stock import book_periods_within, take_stock_within
from tenants.audit import SETTLEMENT, record_audit
from tenants.context import ShopContext
from tenants.ownership import record_ownership
from tenants.postgres.kept import KeptQuery

log = structlog.get_logger(__name__)
Outcome = CheckoutAttempt.Outcome

STOCK_GIVEN_BACK = "Paid after its stock was given back, and none is left"
NO_STOCK_LEFT = "Paid without a hold, and its stock can't be taken"


class SessionVerdict(Enum):
    """What a session's facts mean for its order."""

    OPEN = "open"
    PAID = "paid"
    PROCESSING = "processing"
    PAYMENT_FAILED = "payment_failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Settlement:
    """State after settling: Stripe's facts, what they meant, the order's status, and whether this call moved it."""

    session: SessionFacts
    attempt_id: UUID
    order_id: UUID
    order_status: str
    verdict: SessionVerdict
    changed: bool


def judge_session(session: SessionFacts) -> SessionVerdict:
    """The closed table's left side. A status that isn't listed changes nothing; a payment that isn't is in progress.

    Source: Stripe, "Fulfill orders" and the Checkout Session object. `requires_capture` is in progress too: a flow that
    authorises only must say so, and none does yet. An expired session with a succeeded payment is not documented, but
    possible with 3-D Secure: money counts.
    """
    if session.status not in {"complete", "expired"}:
        return SessionVerdict.OPEN
    if session.payment_status in {"paid", "no_payment_required"} or session.intent_status == "succeeded":
        return SessionVerdict.PAID
    if session.status == "expired":
        return SessionVerdict.EXPIRED
    if session.intent_status in {"requires_payment_method", "canceled"}:
        return SessionVerdict.PAYMENT_FAILED
    return SessionVerdict.PROCESSING


def settle_session(*, shop: ShopContext, session_id: str, account: str = "") -> Settlement:
    """Brings attempt, order, hold, stock, cart and journal to what Stripe says of the session. Any number of times.

    `account` is the Stripe account that spoke of a session we may not have recorded yet; a recorded one knows its own.
    Raises StripeFailure when Stripe can't be read, SessionUnknown when no attempt of this shop stands behind the
    session, InventoryBusy when locks are taken for too long; nothing is written then.
    """
    recorded = _recorded(shop.shop_id, session_id, account)
    access = access_for_account(
        shop, (recorded and recorded.stripe_account) or account or access_of(shop).scope.account
    )
    session = read_session(access, session_id)  # no tx
    verdict = judge_session(session)
    attempt_id = recorded.pk if recorded else attempt_behind(CheckoutAttempt, shop=shop, access=access, session=session)
    ended: list[CheckoutAttempt] = []
    with checkout_tx(shop.shop_id):
        now = timezone.now()
        attempt = attempt_for_update(shop_id=shop.shop_id, attempt_id=attempt_id)
        rivals = rivals_within(attempt=attempt) if verdict is SessionVerdict.PAID else []
        order = order_for_update(shop_id=shop.shop_id, order_id=attempt.order_id)
        was = order.status
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
        if EFFECTS[verdict](attempt, order, session, now):
            ended = end_rivals_within(rivals)
    log.info("session_settled", session_id=session.id, verdict=verdict.value, order_status=order.status)
    for rival in ended:
        make_unpayable(shop=shop, rival=rival, settle=settle_session)
    return Settlement(session, attempt.pk, order.pk, order.status, verdict, changed=order.status != was)


def _recorded(shop_id: str, session_id: str, account: str) -> CheckoutAttempt | None:
    """The attempt that is known to have made the session. A session is one account's: naming it makes the unique index
    of both find it.
    """
    if account:
        return next(iter(_BY_ACCOUNT.rows(shop_id, account, session_id)), None)
    return CheckoutAttempt.objects.for_shop(shop_id).filter(session_id=session_id).first()


_BY_ACCOUNT: Final = KeptQuery(
    lambda shop_id, account, session_id: CheckoutAttempt.objects.for_shop(shop_id).filter(
        stripe_account=account, session_id=session_id
    ),
    str,
    str,
    str,
)


def end_rivals_within(rivals: Sequence[CheckoutAttempt]) -> list[CheckoutAttempt]:
    """Closes the doors of what would sell the same cart again: a payment landed after its session had expired and
    another had been opened. Returned are those with a session to expire; the resolver learns the others' first.
    """
    for rival in rivals:
        if rival.state != CheckoutAttempt.State.CLOSING:
            close_door_within(attempt=rival, reason="Another session was paid")
    return [rival for rival in rivals if rival.session_id is not None]


def make_unpayable(*, shop: ShopContext, rival: SessionAttempt, settle: Callable[..., object]) -> None:
    """Right after the commit, because every second it stays payable may charge the customer twice. No tx around it."""
    session_id = str(rival.session_id)
    try:
        expire_session(access_for_account(shop, rival.stripe_account), session_id)
        settle(shop=shop, session_id=session_id)
    except (StripeFailure, InventoryBusy) as failure:
        log.warning("rival_left_to_resolver", attempt_id=str(rival.pk), error=str(failure))


def attempt_behind(
    attempts: type[CheckoutAttempt | SubscribeAttempt],
    *,
    shop: ShopContext,
    access: StripeAccess,
    session: SessionFacts,
) -> UUID:
    """The attempt that made a session which isn't recorded yet, by the reference in it. Raises SessionUnknown."""
    if session.metadata.get("shop_id") == shop.shop_id:
        own = attempts.objects.for_shop(shop.shop_id).filter(stripe_account=access.scope.account)
        with suppress(ValueError):
            # Somebody else may have recorded it since the caller looked.
            made = own.filter(Q(session_id__isnull=True) | Q(session_id=session.id), pk=UUID(session.reference))
            if (found := made.values_list("pk", flat=True).first()) is not None:
                return found
    raise SessionUnknown(f"Nobody of {shop.shop_id} stands behind session {session.id}.")


# ---------------------------------------------------------------- the table's right side, in lock order
# Each answers whether the cart's lines have just become this order's, so that nothing else may sell them.
def _nothing(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> bool:
    """An open session is left alone: whoever wants its end expires it first, then settles again."""
    return False


def _paid(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> bool:
    if order.status in {Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED}:
        return False
    was_processing = order.status == Order.Status.PROCESSING
    fields = charged_fields(order=order, session=session)
    tax_lines_within(order=order, session=session)
    redeem_within(order=order, now=now)
    allocated = _allocate(attempt, order, now)
    close_within(attempt=attempt, outcome=Outcome.COMPLETED, now=now)
    if allocated:
        advance_order_within(order=order, to=Order.Status.CONFIRMED, now=now, **fields)
    else:
        reason = NO_STOCK_LEFT if attempt.hold_id is None else STOCK_GIVEN_BACK
        advance_order_within(order=order, to=Order.Status.REVIEW, now=now, review_reason=reason, **fields)
        open_shortage_within(order=order, reason=reason, now=now)
        PAID_WITHOUT_STOCK.labels(shop_id=order.shop_id).inc()
        log.error("paid_without_stock", order_id=str(order.pk), session_id=session.id)
    if not was_processing:
        _empty_cart(attempt, order)
    post_capture_within(
        order=order, reference=session.id, charge_id=session.charge_id, now=now, request_id=attempt.request_id
    )
    record_audit(
        shop_id=order.shop_id,
        acting=SETTLEMENT,
        action=f"order.{order.status}",
        object_type="order",
        object_id=order.pk,
        data={"session": session.id, "amount": session.total, "currency": session.currency},
    )
    if order.refunded_amount:
        order_follows_within(order=order, now=now)  # its refund was told of before its payment
    return not was_processing


def _processing(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> bool:
    """The customer is done, the money is not: lines leave the cart for the order, the hold stays, for days maybe."""
    if order.status != Order.Status.PENDING:
        return False
    close_within(attempt=attempt, outcome=Outcome.COMPLETED, now=now)
    fields = charged_fields(order=order, session=session)
    advance_order_within(order=order, to=Order.Status.PROCESSING, now=now, **fields)
    _empty_cart(attempt, order)
    return False


def _payment_failed(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> bool:
    """A delayed payment failed: stock goes back, and the lines return to the cart as a new generation."""
    if order.status not in {Order.Status.PENDING, Order.Status.PROCESSING}:
        return False
    left_the_cart = order.status == Order.Status.PROCESSING
    give_back_within(
        attempt=attempt,
        outcome=Outcome.COMPLETED,
        order_to=Order.Status.FAILED,
        now=now,
        reason="Payment failed",
        acting=SETTLEMENT,
    )
    order.refresh_from_db(fields=["status"])
    if not left_the_cart:
        # Nobody saw it processing: out and back in, so that the cart has a generation no attempt has completed.
        _empty_cart(attempt, order)
    if attempt.cart_id is not None:
        restore_lines_within(shop_id=order.shop_id, cart_id=attempt.cart_id, bought=_bought(order))
    return False


def _expired(attempt: CheckoutAttempt, order: Order, session: SessionFacts, now: datetime) -> bool:
    if order.status != Order.Status.PENDING:
        return False
    give_back_within(
        attempt=attempt,
        outcome=Outcome.EXPIRED,
        order_to=Order.Status.CANCELED,
        now=now,
        reason=attempt.closing_reason or "Session expired",
        acting=SETTLEMENT,
    )
    order.refresh_from_db(fields=["status"])
    return False


EFFECTS: dict[SessionVerdict, Callable[[CheckoutAttempt, Order, SessionFacts, datetime], bool]] = {
    SessionVerdict.OPEN: _nothing,
    SessionVerdict.PAID: _paid,
    SessionVerdict.PROCESSING: _processing,
    SessionVerdict.PAYMENT_FAILED: _payment_failed,
    SessionVerdict.EXPIRED: _expired,
}


def _allocate(attempt: CheckoutAttempt, order: Order, now: datetime) -> bool:
    """Turns the hold into a sale; without one, takes unheld stock (W6). False when that can't be: never negative."""
    if attempt.hold_id is not None:
        committed = finish_holds_within(
            hold_ids=[attempt.hold_id], outcome="committed", reason="Paid", acting=SETTLEMENT, now=now
        )
        if committed or Hold.objects.filter(attempt=attempt, status=Hold.Status.COMMITTED).exists():
            return True
    lines = [
        Line(line.sku, line.variant_key, line.quantity, line.rental_start, line.rental_end)
        for line in order.lines.all()
    ]
    take = book_periods_within if has_periods(lines) else take_stock_within
    try:
        with transaction.atomic():
            take(shop_id=order.shop_id, lines=lines, reference=str(order.pk), acting=SETTLEMENT, now=now)
    except (InsufficientStock, InventoryUnavailable):
        return False
    return True


def _bought(order: Order) -> list[BoughtLine]:
    return [
        BoughtLine(line.variant_key, line.quantity, line.options, line.rental_start, line.rental_end)
        for line in order.lines.all()
    ]


def _empty_cart(attempt: CheckoutAttempt, order: Order) -> None:
    """Takes the bought lines out of the cart, once per generation: two sessions of one generation may both be paid, and
    the second must not take units that the customer has added since.
    """
    if attempt.cart_id is None or attempt.cart_generation is None:
        return
    same = CheckoutAttempt.objects.for_shop(order.shop_id).filter(
        cart_id=attempt.cart_id, cart_generation=attempt.cart_generation, outcome=Outcome.COMPLETED
    )
    if same.exclude(pk=attempt.pk).exists():
        return
    empty_bought_within(
        shop_id=order.shop_id, cart_id=attempt.cart_id, generation=attempt.cart_generation, bought=_bought(order)
    )

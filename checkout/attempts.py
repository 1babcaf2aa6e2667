"""The attempt's steps. Each public verb is one transaction; none calls Stripe (start, settle and resolver do).

States and rules: `../README.md` has the picture, `tests/checkout/attempt_model/` the exhaustive exploration.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import Exists, F, Q
from django.utils import timezone

from checkout.claims import Claim, LostTheClaim, bought_within, claim_of
from checkout.contracts import StartCheckout
from checkout.coupons import reserve_coupon_within
from checkout.locks import attempt_for_update, checkout_tx
from checkout.models import CheckoutAttempt, SubscribeAttempt
from checkout.new_attempt import lease_for, new_attempt, new_order
from checkout.repricing import Quote
from checkout.stripe_session import MINIMUM_LIFE
from commerce.coupons.redemptions import free_within
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.sessions import SessionFacts
from commerce.models import Cart, Order
from commerce.orders.locks import order_for_update
from commerce.orders.orders import COUNTER, advance_order_within, create_pending_order_within
from commerce.shipping.offers import free_for, offered
from inventory.central import Central
from inventory.holds import finish_holds_within, place_hold_within
from inventory.metrics import HOLDS_ORPHANED
from inventory.models import Hold
from tenants.audit import CUSTOMER, SETTLEMENT, Actor, record_audit
from tenants.context import ShopContext
from tenants.errors import InvalidRequest, UnknownHost
from tenants.models import Host, Shop
from tenants.ownership import StripeScope, record_ownership
from tenants.postgres.writing import write_fields

State, Outcome = CheckoutAttempt.State, CheckoutAttempt.Outcome

# An idempotency key is remembered for at least 24 hours; after that the same key would execute anew.
RESEND_LIMIT = timedelta(hours=23)
# Past its expiry, with room for clocks that differ, a session that nobody was shown can't be paid by anybody.
CLOCK_MARGIN = timedelta(minutes=5)

# States in which a session may exist that no row names.
UNRECORDED = frozenset({State.SENDING, State.UNKNOWN, State.CLOSING})

# Attempt, then its order, in one round trip; neither where somebody else has ended or recorded the attempt.
RECORD_SESSION = """
WITH recorded AS (
    UPDATE checkout_checkoutattempt
       SET state = 'open', session_id = %(session_id)s, url_answered = true, lease_until = NULL
     WHERE shop_id = %(shop_id)s AND id = %(attempt_id)s AND state IN ('sending', 'unknown')
    RETURNING order_id
)
UPDATE commerce_order
   SET session_id = %(session_id)s
  FROM recorded
 WHERE commerce_order.shop_id = %(shop_id)s AND commerce_order.id = recorded.order_id
"""

ATTEMPT_SLOTS = ("attempt_one_open_per_cart", "attempt_one_open_per_key")


def claim_attempt(
    *,
    shop: ShopContext,
    command: StartCheckout,
    quote: Quote,
    changes: Sequence[dict[str, Any]],
    account: str,
    central: Central,
) -> CheckoutAttempt:
    """tx 1: attempt, pending order and hold, or nothing. The first send, to the Stripe `account`, counts beforehand.

    Raises LostTheClaim, InsufficientStock, InventoryUnavailable, InventoryBusy, CouponRejected; UnknownHost when the
    host has moved meanwhile, InvalidRequest when a way to ship must be chosen. `central`: see inventory/central.py.
    """
    now = timezone.now()
    attempt = new_attempt(shop=shop, command=command, quote=quote, changes=changes, account=account, now=now)
    claim = claim_of(command, quote.generation)
    try:
        with checkout_tx(shop.shop_id):
            attempt.save(force_insert=True)
            # The slot is ours, but a late payment may complete an earlier attempt in place: that one is locked first.
            if bought_within(shop_id=shop.shop_id, claim=claim, but=attempt.pk):
                raise LostTheClaim
            _refuse_stale(shop=shop, claim=claim, quote=quote, collected=command.source == COUNTER)
            new = new_order(shop=shop, command=command, quote=quote, attempt=attempt)
            attempt.order = create_pending_order_within(new=new, now=now)
            reserve_coupon_within(quote=quote, order=attempt.order, email=command.email, now=now)
            if attempt.hold_id is not None:
                # Last, so that stock rows are locked for the shortest time.
                place_hold_within(
                    shop_id=shop.shop_id,
                    hold_id=attempt.hold_id,
                    key=str(attempt.pk),
                    lines=quote.hold_lines(),
                    ttl_seconds=shop.policy.hold_ttl_seconds,
                    held_for="checkout",
                    now=now,
                    request_id=shop.request_id,
                    central=central,
                )
    except IntegrityError as error:
        if any(slot in str(error) for slot in ATTEMPT_SLOTS):
            raise LostTheClaim from error
        raise
    return attempt


def _refuse_stale(*, shop: ShopContext, claim: Claim, quote: Quote, collected: bool) -> None:
    """Raises LostTheClaim for another generation of the cart, UnknownHost for another shop's host. One query.

    Also InvalidRequest for a cart that names no way to ship where each costs something: leaving it out must not be the
    cheapest; what is `collected` at the counter isn't shipped.
    """
    carts = [claim.cart_id] if claim.cart_id else []
    cart = Cart.objects.filter(shop_id=shop.shop_id, pk__in=carts, generation=claim.generation or 0)
    host = Host.objects.filter(hostname=shop.host, shop_id=shop.shop_id)
    same_cart, own_host, ships, ships_free = (
        Shop.objects.filter(pk=shop.shop_id)
        .values_list(Exists(cart), Exists(host), Exists(offered(shop)), Exists(free_for(shop, quote.subtotal)))
        .get()
    )
    if claim.cart_id is not None and not same_cart:
        raise LostTheClaim
    if shop.host and not own_host:
        raise UnknownHost("This host belongs to another shop by now.")
    if quote.shipping is None and ships and not ships_free and not collected:
        raise InvalidRequest("This shop ships: choose how.", {"shippingOptionId": ["Required."]})


def take_lease(*, attempt: CheckoutAttempt | SubscribeAttempt, now: datetime, sending: bool) -> bool:
    """Becomes the one process that works on the attempt for the lease's length; False when another one is.

    With `sending`, one more send is counted in the same statement, before it happens.
    """
    coupon = attempt.coupon_params if isinstance(attempt, CheckoutAttempt) else None
    fields: dict[str, Any] = {"lease_until": now + lease_for(coupon)}
    if sending:
        fields["sends"] = F("sends") + 1
    taken = (
        type(attempt)
        .objects.for_shop(attempt.shop_id)
        .unfinished()
        .filter(Q(lease_until__isnull=True) | Q(lease_until__lte=now), pk=attempt.pk, state=attempt.state)
        .update(**fields)
    )
    return taken == 1


def drop_lease(*, attempt: CheckoutAttempt | SubscribeAttempt) -> None:
    """Lets the next one in without waiting for the lease to run out."""
    type(attempt).objects.for_shop(attempt.shop_id).filter(pk=attempt.pk).update(lease_until=None)


def record_session(*, attempt: CheckoutAttempt, session: SessionFacts, livemode: bool) -> bool:
    """tx 2: the attempt has its session, and from here on its address may be answered.

    True when this session is the attempt's; False when the attempt was closed meanwhile: the caller must then make the
    session unpayable and answer no address.
    """
    attempts = CheckoutAttempt.objects.for_shop(attempt.shop_id).filter(pk=attempt.pk)
    named: dict[str, UUID | str] = {"shop_id": attempt.shop_id, "attempt_id": attempt.pk, "session_id": session.id}
    with checkout_tx(attempt.shop_id), connection.cursor() as cursor:
        cursor.execute(RECORD_SESSION, named)
        recorded = cursor.rowcount == 1
        _own(attempt=attempt, session=session, livemode=livemode)
    # Otherwise a twin or the resolver was faster, perhaps with the very same session.
    if not recorded and not attempts.filter(state=State.OPEN, session_id=session.id).exists():
        return False
    attempt.state, attempt.session_id = State.OPEN, session.id
    return True


def _own(*, attempt: CheckoutAttempt, session: SessionFacts, livemode: bool) -> None:
    record_ownership(
        scope=StripeScope(livemode=livemode, account=attempt.stripe_account),
        shop_id=attempt.shop_id,
        objects=[("checkout.session", session.id), ("payment_intent", session.intent_id)],
        source="checkout",
    )


def never_made(*, attempt: CheckoutAttempt | SubscribeAttempt, failure: StripeFailure, now: datetime) -> bool:
    """Whether Stripe's refusal of `expires_at` proves that no earlier send made a session.

    So late, a stored request is either replayed or refused for its expiry.
    """
    late = now > attempt.session_expires_at - MINIMUM_LIFE - CLOCK_MARGIN
    return failure.verdict is Verdict.REFUSED and failure.param == "expires_at" and late


def settle_failure(*, attempt: CheckoutAttempt, failure: StripeFailure, classify: bool) -> bool:
    """After a failed send. True when it is certain that no session exists, and the hold has been given back.

    Certain means that every send of this key was refused, or that Stripe refused it as too late. Anything else keeps
    hold and attempt. `classify` false (a setting) treats every failure as unknown. Two transactions: tx 2 counts what
    was learnt, the next one ends the attempt if it may. When stock is taken for too long there, it raises
    InventoryBusy, and the next refusal ends the attempt.
    """
    refused = classify and failure.verdict is Verdict.REFUSED
    with checkout_tx(attempt.shop_id):
        locked = attempt_for_update(shop_id=attempt.shop_id, attempt_id=attempt.pk)
        if locked.state not in UNRECORDED or locked.session_id is not None:
            return locked.outcome in {Outcome.REFUSED, Outcome.NEVER_MADE}
        locked.refusals += refused
        if locked.state == State.SENDING:
            locked.state = State.UNKNOWN
        locked.lease_until = None
        locked.save(update_fields=["state", "refusals", "lease_until"])
    # A transaction of its own: a refusal that was forgotten over a busy stock row could never be proven again.
    return refused and _give_back_refused(attempt=attempt, failure=failure)


def _give_back_refused(*, attempt: CheckoutAttempt, failure: StripeFailure) -> bool:
    """Ends an attempt that was just refused, if that proves that no session exists."""
    with checkout_tx(attempt.shop_id):
        now = timezone.now()
        locked = attempt_for_update(shop_id=attempt.shop_id, attempt_id=attempt.pk)
        if locked.state not in UNRECORDED or locked.session_id is not None:
            return locked.outcome in {Outcome.REFUSED, Outcome.NEVER_MADE}
        if never_made(attempt=locked, failure=failure, now=now):
            give_back_within(
                attempt=locked,
                outcome=Outcome.NEVER_MADE,
                order_to=Order.Status.CANCELED,
                now=now,
                reason="Stripe made no session",
                acting=SETTLEMENT,
            )
            return True
        if locked.refusals < locked.sends:
            return False
        give_back_within(
            attempt=locked,
            outcome=Outcome.REFUSED,
            order_to=Order.Status.FAILED,
            now=now,
            reason=f"Stripe refused: {failure.code or failure.kind}"[:200],
            acting=SETTLEMENT,
        )
    if locked.hold_id is not None:
        HOLDS_ORPHANED.labels(shop_id=locked.shop_id).inc()
    return True


def end_by_clock(*, attempt: CheckoutAttempt, now: datetime) -> bool:
    """Ends an attempt whose session nobody was ever shown, once that session can't be payable any more."""
    if now < attempt.session_expires_at + CLOCK_MARGIN:
        return False
    with checkout_tx(attempt.shop_id):
        locked = attempt_for_update(shop_id=attempt.shop_id, attempt_id=attempt.pk)
        shown = locked.url_answered or locked.session_id is not None
        if locked.state in {State.OPEN, State.CLOSED} or shown:
            return False
        give_back_within(
            attempt=locked,
            outcome=Outcome.NEVER_MADE,
            order_to=Order.Status.CANCELED,
            now=now,
            reason="Outcome unknown until its time was up",
            acting=SETTLEMENT,
        )
        return True


def mark_closing(
    *, shop_id: str, attempt_id: UUID, reason: str, acting: Actor, overdue_at: datetime | None = None
) -> CheckoutAttempt:
    """First step of every supersede, cancel and reap: from here on no address is answered. A repeat changes nothing.

    With `overdue_at`, only if its hold is still active and overdue then: staff may have extended it meanwhile.
    Raises InventoryBusy.
    """
    with checkout_tx(shop_id):
        attempt = attempt_for_update(shop_id=shop_id, attempt_id=attempt_id)
        if overdue_at is not None and not Hold.objects.overdue(overdue_at).filter(attempt=attempt).exists():
            return attempt
        if attempt.state in {State.SENDING, State.UNKNOWN, State.OPEN}:
            close_door_within(attempt=attempt, reason=reason)
            if acting.kind not in {"system", CUSTOMER.kind}:
                record_audit(
                    shop_id=shop_id,
                    acting=acting,
                    action="checkout.cancel",
                    object_type="checkout_attempt",
                    object_id=attempt.pk,
                    reason=reason,
                )
    return attempt


def close_door_within(*, attempt: CheckoutAttempt, reason: str) -> None:
    """Marks a locked, unfinished attempt as closing."""
    attempt.state, attempt.closing_reason = State.CLOSING, reason[:200]
    attempt.save(update_fields=["state", "closing_reason"])


def give_back_within(
    *, attempt: CheckoutAttempt, outcome: str, order_to: str, now: datetime, reason: str, acting: Actor
) -> None:
    """Closes a locked attempt whose session can't be paid, and gives back its coupon and stock. In the caller's tx."""
    order = order_for_update(shop_id=attempt.shop_id, order_id=attempt.order_id)
    advance_order_within(order=order, to=order_to, now=now)
    free_within(order=order, now=now)
    close_within(attempt=attempt, outcome=outcome, now=now)
    if attempt.hold_id is not None:
        finish_holds_within(
            hold_ids=[attempt.hold_id],
            outcome="expired" if outcome == Outcome.EXPIRED else "released",
            reason=reason,
            acting=acting,
            now=now,
        )


def close_within(*, attempt: CheckoutAttempt, outcome: str, now: datetime) -> None:
    """Writes the end of a locked attempt. A completed session overrides an earlier end: late payments are real."""
    attempt.state, attempt.outcome, attempt.lease_until = State.CLOSED, outcome, None
    attempt.closed_at = attempt.closed_at or now
    write_fields(attempt, "state", "outcome", "lease_until", "closed_at", "session_id")


def open_checkouts(shop_id: str) -> int:
    """How many of the shop's checkouts a customer may still pay. Named by settings.OPEN_CHECKOUTS, for tenants."""
    return CheckoutAttempt.objects.for_shop(shop_id).unfinished().count()

"""Turning a cart into one hold and one payable session. With settle.py, the whole story of a checkout."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from checkout.attempts import claim_attempt, end_by_clock, record_session, settle_failure
from checkout.claims import (
    LostTheClaim,
    claim_of,
    claimants,
    newest_attempt,
    refuse_other_request_under_key,
    same_intent,
)
from checkout.closing import close_checkout, expire_and_settle, resend
from checkout.contracts import Amounts, CheckoutAnswer, StartCheckout, WantedLine
from checkout.coupons import make_coupon, refuse_coupon
from checkout.drift import judge_drift
from checkout.errors import PaymentRejected, PaymentUnknown, PriceChanged
from checkout.metrics import CREATE_SECONDS, REJECTED_STOCK, REPRICE_DRIFT, UNCHECKED
from checkout.models import CheckoutAttempt
from checkout.rate_limit import Turnstile
from checkout.repricing import Quote, refuse_unrentable, reprice
from checkout.settle import SessionVerdict, judge_session, settle_session
from checkout.taxes import known_to_stripe
from commerce.cart.carts import cart_snapshot
from commerce.gateway.client import AccessOnce, create_session, read_session
from commerce.gateway.failures import StripeFailure
from commerce.gateway.sessions import SessionFacts
from commerce.models import Order
from inventory.availability import available_for_lines
from inventory.central import through_routes
from inventory.errors import InsufficientStock, InventoryUnavailable, RentalUnavailable, Shortage
from inventory.holds import combined, free_overdue, keys_in_the_way
from inventory.periods import has_periods, short_periods
from tenants.audit import CUSTOMER
from tenants.context import ShopContext
from tenants.errors import InvalidRequest

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State

# Seconds a repeat waits for its twin's answer before it tells the customer to repeat, and between its looks.
PATIENCE = 10.0
LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be bought, and the generation of the cart it was read from."""

    lines: Sequence[WantedLine]
    generation: int | None


def start_checkout(*, shop: ShopContext, command: StartCheckout, turnstile: Turnstile) -> CheckoutAnswer:
    """One checkout: repeats of the same request converge on one hold and one session.

    Never trusts a price from `command`; never calls Stripe inside a transaction. Raises UnknownSku, NotPurchasable,
    InvalidRequest, AmountTooSmall, AmountTooLarge, CouponRejected, PriceChanged, InsufficientStock,
    InventoryUnavailable, InventoryBusy, ClientKeyConflict, RateLimited, PaymentRejected, PaymentUnknown.
    """
    began = time.monotonic()
    freed = judged = False
    while time.monotonic() - began < PATIENCE:
        stripe = AccessOnce(shop)
        refuse_other_request_under_key(shop_id=shop.shop_id, command=command)
        wanted = read_wanted(shop=shop, command=command)
        if not wanted.lines:
            return answer_bought(shop=shop, command=command)
        quote = reprice(shop=shop, command=command, wanted=wanted.lines, generation=wanted.generation)
        turn = replay_or_supersede(
            shop=shop, command=command, wanted=wanted, quote=quote, stripe=stripe, turnstile=turnstile
        )  # asks Stripe, no tx
        if turn.answer is not None:
            return turn.answer
        if turn.look_again:
            time.sleep(LOOK_EVERY)
            continue
        refuse_unrentable(quote=quote, command=command)
        turnstile.let_in()
        refuse_coupon(quote=quote)  # counted like a checkout: codes aren't guessed for nothing
        changes = judged_changes(shop=shop, command=command, quote=quote, again=judged)
        judged = True
        try:
            refuse_short(shop=shop, quote=quote)
            # Asks Stripe where a tax rate is new to the account; no tx.
            quote = replace(quote, tax=known_to_stripe(quote.tax, shop=shop, access=stripe.selling()))
            account = stripe.selling().scope.account
            claim = partial(claim_attempt, shop=shop, command=command, quote=quote, changes=changes, account=account)
            attempt = through_routes(shop_id=shop.shop_id, work=claim)  # tx 1
        except LostTheClaim:
            continue
        except (InsufficientStock, InventoryUnavailable) as shortage:
            keys = keys_in_the_way(shortage)
            if not freed and free_overdue(shop_id=shop.shop_id, variant_keys=keys, now=timezone.now()):
                freed = True
                continue
            REJECTED_STOCK.labels(shop_id=shop.shop_id).inc()
            raise
        if (session := open_session(shop=shop, attempt=attempt, stripe=stripe)) is not None:  # no tx, then tx 2
            CREATE_SECONDS.labels(shop_id=shop.shop_id).observe(time.monotonic() - began)
            return answer_open(attempt=attempt, session=session, created=True)
    raise PaymentUnknown


def read_wanted(*, shop: ShopContext, command: StartCheckout) -> Wanted:
    """The lines to buy: the request's own items, else the cart's, with the prices the cart showed last."""
    if command.items is not None:
        return Wanted(command.items, None)
    if command.cart_id is None:
        return Wanted((), None)
    cart = cart_snapshot(shop_id=shop.shop_id, cart_id=command.cart_id)
    return Wanted(
        tuple(
            WantedLine(
                sku=line.sku,
                variant_key=line.variant_key,
                quantity=line.quantity,
                options=line.options,
                rental_start=line.rental_start,
                rental_end=line.rental_end,
                shown_amount=line.shown_amount,
                shown_currency=line.shown_currency,
            )
            for line in cart.lines
        ),
        cart.generation,
    )


def judged_changes(
    *, shop: ShopContext, command: StartCheckout, quote: Quote, again: bool = False
) -> list[dict[str, Any]]:
    """What the answer tells of drift. Raises PriceChanged where the shop refuses it; counts it in every mode, once per
    request: `again` says that this one had to begin anew.
    """
    verdict = judge_drift(quote, command.seen, shop.policy)
    if verdict.changes and not again:
        REPRICE_DRIFT.labels(shop_id=shop.shop_id, mode=shop.policy.reprice_policy).inc()
    if verdict.refuses:
        raise PriceChanged(verdict.changes, quote.currency)
    return [change.as_json() for change in verdict.changes] if verdict.tells else []


def refuse_short(*, shop: ShopContext, quote: Quote) -> None:
    """The look before the payment in a shop that takes its stock when it is paid. Raises InsufficientStock,
    InventoryUnavailable. Under the emergency bypass nobody looks, and that is counted and logged each time.
    """
    if shop.policy.skip_inventory_validation:
        UNCHECKED.labels(shop_id=shop.shop_id).inc()
        log.warning("inventory_validation_skipped", shop_id=shop.shop_id)
        return
    if shop.policy.holds_stock:
        return
    lines = combined(quote.hold_lines())
    if has_periods(lines):
        if taken := short_periods(shop_id=shop.shop_id, lines=lines):
            raise RentalUnavailable(taken)
        return
    available = available_for_lines(shop_id=shop.shop_id, lines=lines)
    short = [
        Shortage(line.sku, line.variant_key, line.quantity, available[line.variant_key])
        for line in lines
        if available[line.variant_key] < line.quantity
    ]
    if short:
        raise InsufficientStock(short)


# ---------------------------------------------------------------- repeats, rivals and what is bought already
@dataclass(frozen=True, slots=True)
class Turn:
    """What a look at the attempts yields: an answer, a reason to look again, or (neither) a free slot."""

    answer: CheckoutAnswer | None = None
    look_again: bool = False


LOOK_AGAIN = Turn(look_again=True)


def replay_or_supersede(
    *,
    shop: ShopContext,
    command: StartCheckout,
    wanted: Wanted,
    quote: Quote,
    stripe: AccessOnce,
    turnstile: Turnstile,
) -> Turn:
    """Answers a repeat with what it repeats, ends what the cart has moved away from, or finds the slot free."""
    claim = claim_of(command, quote.generation)
    attempts = claimants(shop_id=shop.shop_id, claim=claim)
    for attempt in attempts:
        if attempt.state == State.CLOSED:
            continue
        if same_intent(shop=shop, attempt=attempt, command=command, quote=quote, stripe=stripe):
            return replay(shop=shop, attempt=attempt, stripe=stripe)
        if (attempt.cart_generation or 0) > (quote.generation or 0):
            return LOOK_AGAIN  # the cart has moved on since it was read
        if attempt.cart_generation == quote.generation:
            # The same cart, priced otherwise: perhaps by us, a moment too early.
            quote = reprice(shop=shop, command=command, wanted=wanted.lines, generation=wanted.generation)
            if same_intent(shop=shop, attempt=attempt, command=command, quote=quote, stripe=stripe):
                return LOOK_AGAIN
        turnstile.let_in()  # who may not begin another keeps the one that is open
        refuse_coupon(quote=quote, instead_of=attempt)
        return end_first(shop=shop, attempt=attempt, reason="Superseded by a newer checkout")
    return Turn(answer=answer_finished(attempt=attempts[-1])) if attempts else Turn()


def end_first(*, shop: ShopContext, attempt: CheckoutAttempt, reason: str) -> Turn:
    """Ends what stands in the claim's way. Raises PaymentUnknown when Stripe can't: asking on and on won't help it."""
    left = close_checkout(shop=shop, attempt_id=attempt.pk, reason=reason, acting=CUSTOMER)
    if left.state == State.CLOSING and not left.is_leased:
        raise PaymentUnknown
    return LOOK_AGAIN


def replay(*, shop: ShopContext, attempt: CheckoutAttempt, stripe: AccessOnce) -> Turn:
    """A repeat of an unfinished attempt. Stripe is asked whether its session is still open before it is answered."""
    if attempt.state == State.CLOSING:
        return end_first(shop=shop, attempt=attempt, reason=attempt.closing_reason)
    if attempt.state in {State.SENDING, State.UNKNOWN}:
        if not end_by_clock(attempt=attempt, now=timezone.now()):  # a day later the customer is first to come
            resend(shop=shop, attempt=attempt)  # nothing happens while its sender's lease is alive
        attempt.refresh_from_db(fields=["state", "session_id", "lease_until"])
        if attempt.state == State.UNKNOWN and not attempt.is_leased:  # else a twin is asking just now
            raise PaymentUnknown
        return LOOK_AGAIN
    if attempt.state != State.OPEN or attempt.session_id is None:
        return LOOK_AGAIN
    try:
        session = read_session(stripe.to(attempt.stripe_account), attempt.session_id)
        if judge_session(session) is SessionVerdict.OPEN:
            return Turn(answer=answer_open(attempt=attempt, session=session, created=False))
        settle_session(shop=shop, session_id=session.id)
    except StripeFailure as failure:
        raise PaymentUnknown from failure
    return LOOK_AGAIN


def open_session(*, shop: ShopContext, attempt: CheckoutAttempt, stripe: AccessOnce) -> SessionFacts | None:
    """Sends the claimed attempt's request. None when it was superseded meanwhile: its session is made unpayable.

    Raises PaymentRejected, hold given back, when Stripe refused; PaymentUnknown, hold kept, when it didn't say.
    """
    access = stripe.to(attempt.stripe_account)
    try:
        make_coupon(access, attempt)  # no tx
        session = create_session(access, params=attempt.stripe_params, key=attempt.stripe_key)  # no tx
    except StripeFailure as failure:
        classify = settings.ENABLE_STRIPE_ERROR_CLASSIFICATION
        if settle_failure(attempt=attempt, failure=failure, classify=classify):  # tx 2
            raise PaymentRejected(failure.code or failure.kind) from failure
        raise PaymentUnknown from failure
    if record_session(attempt=attempt, session=session, livemode=access.scope.livemode):  # tx 2
        return session
    expire_and_settle(shop=shop, session_id=session.id, account=attempt.stripe_account)
    return None


def answer_bought(*, shop: ShopContext, command: StartCheckout) -> CheckoutAnswer:
    """Nothing left to buy: a repost after payment gets its order; a cart that was always empty is refused."""
    bought = newest_attempt(shop_id=shop.shop_id, claim=claim_of(command, None))
    completed = bought is not None and bought.outcome == CheckoutAttempt.Outcome.COMPLETED
    if bought is None or not completed or bought.order.status == Order.Status.FAILED:
        raise InvalidRequest("The cart is empty.", {"cart": ["The cart is empty."]})
    return answer_finished(attempt=bought)


# ---------------------------------------------------------------- answers
def answer_open(*, attempt: CheckoutAttempt, session: SessionFacts, created: bool) -> CheckoutAnswer:
    return _answer(attempt, created=created, url=session.url, client_secret=session.client_secret)


def answer_finished(*, attempt: CheckoutAttempt) -> CheckoutAnswer:
    return _answer(attempt, created=False, url="", client_secret="")


def _answer(attempt: CheckoutAttempt, *, created: bool, url: str, client_secret: str) -> CheckoutAnswer:
    order = attempt.order
    return CheckoutAnswer(
        created=created,
        session_id=attempt.session_id or "",
        url=url,
        client_secret=client_secret,
        ui_mode=str(attempt.stripe_params["ui_mode"]),
        mode=str(attempt.stripe_params["mode"]),
        order_id=order.pk,
        hold_id=attempt.hold_id,
        expires_at=attempt.session_expires_at,
        amounts=Amounts(
            subtotal=order.subtotal_amount,
            discount=order.discount_amount,
            shipping=order.shipping_amount,
            tax=order.tax_amount,
            deposit=order.deposit_amount,
            total=order.total_amount,
            deposit_authorised=order.deposit_authorised_amount,
        ),
        currency=order.currency,
        changes=attempt.changes,
    )

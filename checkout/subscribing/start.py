"""Turning a wish for a plan into one payable session. Repeats converge; what a browser says of prices never counts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.utils import timezone

from checkout.claims import LostTheClaim
from checkout.errors import ClientKeyConflict, CouponRejected, PaymentRejected, PaymentUnknown
from checkout.rate_limit import Turnstile
from checkout.settle import SessionVerdict, judge_session
from checkout.start import LOOK_EVERY, PATIENCE
from checkout.subscribing.attempts import (
    Outcome,
    State,
    claim_attempt,
    digest_of,
    end_by_clock,
    record_session,
    refuse_second,
    settle_failure,
    slot_of,
)
from checkout.subscribing.closing import close_attempt, expire_and_settle, resend
from checkout.subscribing.contracts import StartSubscription, SubscribeAnswer
from checkout.subscribing.models import SubscribeAttempt
from checkout.subscribing.request import client_digest
from checkout.subscribing.settle import settle_subscribing
from commerce.coupons.terms import Refusal
from commerce.gateway.client import AccessOnce, create_session, read_session
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.sessions import SessionFacts
from commerce.plans.at_stripe import price_at_stripe
from commerce.plans.offers import Terms, offered_plan, terms_of
from commerce.rentals.periods import shop_today
from commerce.taxes.rates import rate_at_stripe, rates_on
from tenants.context import ShopContext

log = structlog.get_logger(__name__)

STATIC = "static"


@dataclass(frozen=True, slots=True)
class Turn:
    """What a look at earlier attempts yields: an answer, a reason to look again, or (neither) a free slot."""

    answer: SubscribeAnswer | None = None
    look_again: bool = False


LOOK_AGAIN = Turn(look_again=True)


def start_subscription(*, shop: ShopContext, command: StartSubscription, turnstile: Turnstile) -> SubscribeAnswer:
    """One session for the customer and the plan, or for the client's key; who pays it has a subscription.

    Raises UnknownPlan, CouponRejected, ClientKeyConflict, AlreadySubscribed, RateLimited, PaymentRejected,
    PaymentUnknown, InventoryBusy. Never calls Stripe inside a transaction.
    """
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        stripe = AccessOnce(shop)
        refuse_other_request_under_key(shop=shop, command=command)
        turn = keyed_repeat(shop=shop, command=command, stripe=stripe)
        if turn.answer is None and not turn.look_again:
            terms = offered_plan(shop_id=shop.shop_id, code=command.plan_code, currency=shop.policy.currency)
            turn = replay_or_supersede(shop=shop, command=command, terms=terms, stripe=stripe, turnstile=turnstile)
        if turn.answer is not None:
            return turn.answer
        if turn.look_again:
            time.sleep(LOOK_EVERY)
            continue
        turnstile.let_in()
        if command.coupon_code:
            raise CouponRejected(Refusal.PRODUCTS)
        refuse_second(shop_id=shop.shop_id, command=command)
        price_id, tax_rate = known_to_stripe(shop=shop, terms=terms, stripe=stripe)  # asks Stripe where new, no tx
        try:
            attempt = claim_attempt(
                shop=shop, command=command, terms=terms, account=stripe.selling().scope.account, price_id=price_id,
                tax_rate=tax_rate,
            )  # tx 1  # fmt: skip
        except LostTheClaim:
            continue
        if (session := open_session(shop=shop, attempt=attempt, stripe=stripe)) is not None:  # no tx, then tx 2
            return answer(attempt, terms, session=session, created=True)
    raise PaymentUnknown


def known_to_stripe(*, shop: ShopContext, terms: Terms, stripe: AccessOnce) -> tuple[str, str]:
    """The plan's price and the shop's own tax rate, as the account that is sold on calls them; no rate: empty.

    A subscription is taxed where the shop is at home: nobody's address is known before the payment, and the rate stays
    with the subscription. Shops that sell abroad leave it to Stripe. Raises PaymentRejected, PaymentUnknown.
    """
    try:
        inclusive, tax_rate = shop.policy.tax.inclusive, ""
        if shop.policy.tax.mode == STATIC:
            table = rates_on(shop_id=shop.shop_id, day=shop_today(shop))
            if (rate := table.of(shop.policy.tax.country)) is not None:
                tax_rate = rate_at_stripe(access=stripe.selling(), shop_id=shop.shop_id, rate=rate)
        price_id = price_at_stripe(
            access=stripe.selling(), shop_id=shop.shop_id, terms=terms, locale=shop.policy.default_locale,
            inclusive=inclusive,
        )  # fmt: skip
    except StripeFailure as failure:
        if failure.verdict is Verdict.REFUSED and settings.ENABLE_STRIPE_ERROR_CLASSIFICATION:
            raise PaymentRejected(failure.code or failure.kind) from failure
        raise PaymentUnknown from failure
    return price_id, tax_rate


def refuse_other_request_under_key(*, shop: ShopContext, command: StartSubscription) -> None:
    """Raises ClientKeyConflict when the client's key stood for another request before, finished or not."""
    if command.client_key is None:
        return
    earlier = SubscribeAttempt.objects.for_shop(shop.shop_id).filter(client_key=command.client_key)
    if earlier.exclude(digest=client_digest(command)).exists():
        raise ClientKeyConflict("This Idempotency-Key was used for another request.")


def keyed_repeat(*, shop: ShopContext, command: StartSubscription, stripe: AccessOnce) -> Turn:
    """A repeat under a client's key is answered even when its plan isn't offered any more."""
    if command.client_key is None:
        return Turn()
    newest = newest_attempt(shop=shop, command=command)
    if newest is None or (newest.state == State.CLOSED and newest.outcome != Outcome.COMPLETED):
        return Turn()
    return replay(shop=shop, attempt=newest, stripe=stripe)


def newest_attempt(*, shop: ShopContext, command: StartSubscription) -> SubscribeAttempt | None:
    attempts = SubscribeAttempt.objects.for_shop(shop.shop_id).filter(slot_of(command))
    return attempts.select_related("version__plan").order_by("-created_at").first()


def replay_or_supersede(
    *, shop: ShopContext, command: StartSubscription, terms: Terms, stripe: AccessOnce, turnstile: Turnstile
) -> Turn:
    """Answers a repeat with what it repeats, ends what the customer has moved away from, or finds the slot free."""
    newest = newest_attempt(shop=shop, command=command)
    if newest is None or newest.state == State.CLOSED:
        return Turn()
    account = stripe.selling().scope.account
    if newest.digest == digest_of(shop=shop, command=command, terms=terms, account=account):
        return replay(shop=shop, attempt=newest, stripe=stripe)
    turnstile.let_in()  # who may not begin another keeps the one that is open
    return end_first(shop=shop, attempt=newest, reason="Superseded by a newer request")


def end_first(*, shop: ShopContext, attempt: SubscribeAttempt, reason: str) -> Turn:
    left = close_attempt(shop=shop, attempt_id=attempt.pk, reason=reason)
    if left.state == State.CLOSING and not left.is_leased:
        raise PaymentUnknown
    return LOOK_AGAIN


def replay(*, shop: ShopContext, attempt: SubscribeAttempt, stripe: AccessOnce) -> Turn:
    """A repeat. Stripe is asked whether the session is still open before it is answered."""
    terms = terms_of(attempt.version)
    if attempt.state == State.CLOSED:
        return Turn(answer=answer(attempt, terms, session=None, created=False))
    if attempt.state == State.CLOSING:
        return end_first(shop=shop, attempt=attempt, reason=attempt.closing_reason)
    if attempt.state in {State.SENDING, State.UNKNOWN}:
        if not end_by_clock(attempt=attempt, now=timezone.now()):
            resend(shop=shop, attempt=attempt)  # nothing happens while its sender's lease is alive
        attempt.refresh_from_db(fields=["state", "session_id", "lease_until"])
        if attempt.state == State.UNKNOWN and not attempt.is_leased:
            raise PaymentUnknown
        return LOOK_AGAIN
    try:
        session = read_session(stripe.to(attempt.stripe_account), str(attempt.session_id))
        if judge_session(session) is SessionVerdict.OPEN:
            return Turn(answer=answer(attempt, terms, session=session, created=False))
        settle_subscribing(shop=shop, session_id=session.id)
    except StripeFailure as failure:
        raise PaymentUnknown from failure
    return LOOK_AGAIN


def open_session(*, shop: ShopContext, attempt: SubscribeAttempt, stripe: AccessOnce) -> SessionFacts | None:
    """Sends the claimed attempt's request. None when it was superseded meanwhile: its session is made unpayable.

    Raises PaymentRejected when Stripe refused, PaymentUnknown when it didn't say.
    """
    access = stripe.to(attempt.stripe_account)
    try:
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


def answer(attempt: SubscribeAttempt, terms: Terms, *, session: SessionFacts | None, created: bool) -> SubscribeAnswer:
    """Of an open session with its address, of a finished one without. What is paid now is Stripe's sum where it is
    known, since taxes may be on top.
    """
    due = 0 if terms.trial_days else terms.amount * attempt.quantity
    return SubscribeAnswer(
        created=created,
        session_id=attempt.session_id or "",
        url=session.url if session else "",
        client_secret=session.client_secret if session else "",
        ui_mode=str(attempt.stripe_params["ui_mode"]),
        plan_code=attempt.plan_code,
        quantity=attempt.quantity,
        trial_days=terms.trial_days,
        unit_amount=terms.amount,
        subtotal=due,
        total=session.total if session else due,
        currency=terms.currency,
        expires_at=attempt.session_expires_at,
    )

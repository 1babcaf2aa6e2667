"""An attempt's steps, each one transaction; none calls Stripe. The rules are those of checkout/attempts.py."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from checkout.attempts import CLOCK_MARGIN, UNRECORDED, never_made
from checkout.claims import LostTheClaim
from checkout.locks import checkout_tx
from checkout.new_attempt import LEASE
from checkout.stripe_session import session_expiry
from checkout.subscribing.contracts import StartSubscription
from checkout.subscribing.errors import AlreadySubscribed
from checkout.subscribing.models import SubscribeAttempt
from checkout.subscribing.request import client_digest, intent_digest, session_params
from commerce.gateway.failures import StripeFailure, Verdict
from commerce.gateway.sessions import SessionFacts
from commerce.models import Subscription
from commerce.plans.offers import Terms
from tenants.context import ShopContext
from tenants.errors import UnknownHost
from tenants.models import Host
from tenants.ownership import StripeScope, record_ownership

State, Outcome = SubscribeAttempt.State, SubscribeAttempt.Outcome

SLOTS = ("subscribe_one_open_per_customer", "subscribe_one_open_per_key")
# Stripe's words for a subscription that nobody has any more.
OVER = (Subscription.Status.CANCELED, Subscription.Status.INCOMPLETE_EXPIRED)


def slot_of(command: StartSubscription) -> Q:
    """Whose attempts stand in one another's way: those under the client's key, else the customer's for this plan."""
    if command.client_key is not None:
        return Q(client_key=command.client_key)
    return Q(client_key__isnull=True, plan_code=command.plan_code, email=command.customer)


def digest_of(*, shop: ShopContext, command: StartSubscription, terms: Terms, account: str) -> str:
    """A client's key stands for what the client sent; without one everything that the session says counts."""
    if command.client_key is not None:
        return client_digest(command)
    return intent_digest(shop=shop, command=command, terms=terms, account=account)


def claim_attempt(
    *, shop: ShopContext, command: StartSubscription, terms: Terms, account: str, price_id: str, tax_rate: str
) -> SubscribeAttempt:
    """tx 1: the attempt with the exact request, or nothing. The first send counts beforehand.

    Raises LostTheClaim, AlreadySubscribed, InventoryBusy; UnknownHost when the host has moved meanwhile.
    """
    now, attempt_id = timezone.now(), uuid7()
    expires_at = session_expiry(created_at=now, hold_ttl_seconds=shop.policy.hold_ttl_seconds)
    attempt = SubscribeAttempt(
        id=attempt_id,
        shop_id=shop.shop_id,
        version_id=terms.version_id,
        plan_code=terms.code,
        email=command.customer,
        quantity=command.quantity,
        client_key=command.client_key,
        digest=digest_of(shop=shop, command=command, terms=terms, account=account),
        stripe_account=account,
        stripe_key=f"subscribe:{shop.shop_id}:{attempt_id}",
        stripe_params=session_params(
            shop=shop, command=command, terms=terms, price_id=price_id, tax_rate=tax_rate, attempt_id=attempt_id,
            expires_at=expires_at,
        ),
        session_expires_at=expires_at,
        sends=1,
        lease_until=now + LEASE,
        request_id=shop.request_id,
        created_at=now,
    )  # fmt: skip
    try:
        with checkout_tx(shop.shop_id):
            attempt.save(force_insert=True)
            # The slot is ours, but a late payment may complete an earlier attempt in place: that one is locked first.
            earlier = SubscribeAttempt.objects.for_shop(shop.shop_id).filter(slot_of(command)).exclude(pk=attempt_id)
            list(earlier.order_by("pk").select_for_update(no_key=True).only("pk"))
            if command.client_key is not None and earlier.filter(outcome=Outcome.COMPLETED).exists():
                raise LostTheClaim
            refuse_second(shop_id=shop.shop_id, command=command)
            if shop.host and not Host.objects.filter(hostname=shop.host, shop_id=shop.shop_id).exists():
                raise UnknownHost("This host belongs to another shop by now.")
    except IntegrityError as error:
        if any(slot in str(error) for slot in SLOTS):
            raise LostTheClaim from error
        raise
    return attempt


def refuse_second(*, shop_id: str, command: StartSubscription) -> None:
    """Raises AlreadySubscribed for a customer who has this plan: a page that is sent twice must not charge twice.

    A client's own key says that this is meant. Until Stripe has told what became of a subscription, it counts as there.
    """
    if command.client_key is not None:
        return
    bought = SubscribeAttempt.objects.for_shop(shop_id).filter(
        plan_code=command.plan_code, email=command.customer, outcome=Outcome.COMPLETED
    )
    names = set(bought.values_list("subscription_id", flat=True))
    ended = Subscription.objects.for_shop(shop_id).filter(subscription_id__in=names, status__in=OVER)
    if names - set(ended.values_list("subscription_id", flat=True)):
        raise AlreadySubscribed


def record_session(*, attempt: SubscribeAttempt, session: SessionFacts, livemode: bool) -> bool:
    """tx 2: the attempt has its session, and from here on its address may be answered.

    False when the attempt was closed meanwhile: the caller makes the session unpayable and answers no address.
    """
    attempts = SubscribeAttempt.objects.for_shop(attempt.shop_id).filter(pk=attempt.pk)
    with checkout_tx(attempt.shop_id):
        recorded = attempts.filter(state__in=[State.SENDING, State.UNKNOWN]).update(
            state=State.OPEN, session_id=session.id, url_answered=True, lease_until=None
        )
        record_ownership(
            scope=StripeScope(livemode=livemode, account=attempt.stripe_account),
            shop_id=attempt.shop_id,
            objects=[("checkout.session", session.id)],
            source="checkout",
        )
    # Otherwise a twin or the resolver was faster, perhaps with the very same session.
    if not recorded and not attempts.filter(state=State.OPEN, session_id=session.id).exists():
        return False
    attempt.state, attempt.session_id = State.OPEN, session.id
    return True


def settle_failure(*, attempt: SubscribeAttempt, failure: StripeFailure, classify: bool) -> bool:
    """After a failed send. True when it is certain that no session exists: every send was refused, or Stripe refused it
    as too late. `classify` false (a setting) treats every failure as unknown.
    """
    refused = classify and failure.verdict is Verdict.REFUSED
    with checkout_tx(attempt.shop_id):
        locked = locked_attempt(shop_id=attempt.shop_id, attempt_id=attempt.pk)
        if locked.state not in UNRECORDED or locked.session_id is not None:
            return locked.outcome in {Outcome.REFUSED, Outcome.NEVER_MADE}
        locked.refusals += refused
        if locked.state == State.SENDING:
            locked.state = State.UNKNOWN
        locked.lease_until = None
        locked.save(update_fields=["state", "refusals", "lease_until"])
        now = timezone.now()
        if refused and never_made(attempt=locked, failure=failure, now=now):
            close_within(attempt=locked, outcome=Outcome.NEVER_MADE, now=now)
            return True
        if refused and locked.refusals == locked.sends:
            close_within(attempt=locked, outcome=Outcome.REFUSED, now=now)
            return True
    return False


def end_by_clock(*, attempt: SubscribeAttempt, now: datetime) -> bool:
    """Ends an attempt whose session nobody was ever shown, once that session can't be payable any more."""
    if now < attempt.session_expires_at + CLOCK_MARGIN:
        return False
    with checkout_tx(attempt.shop_id):
        locked = locked_attempt(shop_id=attempt.shop_id, attempt_id=attempt.pk)
        shown = locked.url_answered or locked.session_id is not None
        if locked.state in {State.OPEN, State.CLOSED} or shown:
            return False
        close_within(attempt=locked, outcome=Outcome.NEVER_MADE, now=now)
        return True


def mark_closing(*, shop_id: str, attempt_id: UUID, reason: str) -> SubscribeAttempt:
    """First step of every supersede and cancel: from here on no address is answered. A repeat changes nothing."""
    with checkout_tx(shop_id):
        attempt = locked_attempt(shop_id=shop_id, attempt_id=attempt_id)
        if attempt.state in {State.SENDING, State.UNKNOWN, State.OPEN}:
            attempt.state, attempt.closing_reason = State.CLOSING, reason[:200]
            attempt.save(update_fields=["state", "closing_reason"])
    return attempt


def close_within(*, attempt: SubscribeAttempt, outcome: str, now: datetime) -> None:
    """Writes the end of a locked attempt. A completed session overrides an earlier end: late payments are real."""
    attempt.state, attempt.outcome, attempt.lease_until = State.CLOSED, outcome, None
    attempt.closed_at = attempt.closed_at or now
    attempt.save(
        update_fields=["state", "outcome", "lease_until", "closed_at", "session_id", "subscription_id"],
    )


def locked_attempt(*, shop_id: str, attempt_id: UUID) -> SubscribeAttempt:
    return SubscribeAttempt.objects.for_shop(shop_id).select_for_update(no_key=True).get(pk=attempt_id)

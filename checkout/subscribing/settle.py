"""How every session that sells a subscription ends. Stripe is asked first, then one transaction writes what it said."""

from __future__ import annotations

import structlog
from django.db.models import Q
from django.utils import timezone

from checkout.locks import checkout_tx
from checkout.settle import SessionVerdict, attempt_behind, judge_session, make_unpayable
from checkout.subscribing.attempts import Outcome, State, close_within, locked_attempt
from checkout.subscribing.models import SubscribeAttempt
from commerce.gateway.client import access_for_account, access_of, read_session
from commerce.gateway.sessions import SessionFacts
from commerce.subscriptions.mirror import mirror_invoice, mirror_subscription, name_subscriber
from tenants.context import ShopContext
from tenants.ownership import record_ownership

log = structlog.get_logger(__name__)

DONE = frozenset({SessionVerdict.PAID, SessionVerdict.PROCESSING})


def settle_subscribing(*, shop: ShopContext, session_id: str, account: str = "") -> SubscribeAttempt:
    """Brings the attempt to what Stripe says of its session, then reads the subscription that came of it. Any number of
    times.

    `account` as for `settle_session`. Raises StripeFailure when Stripe can't be read, SessionUnknown when no attempt of
    this shop stands behind the session, InventoryBusy when locks are taken for too long.
    """
    recorded = SubscribeAttempt.objects.for_shop(shop.shop_id).filter(session_id=session_id).first()
    account = (recorded and recorded.stripe_account) or account or access_of(shop).scope.account
    access = access_for_account(shop, account)
    session = read_session(access, session_id)  # no tx
    verdict = judge_session(session)
    attempt_id = (
        recorded.pk if recorded else attempt_behind(SubscribeAttempt, shop=shop, access=access, session=session)
    )
    rivals: list[SubscribeAttempt] = []
    with checkout_tx(shop.shop_id):
        now = timezone.now()
        attempt = locked_attempt(shop_id=shop.shop_id, attempt_id=attempt_id)
        attempt.session_id = session.id
        record_ownership(
            scope=access.scope,
            shop_id=shop.shop_id,
            objects=[
                ("checkout.session", session.id),
                ("subscription", session.subscription_id),
                ("invoice", session.invoice_id),
            ],
            source="settle",
        )
        if verdict in DONE and attempt.outcome != Outcome.COMPLETED:
            attempt.subscription_id = session.subscription_id
            close_within(attempt=attempt, outcome=Outcome.COMPLETED, now=now)
            rivals = _end_rivals_within(attempt)
        elif verdict in {SessionVerdict.EXPIRED, SessionVerdict.PAYMENT_FAILED} and attempt.state != State.CLOSED:
            close_within(attempt=attempt, outcome=Outcome.EXPIRED, now=now)
    log.info("subscribing_settled", session_id=session.id, verdict=verdict.value, attempt_id=str(attempt_id))
    for rival in rivals:
        make_unpayable(shop=shop, rival=rival, settle=settle_subscribing)
    if verdict in DONE and session.subscription_id:
        _read_subscription(shop, attempt, session)
    return attempt


def _read_subscription(shop: ShopContext, attempt: SubscribeAttempt, session: SessionFacts) -> None:
    account, subscription_id = attempt.stripe_account, session.subscription_id
    if session.invoice_id:
        mirror_invoice(shop=shop, account=account, invoice_id=session.invoice_id)
    else:
        mirror_subscription(shop=shop, account=account, subscription_id=subscription_id)
    name_subscriber(shop_id=shop.shop_id, account=account, subscription_id=subscription_id, email=attempt.email)


def _end_rivals_within(attempt: SubscribeAttempt) -> list[SubscribeAttempt]:
    """Closes the doors of what would sell the same plan to the same customer again: a payment landed after its session
    had expired and another had been opened. Returned are those with a session to expire.
    """
    slot = Q(client_key=attempt.client_key) if attempt.client_key else Q(
        client_key__isnull=True, plan_code=attempt.plan_code, email=attempt.email
    )  # fmt: skip
    rivals = SubscribeAttempt.objects.for_shop(attempt.shop_id).unfinished().filter(slot).exclude(pk=attempt.pk)
    found = list(rivals.order_by("pk").select_for_update(no_key=True))
    for rival in found:
        rival.state, rival.closing_reason = State.CLOSING, "Another session was paid"
        rival.save(update_fields=["state", "closing_reason"])
    return [rival for rival in found if rival.session_id is not None]

"""Checkout's answer to inventory: a hold that a checkout owns ends with its session and in no other way.

Named by INVENTORY_RELEASE_GUARD. The reaper comes here for holds with a session: expired at Stripe first, then freed; a
paid one is committed instead.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Q
from django.utils import timezone

from checkout.closing import close_checkout
from checkout.models import CheckoutAttempt
from commerce.gateway.client import at_most
from commerce.models import Order
from inventory.errors import HoldInCheckout
from inventory.models import Hold
from inventory.release_guard import GuardReport, HoldStory
from tenants.audit import REAPER
from tenants.context import bind_shop, load_shop

log = structlog.get_logger(__name__)
State = CheckoutAttempt.State

# Expire and read are two calls each: ten endings a second stay under Stripe's 25 requests a second in a sandbox.
SECONDS_PER_ENDING = 0.1
# Sessions of others that a waiting customer's request ends at most.
FREE_AT_MOST = 5
# How long a look at one checkout counts, so that reapers side by side don't ask Stripe the same.
LOOKED_AT = timedelta(seconds=50)


class CheckoutReleaseGuard:
    """Implements inventory's ReleaseGuard."""

    def refuse_finish(self, *, shop_id: str, hold_id: UUID, held_for: str) -> None:
        if held_for == Hold.HeldFor.CHECKOUT:
            raise HoldInCheckout

    def refuse_extend(self, *, shop_id: str, hold_id: UUID, until: datetime) -> None:
        attempt = (
            CheckoutAttempt.objects.for_shop(shop_id).select_for_update(no_key=True).filter(hold_id=hold_id).first()
        )
        if attempt is None:
            return
        if attempt.state == State.CLOSING:
            raise HoldInCheckout("The checkout that owns this hold is being closed.")
        if attempt.state != State.CLOSED and until > attempt.session_expires_at:
            raise HoldInCheckout("A hold can't outlive its payment session.")

    def reap_overdue(self, *, now: datetime, limit: int) -> GuardReport:
        due = list(
            CheckoutAttempt.objects.filter(hold__status=Hold.Status.ACTIVE, hold__expires_at__lte=now)
            .filter(Q(checked_at__isnull=True) | Q(checked_at__lte=now - LOOKED_AT), state=State.OPEN)
            .order_by("hold__expires_at")[:limit]
        )
        outcomes = []
        for attempt in due:
            outcomes.append(_end(attempt, now))
            time.sleep(SECONDS_PER_ENDING)
        return GuardReport(
            found=len(due),
            expired=outcomes.count("given_back"),
            committed=outcomes.count(Hold.Status.COMMITTED),
            kept=outcomes.count(Hold.Status.ACTIVE),
            failed=outcomes.count("failed"),
        )

    def free_overdue(self, *, shop_id: str, hold_ids: Sequence[UUID], within_seconds: float) -> int:
        until = time.monotonic() + within_seconds
        now = timezone.now()
        freed = 0
        due = CheckoutAttempt.objects.for_shop(shop_id).filter(hold_id__in=hold_ids, state=State.OPEN)
        for attempt in due.order_by("hold__expires_at")[:FREE_AT_MOST]:
            left = until - time.monotonic()
            if left <= 0:
                break
            # Two calls share what is left; when Stripe is slower than that, the resolver finishes the closing.
            with at_most(max(left * 0.5, 0.1)):
                freed += _end(attempt, now) == "given_back"
        return freed

    def tell(self, *, hold_ids: Sequence[UUID]) -> Mapping[UUID, HoldStory]:
        attempts = CheckoutAttempt.objects.filter(hold_id__in=list(hold_ids)).select_related("order", "cart")
        return {
            attempt.hold_id: _story(attempt)
            for attempt in attempts.defer("stripe_params")
            if attempt.hold_id is not None
        }


def _story(attempt: CheckoutAttempt) -> HoldStory:
    # Late: pages of the back office are made once every app is loaded, the guard already at boot.
    from commerce.admin.stripe_links import dashboard_url, is_live

    session, url = attempt.session_id or "", None
    if session:
        url = dashboard_url(session, account=attempt.stripe_account, livemode=is_live(session))
    return HoldStory(
        rows=tuple(row for row in (attempt.order, attempt, attempt.cart) if row is not None),
        session=session,
        session_url=url,
        then=_then(attempt),
        latest=attempt.session_expires_at,
    )


def _then(attempt: CheckoutAttempt) -> str:
    """What happens to the attempt's active hold when its time is up."""
    if attempt.order.status == Order.Status.PROCESSING:
        return "It stays: the payment is on its way, and the units are sold or given back by its outcome."
    match attempt.state:
        case State.OPEN:
            return "Its session is made unpayable at Stripe and the units go back on sale; if paid, they are sold."
        case State.CLOSING:
            return "It is being closed: the units go back as soon as Stripe says that nobody can pay any more."
        case State.CLOSED:
            return "Its checkout has ended and the hold hasn't: ask Stripe again on the order's page."
    return "The resolver finds out whether a session was made, and ends both or neither."


def _end(attempt: CheckoutAttempt, now: datetime) -> str:
    """Ends one overdue checkout. The hold's state after it, or `given_back`, `failed`, `elsewhere`."""
    seen = CheckoutAttempt.objects.filter(pk=attempt.pk, checked_at=attempt.checked_at).update(checked_at=now)
    if not seen:
        return "elsewhere"
    try:
        shop = load_shop(attempt.shop_id, request_id=attempt.request_id)
        with bind_shop(shop):
            close_checkout(shop=shop, attempt_id=attempt.pk, reason="Hold overdue", acting=REAPER, overdue_at=now)
        status = Hold.objects.values_list("status", flat=True).get(attempt=attempt)
    except Exception:
        # One poisoned checkout must not stop the rest; it is looked at again on the next run.
        log.exception("checkout_not_ended", attempt_id=str(attempt.pk), shop_id=attempt.shop_id)
        return "failed"
    return "given_back" if status in {Hold.Status.RELEASED, Hold.Status.EXPIRED} else str(status)

"""What is done about a difference between Stripe's books and ours: put right by Stripe's word, or dismissed."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from checkout.settle import SessionVerdict, settle_session
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext, bind_shop, load_shop
from tenants.errors import NotFound, WrongState
from tenants.staff import StaffScope
from webhooks.books import book_what_is_missing
from webhooks.handlers.refund import read_again
from webhooks.models import Finding

Kind, State = Finding.Kind, Finding.State


def fix_finding(*, finding_id: int, scope: StaffScope, reason: str, acting: Actor) -> str:
    """Does what the missed event would have done, by what Stripe says now; what came of it, in a sentence.

    Raises NotFound, also outside `scope`; WrongState where Stripe's word puts nothing right; StripeFailure,
    InventoryBusy. Audited.
    """
    finding = _visible(finding_id, scope)
    if finding.state != State.OPEN:
        raise WrongState(f"It is {finding.get_state_display().lower()}.")
    if finding.shop_id is None:
        raise WrongState("Whose it is isn't known: associate its event with a shop first.")
    shop = load_shop(finding.shop_id)
    with bind_shop(shop):
        said = _put_right(shop, finding)  # its own transactions around its calls of Stripe
    _close(finding, State.FIXED, reason=reason, acting=acting, now=timezone.now())
    return said


def dismiss_finding(*, finding_id: int, scope: StaffScope, reason: str, acting: Actor) -> None:
    """Says that nothing is to be done, and why. Later looks leave it so. Raises NotFound, WrongState. Audited."""
    finding = _visible(finding_id, scope)
    if finding.state != State.OPEN:
        raise WrongState(f"It is {finding.get_state_display().lower()}.")
    _close(finding, State.DISMISSED, reason=reason, acting=acting, now=timezone.now())


def _put_right(shop: ShopContext, finding: Finding) -> str:
    if finding.kind == Kind.REFUND_UNKNOWN:
        read_again(shop=shop, account=finding.account, refund_id=finding.object_id)
        return "The refund is booked."
    if finding.kind == Kind.JOURNAL_DIFFERS:
        return book_what_is_missing(shop=shop, account=finding.account, source=finding.object_id)
    if finding.object_id.startswith("cs_"):
        settled = settle_session(shop=shop, session_id=finding.object_id, account=finding.account)
        if settled.verdict is not SessionVerdict.PAID:
            raise WrongState("Stripe has no money for it: decide on the order's page, and dismiss this with a reason.")
        return f"The order is {settled.order_status}."
    raise WrongState("No checkout stands behind this charge: refund it at Stripe, or dismiss it with a reason.")


def _visible(finding_id: int, scope: StaffScope) -> Finding:
    finding = scope.rows(Finding.objects.filter(pk=finding_id), "shop").first()
    if finding is None:
        raise NotFound("There is no such finding.")
    return finding


@transaction.atomic(durable=True)
def _close(finding: Finding, state: Finding.State, *, reason: str, acting: Actor, now: datetime) -> None:
    Finding.objects.filter(pk=finding.pk, state=State.OPEN).update(state=state, closed_at=now, closed_by=str(acting))
    record_audit(
        shop_id=finding.shop_id,
        acting=acting,
        action=f"finding.{state}",
        object_type="finding",
        object_id=finding.pk,
        reason=reason,
        data={"kind": finding.kind, "object": finding.object_id, "amount": finding.amount},
    )

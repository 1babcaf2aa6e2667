"""Every night, Stripe's books against ours: money without an order, an order without money, refunds nobody knows of.

One look per account, allotted shop by shop. What is found is listed until it is fixed, dismissed with a reason, or gone
by itself; nothing is repaired by the look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db.models import Q

from checkout.settle import SessionVerdict, judge_session
from commerce.gateway.client import StripeAccess, platform_scope, read_session
from commerce.gateway.failures import StripeFailure
from commerce.gateway.listing import platform_access, read_all
from commerce.models import Charge, JournalEntry, Order, Refund
from commerce.money import from_stripe_amount
from tenants.errors import HoldfastError
from webhooks.catch_up import access_of_shop, accounts
from webhooks.models import Finding
from webhooks.resolution import resolve_shop

log = structlog.get_logger(__name__)
Kind, State = Finding.Kind, Finding.State

# What is younger is still being told and handled.
SETTLING: Final = timedelta(hours=1)
# A session lives for a day and its delayed payment for some more; the look at orders reads theirs one by one.
SESSION_LIFE: Final = timedelta(hours=26)
# Sales that were taken over from elsewhere were paid elsewhere.
OWN_SALES: Final = "checkout"
SETTLED: Final = (Order.Status.CONFIRMED, Order.Status.REVIEW, Order.Status.REFUNDED)


@dataclass(frozen=True, slots=True)
class Found:
    """A difference: `object_id` is Stripe's, or the order's own. Amounts in minor units of `currency`."""

    kind: str
    object_id: str
    shop_id: str | None
    order_number: str
    currency: str
    amount: int
    detail: str


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """Accounts compared, differences that are open after it, how many of them are new; accounts that failed."""

    accounts: int
    open: int
    new: int
    failed: tuple[str, ...]


def run_once(*, now: datetime, days: int = 2) -> ReconcileReport:
    """Compares what each account took and gave back in the last `days` with the orders. Asks Stripe; repairs nothing.

    An account that can't be read keeps no other waiting.
    """
    since, until = now - timedelta(days=days), now - SETTLING
    done, new, failed = 0, 0, []
    for credential in accounts():
        name = credential.account if credential else platform_scope().account
        try:
            access = platform_access() if credential is None else access_of_shop(credential)
            found = list(_differences(access, since=since, until=until))  # no tx
        except (StripeFailure, HoldfastError) as failure:
            log.error("account_not_reconciled", account=name, error=str(failure))
            failed.append(name)
            continue
        new += len(note(access, found, among=~Q(kind=Kind.JOURNAL_DIFFERS), since=since, now=now))
        done += 1
    left = Finding.objects.filter(state=State.OPEN).count()
    log.info("reconciled", accounts=done, open=left, new=new, failed=failed)
    return ReconcileReport(done, left, new, tuple(failed))


def _differences(access: StripeAccess, *, since: datetime, until: datetime) -> Iterator[Found]:
    paid = set()
    for session in read_all(access, "checkout.sessions", since=since - SESSION_LIFE, until=until):
        if session.get("status") == "complete" and session.get("payment_status") == "paid":
            paid.add(str(session["id"]))
            yield from _session_without_order(access, session)
    for charge in read_all(access, "charges", since=since, until=until):
        if charge.get("status") == "succeeded" and charge.get("captured"):
            yield from _charge_without_order(access, charge)
    for refund in read_all(access, "refunds", since=since, until=until):
        if refund.get("status") not in {"failed", "canceled"}:
            yield from _refund_without_record(access, refund)
    yield from _orders_without_money(access, paid, since=since, until=until)


def _session_without_order(access: StripeAccess, session: Mapping[str, Any]) -> Iterator[Found]:
    account = access.scope.account
    if _orders(account).filter(session_id=session["id"], status__in=SETTLED).exists():
        return
    if session.get("mode") == "subscription":
        return  # no order's: its money is its invoices'
    shop_id = resolve_shop(scope=access.scope, event_object=session).shop_id
    if shop_id is None and not (session.get("metadata") or {}).get("order_id"):
        return  # not made by this product: a payment link of the account's own, say
    order = _orders(account).filter(session_id=session["id"], shop_id=shop_id).first()
    currency = str(session["currency"]).upper()
    yield Found(
        Kind.MONEY_WITHOUT_ORDER, str(session["id"]), shop_id, order.number if order else "", currency,
        from_stripe_amount(int(session["amount_total"] or 0), currency),
        f"The session is paid, its order is {order.get_status_display().lower() if order else 'not there'}.",
    )  # fmt: skip


def _charge_without_order(access: StripeAccess, charge: Mapping[str, Any]) -> Iterator[Found]:
    """Only what says that this product made it. A session's own charge is told by the session."""
    metadata = charge.get("metadata") or {}
    intent = str(charge.get("payment_intent") or "")
    if not metadata.get("shop_id") or not intent:
        return
    account = access.scope.account
    named = _orders(account).filter(pk=_uuid(metadata.get("order_id"))).first()
    settled = _orders(account).filter(payment_intent_id=intent, status__in=SETTLED)
    booked = JournalEntry.objects.filter(source=charge["id"])
    if settled.exists() or booked.exists() or (named is not None and named.session_id):
        return
    currency = str(charge["currency"]).upper()
    shop_id = resolve_shop(scope=access.scope, event_object=charge).shop_id
    yield Found(
        Kind.MONEY_WITHOUT_ORDER, str(charge["id"]), shop_id, "", currency,
        from_stripe_amount(int(charge["amount_captured"]), currency), "A charge that no order and no booking knows.",
    )  # fmt: skip


def _refund_without_record(access: StripeAccess, refund: Mapping[str, Any]) -> Iterator[Found]:
    account = access.scope.account
    intent = str(refund.get("payment_intent") or "")
    order = _orders(account).filter(payment_intent_id=intent).first() if intent else None
    if order is None:
        order = _charged_order(account, refund)
        if order is None:
            return
    elif Refund.objects.for_shop(order.shop_id).filter(refund_id=refund["id"]).exists():
        return
    currency = str(refund["currency"]).upper()
    yield Found(
        Kind.REFUND_UNKNOWN, str(refund["id"]), order.shop_id, order.number, currency,
        from_stripe_amount(int(refund["amount"]), currency), "Stripe has given money back that isn't booked here.",
    )  # fmt: skip


def _charged_order(account: str, refund: Mapping[str, Any]) -> Order | None:
    """The order whose saved card a refunded charge was taken off, when that refund isn't booked though Stripe's is."""
    intent = str(refund.get("payment_intent") or "")
    rows = Charge.objects.filter(stripe_account=account, payment_intent_id=intent)
    row = rows.select_related("order").first() if intent and refund.get("balance_transaction") else None
    if row is None:
        return None
    booked = JournalEntry.objects.for_shop(row.shop_id).filter(kind=JournalEntry.Kind.REFUND, reference=refund["id"])
    return None if booked.exists() else row.order


def _orders_without_money(access: StripeAccess, paid: set[str], *, since: datetime, until: datetime) -> Iterator[Found]:
    orders = _orders(access.scope.account).filter(
        source=OWN_SALES, status__in=SETTLED, session_id__isnull=False, total_amount__gt=0,
        created_at__gte=since, created_at__lt=until,
    )  # fmt: skip
    for order in orders.order_by("pk").iterator(chunk_size=500):
        if order.session_id in paid:
            continue
        said = _without_money(access, str(order.session_id))
        if not said:
            continue
        yield Found(
            Kind.ORDER_WITHOUT_MONEY, str(order.session_id), order.shop_id, order.number, order.currency,
            order.total_amount,
            f"The order counts as paid; Stripe says: {said}.",
        )  # fmt: skip


def _without_money(access: StripeAccess, session_id: str) -> str:
    """What Stripe says of a session that isn't paid; empty for one that is."""
    try:
        session = read_session(access, session_id)
    except StripeFailure as failure:
        if not failure.not_found:
            raise
        return "there is no such session"
    if judge_session(session) is SessionVerdict.PAID:
        return ""
    return f"session {session.status}, payment {session.payment_status}"


def _orders(account: str) -> Any:
    return Order.objects.filter(stripe_account=account)


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def note(access: StripeAccess, found: list[Found], *, among: Q, since: datetime, now: datetime) -> list[int]:
    """Lists what was found; what of `among` was listed and isn't found any more is gone by itself.

    Returns the keys of those that weren't open before.
    """
    scope = {"livemode": access.scope.livemode, "account": access.scope.account}
    new = []
    for one in found:
        told = {"shop_id": one.shop_id, "order_number": one.order_number, "detail": one.detail, "seen_at": now}
        row, made = Finding.objects.get_or_create(
            **scope,
            kind=one.kind,
            object_id=one.object_id,
            defaults={**told, "currency": one.currency, "amount": one.amount, "found_at": now},
        )
        if made or row.state not in {State.OPEN, State.DISMISSED}:
            new.append(row.pk)
        if not made and row.state != State.DISMISSED:
            Finding.objects.filter(pk=row.pk).update(state=State.OPEN, closed_at=None, **told)
    open_ones = Finding.objects.filter(among, **scope, state=State.OPEN, found_at__gte=since, seen_at__lt=now)
    open_ones.update(state=State.GONE, closed_at=now)
    return new

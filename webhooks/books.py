"""Every night, each shop's journal against Stripe's balance, object by object. What differs is a finding, beside those
of the look at orders and payments (reconcile.py); nothing is repaired by the look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from commerce.disputes.mirror import mirror_dispute
from commerce.gateway.client import StripeAccess, access_for_account
from commerce.gateway.failures import StripeFailure
from commerce.gateway.reads import read_dispute
from commerce.ledger.fees import post_fee
from commerce.ledger.tie_out import Difference, TieOut, differences_of, tie_out
from commerce.models import JournalEntry, Order
from commerce.money import format_minor
from tenants.context import ShopContext
from tenants.database import as_system
from tenants.errors import HoldfastError, WrongState
from tenants.models import Shop
from webhooks.handlers.refund import read_again
from webhooks.models import Finding
from webhooks.reconcile import Found, note

log = structlog.get_logger(__name__)

# What has moved more lately is still being told and booked.
SETTLING: Final = timedelta(hours=1)
DAYS: Final = timedelta(days=3)
# An open difference is looked at again each night, for as long as anybody might still come to it.
LONGEST: Final = timedelta(days=60)
REFUNDS: Final = ("re_", "pyr_")
DISPUTES: Final = ("du_", "dp_", "pdp_")
# Disputes that nobody told us of are read one by one.
MOST_DISPUTES: Final = 100


def shops_with_books() -> list[str]:
    """Shops that ever took money, closed ones included. One query; the platform's."""
    booked = JournalEntry.objects.filter(shop_id=OuterRef("pk")).order_by().values("pk")[:1]
    return list(Shop.objects.filter(Exists(booked)).order_by("pk").values_list("pk", flat=True))


def compare(*, shop: ShopContext, now: datetime) -> list[int]:
    """Compares what moved the shop's money in the last days, or since its oldest open difference; lists what differs.

    Returns the keys of findings that are new. Asks Stripe; while an account can't be read, the log says so and nothing
    is changed.
    """
    since, resting = _since(shop, now), now - SETTLING
    with as_system():  # whose an object is, is asked over all shops
        try:
            reports = tie_out(shop=shop, since=since, until=resting, resting_since=resting)
        except (StripeFailure, HoldfastError) as failure:
            log.error("books_not_compared", shop_id=shop.shop_id, error=str(failure))
            return []
        new = [key for report in reports for key in _listed(shop, report, since=since, now=now)]
    differing = sum(len(report.differences) for report in reports)
    log.info("books_compared", shop_id=shop.shop_id, accounts=len(reports), differing=differing, new=len(new))
    return new


def book_what_is_missing(*, shop: ShopContext, account: str, source: str) -> str:
    """Reads the object behind a difference as any event about it would; what came of it, in a sentence.

    Raises WrongState where the two differ all the same, StripeFailure, CredentialsUnusable, InventoryBusy.
    """
    access = access_for_account(shop, account)
    if source.startswith(REFUNDS):
        read_again(shop=shop, account=account, refund_id=source)
    elif source.startswith(DISPUTES):
        mirror_dispute(shop=shop, account=account, dispute_id=source)
    else:
        orders = Order.objects.for_shop(shop.shop_id).filter(stripe_account=account, charge_id=source)
        for order in orders:
            post_fee(shop=shop, order_id=order.pk, now=timezone.now())
    if left := differences_of(shop=shop, access=access, source=source):
        raise WrongState(f"Nothing more is missing that Stripe could tell, and still: {_told(left)}")
    return "The journal has what Stripe has."


def _since(shop: ShopContext, now: datetime) -> datetime:
    with as_system():
        mine = Finding.objects.for_shop(shop.shop_id).filter(kind=Finding.Kind.JOURNAL_DIFFERS)
        oldest = mine.filter(state=Finding.State.OPEN).order_by("found_at").values_list("found_at", flat=True).first()
    return max(min(oldest or now, now) - DAYS, now - LONGEST)


def _listed(shop: ShopContext, report: TieOut, *, since: datetime, now: datetime) -> list[int]:
    access = access_for_account(shop, report.account)
    found = [*_found(shop, report.differences), *_untold_disputes(shop, access, report.unowned)]
    mine = Q(kind=Finding.Kind.JOURNAL_DIFFERS, shop_id=shop.shop_id)
    return note(access, found, among=mine, since=since, now=now)


def _found(shop: ShopContext, differences: Iterable[Difference]) -> Iterator[Found]:
    """One for each object, whatever the number of currencies in which it differs."""
    by_source: dict[str, list[Difference]] = {}
    for one in differences:
        by_source.setdefault(one.source, []).append(one)
    for source, gaps in by_source.items():
        yield Found(
            Finding.Kind.JOURNAL_DIFFERS, source, shop.shop_id, _order_number(shop.shop_id, source), gaps[0].currency,
            gaps[0].at_stripe - gaps[0].in_journal, _told(gaps)[:300],
        )  # fmt: skip


def _untold_disputes(shop: ShopContext, access: StripeAccess, unowned: Iterable[Difference]) -> Iterator[Found]:
    """Disputes of the shop's own orders that no event has told of, so that the map doesn't know them either. A refund
    that nobody told of is found by the look at refunds (reconcile.py).
    """
    for gap in [gap for gap in unowned if gap.source.startswith(DISPUTES)][:MOST_DISPUTES]:
        dispute = read_dispute(access, gap.source)
        orders = Order.objects.for_shop(shop.shop_id).filter(stripe_account=access.scope.account)
        order = orders.filter(payment_intent_id=dispute.intent_id).first() if dispute.intent_id else None
        if order is not None:
            yield Found(
                Finding.Kind.JOURNAL_DIFFERS, gap.source, shop.shop_id, order.number, gap.currency,
                gap.at_stripe - gap.in_journal, f"A dispute that nobody has told of. {_told([gap])}",
            )  # fmt: skip


def _order_number(shop_id: str, source: str) -> str:
    orders = Order.objects.for_shop(shop_id)
    number = orders.filter(journal_entries__source=source).values_list("number", flat=True).first()
    by_charge = orders.filter(charge_id=source) if not source.startswith((*REFUNDS, *DISPUTES)) else orders.none()
    by_refund = orders.filter(refunds__refund_id=source) if source.startswith(REFUNDS) else orders.none()
    return number or (by_charge | by_refund).values_list("number", flat=True).first() or ""


def _told(gaps: Iterable[Difference]) -> str:
    return " ".join(
        f"Stripe: {format_minor(gap.at_stripe, gap.currency, 'en')}, "
        f"the journal: {format_minor(gap.in_journal, gap.currency, 'en')}."
        for gap in gaps
    )

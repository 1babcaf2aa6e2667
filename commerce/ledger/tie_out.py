"""The journal held against Stripe's own books, object by object: whatever moved an account's balance is in the journal
with the same sum, and the journal's Stripe balance has nothing that Stripe doesn't have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, Sum

from commerce.gateway.balance import BalanceFacts, transactions_between, transactions_of
from commerce.gateway.client import StripeAccess, access_for_account, access_of
from commerce.ledger.accounts import CLEARING
from commerce.ledger.models import JournalEntry, JournalLine
from commerce.orders.models import Order
from commerce.subscriptions.models import Invoice
from tenants.context import ShopContext
from tenants.models import StripeObject

# What an object's first movement of the balance is. A reversal whose beginning isn't in the period is another's.
OPENING: Final = frozenset({"charge", "payment", "refund", "payment_refund"})
# Movements that always have an object of some shop behind them.
TRADE: Final = OPENING | {"refund_failure", "payment_failure_refund", "payment_refund_failure", "adjustment"}
# A sale may be settled days after Stripe has booked it: what the journal posted is looked for this far back.
LAG: Final = timedelta(days=7)
BATCH: Final = 1_000

Sums = dict[tuple[str, str], int]
"""`(Stripe object, currency)` → minor units."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One Stripe object whose sums differ, in minor units of `currency`."""

    source: str
    currency: str
    at_stripe: int
    in_journal: int

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "currency": self.currency,
            "atStripe": self.at_stripe,
            "inJournal": self.in_journal,
        }


@dataclass(slots=True)
class TieOut:
    """The comparison for one shop and one Stripe account. `unowned`: charges, refunds and disputes of the account that
    belong to no shop we know; `others`: what needs none, such as payouts, by type and currency.
    """

    shop_id: str
    account: str
    compared: int = 0
    at_stripe: dict[str, int] = field(default_factory=dict)
    in_journal: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unowned: list[Difference] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not self.differences and not self.unowned

    def as_json(self) -> dict[str, Any]:
        return {
            "shopId": self.shop_id,
            "account": self.account,
            "compared": self.compared,
            "atStripe": self.at_stripe,
            "inJournal": self.in_journal,
            "others": self.others,
            "unowned": [found.as_json() for found in self.unowned],
            "differences": [found.as_json() for found in self.differences],
        }


def tie_out(
    *, shop: ShopContext, since: datetime, until: datetime, resting_since: datetime | None = None
) -> list[TieOut]:
    """Compares everything that began in `[since, until)`, with whatever became of it since; one result per account.

    What has moved after `resting_since` is left out: the news of it may be on their way here.
    For the platform's own entry points: whose an object is, is asked over all shops. Reads Stripe's balance
    transactions, a hundred at a time. Raises StripeFailure and CredentialsUnusable.
    """
    return [
        _of_account(shop=shop, access=access, since=since, until=until, resting_since=resting_since)
        for access in _accounts(shop)
    ]


def differences_of(*, shop: ShopContext, access: StripeAccess, source: str) -> list[Difference]:
    """The same for one object of the shop's, as it is now. Raises StripeFailure."""
    found, stripe = TieOut(shop.shop_id, access.scope.account), Sums()
    for txn in transactions_of(access, source):
        key = (txn.source, txn.currency)
        stripe[key] = stripe.get(key, 0) + txn.net
    _compare(found, stripe, _journal_sums(shop.shop_id, [source]))
    return found.differences


def _accounts(shop: ShopContext) -> Iterator[StripeAccess]:
    """Every account that orders and subscriptions of the shop were paid into, today's first. What was paid elsewhere
    names none.
    """
    today = access_of(shop)
    yield today
    used = Order.objects.for_shop(shop.shop_id).order_by().values_list("stripe_account", flat=True).distinct()
    billed = Invoice.objects.for_shop(shop.shop_id).order_by().values_list("stripe_account", flat=True).distinct()
    for account in sorted({*used, *billed} - {today.scope.account, ""}):
        yield access_for_account(shop, account)


def _of_account(
    *, shop: ShopContext, access: StripeAccess, since: datetime, until: datetime, resting_since: datetime | None
) -> TieOut:
    found = TieOut(shop.shop_id, access.scope.account)
    # To the end of time: a refund of the period may have come back after it.
    movements = list(transactions_between(access, since=since - LAG, until=until + timedelta(days=3_650)))
    restless = {txn.source for txn in movements if resting_since is not None and txn.created_at >= resting_since}
    movements = [txn for txn in movements if txn.source not in restless]
    owners = _owners(access, {txn.source for txn in movements if txn.source})
    stripe, began, known = Sums(), dict[str, datetime](), set[str]()
    for txn in movements:
        owner = owners.get(txn.source)
        if owner is None and since <= txn.created_at < until:
            _note_unowned(found, txn)
        if owner != shop.shop_id:
            continue
        known.add(txn.source)
        if txn.type in OPENING or (txn.type == "adjustment" and txn.amount < 0):
            began[txn.source] = min(txn.created_at, began.get(txn.source, txn.created_at))
        key = (txn.source, txn.currency)
        stripe[key] = stripe.get(key, 0) + txn.net
    begun = {source for source, moment in began.items() if since <= moment < until}
    unknown = _posted_sources(shop.shop_id, access.scope.account, since, until) - known - restless
    journal = _journal_sums(shop.shop_id, begun | unknown)
    _compare(found, {key: net for key, net in stripe.items() if key[0] in begun}, journal)
    found.compared = len(begun | unknown)
    return found


def _note_unowned(found: TieOut, txn: BalanceFacts) -> None:
    if txn.type in TRADE:
        found.unowned.append(Difference(txn.source, txn.currency, txn.net, 0))
        return
    name = f"{txn.type} {txn.currency}"
    found.others[name] = found.others.get(name, 0) + txn.net


def _compare(found: TieOut, stripe: Mapping[tuple[str, str], int], journal: Mapping[tuple[str, str], int]) -> None:
    for source, currency in sorted({*stripe, *journal}):
        at_stripe, in_journal = stripe.get((source, currency), 0), journal.get((source, currency), 0)
        found.at_stripe[currency] = found.at_stripe.get(currency, 0) + at_stripe
        found.in_journal[currency] = found.in_journal.get(currency, 0) + in_journal
        if at_stripe != in_journal:
            found.differences.append(Difference(source, currency, at_stripe, in_journal))


def _owners(access: StripeAccess, sources: Iterable[str]) -> dict[str, str]:
    """Whose each object is, by the map that is filled whenever one is made or seen."""
    owners: dict[str, str] = {}
    for batch in _batches(sources):
        rows = StripeObject.objects.filter(
            livemode=access.scope.livemode, account=access.scope.account, object_id__in=batch
        )
        owners |= dict(rows.values_list("object_id", "shop_id"))
    return owners


def _posted_sources(shop_id: str, account: str, since: datetime, until: datetime) -> set[str]:
    """Objects that the journal says moved the balance of this account in the period."""
    entries = JournalEntry.objects.for_shop(shop_id).filter(
        Q(order__stripe_account=account) | Q(invoice__stripe_account=account), posted_at__gte=since, posted_at__lt=until
    )
    own = entries.exclude(source="").values_list("source", flat=True).distinct()
    older = entries.filter(source="", kind=JournalEntry.Kind.CAPTURE).values_list("order__charge_id", flat=True)
    return {source for source in (*own, *older) if source}


def _journal_sums(shop_id: str, sources: Iterable[str]) -> Sums:
    """What the journal's Stripe balance has of each object, everything since its beginning."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for batch in _batches(sources):
        lines = JournalLine.objects.for_shop(shop_id).filter(account=CLEARING).order_by()
        by_source = lines.filter(entry__shop_id=shop_id, entry__source__in=batch).values_list(
            "entry__source", "entry__currency"
        )
        # Entries from before `source`: their order knows its charge.
        older = lines.filter(
            Q(entry__source="", entry__kind=JournalEntry.Kind.CAPTURE), entry__order__charge_id__in=batch
        ).values_list("entry__order__charge_id", "entry__currency")
        for rows in (by_source, older):
            for source, currency, total in rows.annotate(total=Sum("amount")):
                sums[(str(source), currency)] += int(total)
    return {key: total for key, total in sums.items() if total}


def _batches(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]

"""What the books say: every account of one shop over a period, or up to a day, as a trial balance."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

from commerce.ledger.accounts import ACCOUNTS, title_of
from commerce.ledger.models import JournalLine
from commerce.money import from_minor
from tenants.errors import InvalidRequest

ORDER = {account.name: place for place, account in enumerate(ACCOUNTS)}
HEAD = ("account", "title", "currency", "opening", "debit", "credit", "closing")


@dataclass(frozen=True, slots=True)
class Period:
    """`[since, until)`; without `since` from the first entry on."""

    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account in one currency, in its minor units. Opening and closing are signed, debit positive; `debit` and
    `credit` are what was posted in the period.
    """

    account: str
    currency: str
    opening: int
    debit: int
    credit: int

    @property
    def closing(self) -> int:
        return self.opening + self.debit - self.credit

    @property
    def title(self) -> str:
        return title_of(self.account)


def period_of_days(first: date | None, last: date, zone: str) -> Period:
    """From the first day's beginning to the last day's end, in the shop's own zone. Raises InvalidRequest."""
    if first is not None and first > last:
        raise InvalidRequest("The period ends before it begins.", {"from": ["After the last day."]})
    tz = ZoneInfo(zone)
    since = None if first is None else datetime.combine(first, time(), tz)
    return Period(since, datetime.combine(last + timedelta(days=1), time(), tz))


def statement(*, shop_id: str, period: Period) -> list[AccountLine]:
    """Every account that was ever used, by currency, in the order of accounts.py. One query."""
    within = Q(entry__posted_at__lt=period.until)
    before = Q(entry__posted_at__lt=period.since) if period.since else Q(pk__isnull=True)
    in_period = within & ~before if period.since else within
    sums = (
        JournalLine.objects.for_shop(shop_id)
        .filter(within)
        .values_list("account", "entry__currency")
        .annotate(
            opening=Sum("amount", filter=before, default=0),
            debit=Sum("amount", filter=in_period & Q(amount__gt=0), default=0),
            credit=Sum("amount", filter=in_period & Q(amount__lt=0), default=0),
        )
        .order_by()
    )
    lines = [
        AccountLine(account, currency, int(opening), int(debit), -int(credit))
        for account, currency, opening, debit, credit in sums
    ]
    return sorted(lines, key=lambda line: (line.currency, ORDER.get(line.account, len(ORDER)), line.account))


def totals(lines: Sequence[AccountLine]) -> list[AccountLine]:
    """A line per currency: what was posted on both sides, and what all accounts together come to, which is nothing."""
    return [
        AccountLine(
            "",
            currency,
            sum(line.opening for line in lines if line.currency == currency),
            sum(line.debit for line in lines if line.currency == currency),
            sum(line.credit for line in lines if line.currency == currency),
        )
        for currency in sorted({line.currency for line in lines})
    ]


def as_csv(lines: Sequence[AccountLine]) -> str:
    """The statement with its totals, amounts in major units with a decimal point."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for line in [*lines, *totals(lines)]:
        amounts = (line.opening, line.debit, line.credit, line.closing)
        shown = [str(from_minor(amount, line.currency)) for amount in amounts]
        writer.writerow([line.account, line.title if line.account else "Total", line.currency, *shown])
    return out.getvalue()

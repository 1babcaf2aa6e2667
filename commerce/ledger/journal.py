"""The one place that writes to the journal. Debits positive, credits negative; the database refuses an entry that
doesn't balance, that has no lines, or that names two shops.

What is posted when is said in postings.py; this module knows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commerce.ledger.accounts import BY_NAME
from commerce.ledger.models import JournalLine
from tenants.postgres.direct import run
from tenants.postgres.writing import insert_rows

# Waits for a twin that is posting the same, and then posts nothing: one statement, no savepoint.
INSERT = """
INSERT INTO commerce_journalentry
    (shop_id, kind, reference, order_id, invoice_id, currency, source, memo, request_id, posted_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT journal_posts_once DO NOTHING
RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One business event in money. `(shop_id, kind, reference)` makes it post once, whoever repeats it.

    `amounts` is account → minor units of `currency`; `source` the Stripe object whose money it is (a charge, a refund,
    a dispute), by which the journal is compared with Stripe's own balance.
    """

    shop_id: str
    kind: str
    reference: str
    currency: str
    amounts: Mapping[str, int]
    order_id: UUID | None = None
    invoice_id: UUID | None = None
    source: str = ""
    memo: str = ""
    request_id: str = ""


def post_within(posting: Posting, *, now: datetime) -> bool:
    """Posts one entry in the caller's transaction; lines of zero are left out.

    Returns False when it has been posted before, or when there is nothing to post. Raises ValueError for an unknown
    account and for amounts that don't balance: both are defects of the caller's.
    """
    lines = {account: amount for account, amount in posting.amounts.items() if amount}
    if unknown := sorted(set(lines) - set(BY_NAME)):
        raise ValueError(f"No such account: {', '.join(unknown)}.")
    if sum(lines.values()) != 0:
        raise ValueError(f"{posting.kind} {posting.reference} doesn't balance: {lines}.")
    if not lines:
        return False
    made, _ = run(
        INSERT,
        [
            posting.shop_id,
            posting.kind,
            posting.reference,
            posting.order_id,
            posting.invoice_id,
            posting.currency,
            posting.source,
            posting.memo[:200],
            posting.request_id,
            now,
        ],
    )
    if not made:
        return False
    insert_rows(
        JournalLine(shop_id=posting.shop_id, entry_id=made[0][0], account=account, amount=amount)
        for account, amount in lines.items()
    )
    return True

"""The accounts of every shop's journal: what each one is, and what its balance means. Drawn in docs/money.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

CLEARING: Final = "stripe_clearing"
REVENUE: Final = "revenue"
SHIPPING: Final = "shipping_income"
TAX: Final = "tax_payable"
DEPOSITS: Final = "deposits_held"
RETURNS: Final = "sales_returns"
FEES: Final = "stripe_fees"
DEPOSITS_KEPT: Final = "deposits_kept"
LATE_FEES: Final = "late_fees"
DAMAGES: Final = "damages"
DISPUTES: Final = "disputes"
DISPUTE_FEES: Final = "dispute_fees"
EXCHANGE: Final = "currency_exchange"
EXTERNAL: Final = "external_receipts"
ADJUSTMENTS: Final = "adjustments"


class Nature(Enum):
    """On which side an account normally stands: assets and expenses in debit, the others in credit."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"

    @property
    def debit(self) -> bool:
        return self in {Nature.ASSET, Nature.EXPENSE}


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is what journal lines carry, for ever; `title` what staff read."""

    name: str
    title: str
    nature: Nature


ACCOUNTS: Final = (
    Account(CLEARING, "Stripe balance", Nature.ASSET),
    Account(EXTERNAL, "Received elsewhere", Nature.ASSET),
    Account(EXCHANGE, "Currency exchange", Nature.ASSET),
    Account(DEPOSITS, "Deposits held", Nature.LIABILITY),
    Account(TAX, "Tax payable", Nature.LIABILITY),
    Account(REVENUE, "Revenue", Nature.INCOME),
    Account(SHIPPING, "Shipping income", Nature.INCOME),
    Account(LATE_FEES, "Late fees", Nature.INCOME),
    Account(DEPOSITS_KEPT, "Deposits kept", Nature.INCOME),
    Account(DAMAGES, "Damage and loss charged", Nature.INCOME),
    Account(RETURNS, "Sales returns", Nature.EXPENSE),
    Account(FEES, "Stripe fees", Nature.EXPENSE),
    Account(DISPUTES, "Disputed payments", Nature.EXPENSE),
    Account(DISPUTE_FEES, "Dispute fees", Nature.EXPENSE),
    Account(ADJUSTMENTS, "Adjustments", Nature.EXPENSE),
)
BY_NAME: Final = {account.name: account for account in ACCOUNTS}


def title_of(name: str) -> str:
    """What staff read; of an account that isn't kept any more its name."""
    return BY_NAME[name].title if name in BY_NAME else name

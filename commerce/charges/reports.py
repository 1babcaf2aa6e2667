"""What a job on rentals' money did, or would do: one row per rental, for logs, commands and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from commerce.money import format_minor

FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class ReportRow:
    """`outcome` in a word; `amounts` by what they are, in minor units of `currency`."""

    order_number: str
    outcome: str
    currency: str
    amounts: Mapping[str, int] = field(default_factory=dict)
    basis: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "orderNumber": self.order_number,
            "outcome": self.outcome,
            "currency": self.currency,
            "amounts": dict(self.amounts),
            "basis": dict(self.basis),
        }

    def as_text(self) -> str:
        told = ", ".join(
            f"{name} {format_minor(amount, self.currency, 'en')}" for name, amount in self.amounts.items() if amount
        )
        return f"{self.order_number}: {self.outcome}{f', {told}' if told else ''}"


@dataclass(slots=True)
class JobReport:
    """One run for one shop. `dry`: nothing was done."""

    shop_id: str
    job: str
    dry: bool
    rows: list[ReportRow] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(row.outcome == FAILED for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        return {
            "shopId": self.shop_id,
            "job": self.job,
            "dryRun": self.dry,
            "rows": [row.as_json() for row in self.rows],
        }

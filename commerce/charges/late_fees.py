"""What being late costs: pure arithmetic over whole days and minor units, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from commerce.charges.models import ChargePolicy
from commerce.money import currency_of

LateFee, Cap = ChargePolicy.LateFee, ChargePolicy.Cap


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """A shop's policy. Amounts in minor units, per unit; `per_mille` of what was paid per day. `holidays` don't
    count.
    """

    kind: str
    amount: int
    per_mille: int
    grace_days: int
    cap: str
    cap_amount: int
    holidays: frozenset[date]


@dataclass(frozen=True, slots=True, kw_only=True)
class RentedLine:
    """A line of a rental as its order has it, amounts per unit; `back`: the days on which units came back, how many."""

    line_id: UUID
    title: str
    due_on: date
    unit_amount: int
    rental_days: int
    deposit_amount: int
    back: Sequence[tuple[date, int]]


@dataclass(frozen=True, slots=True)
class LateUnits:
    """Units of a line that came back on one day: what each costs, and all together."""

    line: RentedLine
    returned_on: date
    units: int
    days: int
    per_unit: int

    @property
    def amount(self) -> int:
        return self.per_unit * self.units

    def as_json(self) -> dict[str, Any]:
        return {
            "lineId": str(self.line.line_id),
            "title": self.line.title,
            "dueOn": self.line.due_on.isoformat(),
            "returnedOn": self.returned_on.isoformat(),
            "units": self.units,
            "days": self.days,
            "perUnit": self.per_unit,
            "amount": self.amount,
        }


def terms_of(policy: ChargePolicy) -> FeeTerms:
    return FeeTerms(
        kind=policy.late_fee,
        amount=policy.late_fee_amount,
        per_mille=policy.late_fee_per_mille,
        grace_days=policy.grace_days,
        cap=policy.cap,
        cap_amount=policy.cap_amount,
        holidays=frozenset(policy.holidays),
    )


def late_units(*, lines: Sequence[RentedLine], terms: FeeTerms, currency: str) -> list[LateUnits]:
    """Everything that came back so late that it costs something, in the order of lines and days."""
    found = []
    for line in lines:
        for returned_on, units in sorted(line.back):
            days = counted_days(due_on=line.due_on, returned_on=returned_on, terms=terms)
            per_unit = unit_fee(line=line, days=days, terms=terms, currency=currency)
            if per_unit and units:
                found.append(LateUnits(line, returned_on, units, days, per_unit))
    return found


def counted_days(*, due_on: date, returned_on: date, terms: FeeTerms) -> int:
    """The days after the due day, up to and with that of the return, that count: no holidays, and none of the first
    `grace_days` of the rest.
    """
    late = (returned_on - due_on).days
    free = sum(1 for day in terms.holidays if due_on < day <= returned_on)
    return max(0, late - free - terms.grace_days)


def unit_fee(*, line: RentedLine, days: int, terms: FeeTerms, currency: str) -> int:
    """What one unit costs that is so many counted days late: by the day, no more than the cap, and never more exact
    than its currency is charged.
    """
    if terms.kind == LateFee.NONE or days <= 0:
        return 0
    fee = terms.amount * days
    if terms.kind == LateFee.SHARE:
        # Half up over all days together, so that ten late days aren't ten roundings.
        whole, part = 1000 * line.rental_days, line.unit_amount * terms.per_mille * days
        fee = (2 * part + whole) // (2 * whole)
    if terms.cap != Cap.NONE:
        fee = min(fee, terms.cap_amount if terms.cap == Cap.AMOUNT else line.deposit_amount)
    return fee - fee % currency_of(currency).step

"""What a rental owes when it is back: its late fee, and damage beyond the deposit. Decided once, in one transaction
with its mark; whoever comes next tells Stripe. The job behind `charge_late_fees`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from commerce.charges.collecting import Owed, collect_within, settle_charges, sources_now
from commerce.charges.late_fees import LateUnits, RentedLine, late_units, terms_of
from commerce.charges.models import Charge, ChargePolicy, RentalClearing
from commerce.charges.reports import FAILED, JobReport, ReportRow
from commerce.orders.locks import order_for_update, order_tx
from commerce.rentals.models import Rental, RentalEvent
from tenants.audit import Actor
from tenants.context import ShopContext
from tenants.errors import HoldfastError

log = structlog.get_logger(__name__)
Status = Rental.Status

JOB: Final = Actor("system", "late-fees")
BACK: Final = (Status.RETURNED, Status.INSPECTED, Status.CLOSED)
# What came back longer ago has been left to staff; it also bounds what a run reads.
LOOKS_BACK: Final = timedelta(days=60)
# An authorisation is used before its time is up, inspected or not.
BEFORE_LAPSE: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Clearing:
    """What a rental owes by its shop's policy, in minor units: for each late unit, and of damage what is new."""

    late: tuple[LateUnits, ...]
    damage: int

    @property
    def late_fee(self) -> int:
        return sum(units.amount for units in self.late)

    def owed(self, rental: Rental) -> list[Owed]:
        """By keys that say what each is of: whoever decides it again collects nothing."""
        owed = []
        if self.late_fee:
            days = max(units.days for units in self.late)
            owed.append(
                Owed(
                    purpose=Charge.Purpose.LATE_FEE,
                    amount=self.late_fee,
                    key=f"late_fee:{rental.pk}",
                    reason=f"Came back late: {days} {'day' if days == 1 else 'days'} that count",
                    basis={"lines": [units.as_json() for units in self.late]},
                )
            )
        if self.damage:
            owed.append(
                Owed(
                    purpose=Charge.Purpose.DAMAGE,
                    amount=self.damage,
                    key=f"damage:{rental.pk}:{rental.owed_amount}",
                    reason="Damage and loss beyond the deposit",
                )
            )
        return owed


def charge_late_fees(*, shop: ShopContext, now: datetime, dry_run: bool = False, limit: int = 500) -> JobReport:
    """One run for one shop, in the shop's scope; without a policy it does nothing. Each rental by itself."""
    report = JobReport(shop.shop_id, "charge_late_fees", dry_run)
    policy = ChargePolicy.objects.for_shop(shop.shop_id).first()
    if policy is None:
        return report
    for rental in due_rentals(shop_id=shop.shop_id, policy=policy, now=now)[:limit]:
        if dry_run:
            report.rows.append(_foretold(rental, clearing_of(rental=rental, policy=policy, zone=shop.policy.time_zone)))
            continue
        try:
            report.rows.append(clear_rental(shop=shop, policy=policy, rental_id=rental.pk, now=now))
        except HoldfastError as error:
            log.error("rental_not_cleared", rental=str(rental.pk), error=str(error))
            report.rows.append(ReportRow(rental.order.number, FAILED, rental.order.currency))
        except Exception:
            # One poisoned rental must not stop the rest.
            log.exception("rental_not_cleared", rental=str(rental.pk))
            report.rows.append(ReportRow(rental.order.number, FAILED, rental.order.currency))
    return report


def clear_rental(*, shop: ShopContext, policy: ChargePolicy, rental_id: UUID, now: datetime) -> ReportRow:
    """Decides what the rental owes, takes it from where there is money, and tells Stripe. Any number of times.

    Raises InventoryBusy and what collecting raises, with nothing written.
    """
    with order_tx(shop.shop_id):
        order_id = Rental.objects.for_shop(shop.shop_id).filter(pk=rental_id).values_list("order_id", flat=True).get()
        order = order_for_update(shop_id=shop.shop_id, order_id=order_id)
        rental = Rental.objects.for_shop(shop.shop_id).get(pk=rental_id)
        found = clearing_of(rental=rental, policy=policy, zone=shop.policy.time_zone)
        made = collect_within(order=order, owed=found.owed(rental), acting=JOB, now=now)
        mark, _ = RentalClearing.objects.get_or_create(
            rental=rental, shop_id=shop.shop_id, defaults={"cleared_at": now, "late_fee_amount": found.late_fee}
        )
        mark.damage_amount += found.damage
        mark.save(update_fields=["damage_amount"])
    settle_charges(shop=shop, order=order, now=now)
    return ReportRow(
        order.number,
        "charged" if made else "nothing owed",
        order.currency,
        {
            "late fee": found.late_fee,
            "damage": found.damage,
            "from the deposit": sum(one.from_deposit for one in made),
            "from the hold": sum(one.from_hold for one in made),
            "from the card": sum(one.from_card for one in made),
        },
        {"lines": [units.as_json() for units in found.late]},
    )


def clear_before_close(*, shop: ShopContext, rental_id: UUID) -> None:
    """What a rental owes by its shop's policy is taken before its deposit goes back, whoever lets it go. Raises as
    `clear_rental`.
    """
    policy = ChargePolicy.objects.for_shop(shop.shop_id).first()
    rental = Rental.objects.for_shop(shop.shop_id).get(pk=rental_id)
    if policy is not None and rental.returned_at is not None and rental.returned_at >= policy.since:
        clear_rental(shop=shop, policy=policy, rental_id=rental_id, now=timezone.now())


def clearing_of(*, rental: Rental, policy: ChargePolicy, zone: str) -> Clearing:
    """What the rental owes as it is now; its late fee only once. Reads lines and returns, three queries."""
    mark = RentalClearing.objects.for_shop(rental.shop_id).filter(rental=rental).first()
    late = (
        [] if mark else late_units(lines=_lines(rental, zone), terms=terms_of(policy), currency=rental.order.currency)
    )
    damage = rental.owed_amount - (mark.damage_amount if mark else 0) if policy.charges_damage else 0
    return Clearing(tuple(late), max(0, damage))


def due_rentals(*, shop_id: str, policy: ChargePolicy, now: datetime) -> QuerySet[Rental]:
    """Rentals that are back and were looked at, or had their days for it; or whose authorisation is about to lapse."""
    since = max(policy.since, now - LOOKS_BACK)
    lapsing = (
        Charge.objects.for_shop(shop_id)
        .held()
        .filter(order=OuterRef("order_id"), capture_before__lte=now + BEFORE_LAPSE)
    )
    ready = (
        Q(status__in=[Status.INSPECTED, Status.CLOSED])
        | Q(returned_at__lte=now - timedelta(days=policy.inspection_days))
        | Exists(lapsing)
    )
    new = Q(clearing__isnull=True)
    if policy.charges_damage:
        new |= Q(owed_amount__gt=F("clearing__damage_amount"))
    rows = Rental.objects.for_shop(shop_id).filter(ready, new, status__in=BACK, returned_at__gte=since)
    return rows.select_related("order").order_by("returned_at")


def _foretold(rental: Rental, found: Clearing) -> ReportRow:
    owed = found.owed(rental)
    parts = sources_now(rental.order, [item.amount for item in owed])
    return ReportRow(
        rental.order.number,
        "would be charged" if owed else "nothing owed",
        rental.order.currency,
        {
            "late fee": found.late_fee,
            "damage": found.damage,
            "from the deposit": sum(part.from_deposit for part in parts),
            "from the hold": sum(part.from_hold for part in parts),
            "from the card": sum(part.from_card for part in parts),
        },
        {"lines": [units.as_json() for units in found.late]},
    )


def _lines(rental: Rental, zone: str) -> list[RentedLine]:
    back: defaultdict[str, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    for event in rental.events.filter(action=RentalEvent.Action.RETURN):
        day = event.at.astimezone(ZoneInfo(zone)).date()
        for units in event.units:
            back[str(units["lineId"])][day] += int(units["quantity"])
    return [
        RentedLine(
            line_id=line.order_line_id,
            title=line.order_line.title,
            due_on=line.due_on,
            unit_amount=line.order_line.unit_amount,
            rental_days=line.order_line.rental_days or 1,
            deposit_amount=line.order_line.deposit_amount,
            back=sorted(back[str(line.order_line_id)].items()),
        )
        for line in rental.lines.select_related("order_line").order_by("order_line__position")
    ]

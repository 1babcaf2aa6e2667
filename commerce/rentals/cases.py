"""One thing that is done to one rental: what was asked for, and the rental's rows under their lock while it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone
from uuid_utils.compat import uuid7

from commerce.orders.locks import order_for_update
from commerce.orders.models import Order
from commerce.rentals.errors import RentalKeyConflict, RentalWrongState
from commerce.rentals.models import Rental, RentalEvent, RentalLine, RentalUnits
from commerce.rentals.states import follow_counts
from inventory.holds import bound_request_id
from inventory.variants import variant_key
from tenants.audit import Actor, record_audit
from tenants.context import ShopContext
from tenants.errors import InvalidRequest, NotFound

# Clocks of tablets at a counter are a little ahead at times.
AHEAD_AT_MOST: Final = timedelta(minutes=5)
BAD: Final = "The request body is not valid."


@dataclass(frozen=True, slots=True)
class UnitsNamed:
    """Units of an order's line. `attributes` name the variant where a line has units of several, and in an exchange the
    variant that goes out instead; None: the line's own, or the same again.
    """

    line_id: UUID
    quantity: int
    condition: str = ""
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RentalCommand:
    """What is done to a rental, once per key. `units` None: all that it can be done to. `at` None: now; `amount` is in
    minor units of the order's currency.
    """

    rental_id: UUID
    action: str
    key: str
    units: Sequence[UnitsNamed] | None = None
    at: datetime | None = None
    amount: int | None = None
    note: str = ""

    def digest(self) -> str:
        """What a repeat under the same key must ask for. The note is words, and may be put differently."""
        asked = {name: value for name, value in asdict(self).items() if name not in {"note", "key"}}
        return hashlib.sha256(json.dumps(asked, default=str, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class Case:
    """The rental's rows, locked, and what has come of the command so far."""

    shop: ShopContext
    order: Order
    rental: Rental
    lines: list[RentalLine]
    units: list[RentalUnits]
    command: RentalCommand
    acting: Actor
    now: datetime
    event_id: UUID = field(default_factory=uuid7)
    told: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0

    @property
    def at(self) -> datetime:
        return self.command.at or self.now

    @property
    def day(self) -> date:
        """The day on which it happened, by the shop's clocks."""
        return timezone.localdate(self.at, timezone=self._zone)

    @property
    def today(self) -> date:
        return timezone.localdate(self.now, timezone=self._zone)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.shop.policy.time_zone)

    @property
    def lines_by_id(self) -> dict[UUID, RentalLine]:
        return {line.pk: line for line in self.lines}

    def wrong(self, detail: str) -> RentalWrongState:
        return RentalWrongState(detail, status=self.rental.status)

    def tell(self, line: RentalLine, quantity: int, key: str, **more: str) -> None:
        """One entry of the event's units."""
        part = {"lineId": str(line.order_line_id), "quantity": quantity, "variantKey": key}
        self.told.append(part | {name: value for name, value in more.items() if value})


@dataclass(frozen=True, slots=True)
class Picked:
    """Units of one row that something is done to, and how they were named."""

    units: RentalUnits
    line: RentalLine
    quantity: int
    named: UnitsNamed | None

    @property
    def condition(self) -> str:
        return self.named.condition if self.named else ""


def open_case(*, shop: ShopContext, command: RentalCommand, acting: Actor) -> Case:
    """The rental's rows, locked in the order of locks (order, rental), in the caller's transaction.

    Raises NotFound, RentalWrongState for an order that isn't paid yet, InvalidRequest for a time that isn't over.
    """
    now = timezone.now()
    if command.at is not None and command.at > now + AHEAD_AT_MOST:
        raise InvalidRequest(BAD, {"at": ["That is still to come."]})
    orders = Order.objects.for_shop(shop.shop_id).filter(pk=command.rental_id)
    if not orders.filter(lines__rental_start__isnull=False).exists():
        raise NotFound("There is no such rental.")
    order = order_for_update(shop_id=shop.shop_id, order_id=command.rental_id)
    rentals = Rental.objects.for_shop(shop.shop_id).select_for_update(no_key=True)
    rental = rentals.filter(order=order).first()
    if rental is None:
        raise RentalWrongState(f"Order {order.number} is not paid yet.", status="awaiting_payment")
    rental.order = order
    lines = list(RentalLine.objects.for_shop(shop.shop_id).filter(rental=rental).select_related("order_line"))
    units = list(RentalUnits.objects.for_shop(shop.shop_id).filter(line__rental=rental))
    return Case(shop, order, rental, lines, units, command, acting, now)


def done_before(case: Case) -> bool:
    """Whether the key was used for this very thing. Raises RentalKeyConflict when for another."""
    events = RentalEvent.objects.for_shop(case.shop.shop_id).filter(rental=case.rental)
    digest = events.filter(idempotency_key=case.command.key).values_list("digest", flat=True).first()
    if digest is not None and digest != case.command.digest():
        raise RentalKeyConflict
    return digest is not None


def close_case(case: Case, *, action: str) -> None:
    """Writes what has changed: units, lines, the rental by its counts, the event, the audit's entry."""
    for row in case.units:
        if row.quantity:
            row.save()
        elif not row._state.adding:
            row.delete()
    case.units = [row for row in case.units if row.quantity]
    for line in case.lines:
        line.save()
    follow_counts(rental=case.rental, lines=case.lines, units=case.units)
    if case.rental.status == Rental.Status.RETURNED and case.rental.returned_at is None:
        case.rental.returned_at = case.at
    case.rental.save()
    RentalEvent.objects.create(
        id=case.event_id,
        shop_id=case.shop.shop_id,
        rental=case.rental,
        action=action,
        units=case.told,
        amount=case.command.amount,
        kept_amount=case.kept,
        note=case.command.note,
        actor=str(case.acting),
        at=case.at,
        idempotency_key=case.command.key,
        digest=case.command.digest(),
        request_id=bound_request_id(),
    )
    record_audit(
        shop_id=case.shop.shop_id,
        acting=case.acting,
        action=f"rental.{action}",
        object_type="rental",
        object_id=case.rental.pk,
        reason=case.command.note,
        data={"units": case.told, "amount": case.command.amount, "currency": case.order.currency},
    )


def pick(case: Case, *, out: bool, targets: bool = False) -> list[Picked]:
    """The units that the command means, of those that are out, or of those that are still here. With `targets` the
    attributes name what goes out instead, and choose nothing.

    Raises InvalidRequest for a line that isn't the rental's, a line named twice or a choice that isn't clear, and
    RentalWrongState for more units than there are.
    """
    if case.command.units is None:
        lines = case.lines_by_id
        rows = [Picked(row, lines[row.line_id], _count(row, out), None) for row in case.units]
        return [picked for picked in rows if picked.quantity]
    found: list[Picked] = []
    for number, named in enumerate(case.command.units):
        line = line_of(case, named, number)
        rows_left = [row for row in case.units if row.line_id == line.pk and _count(row, out)]
        if named.attributes is not None and not targets:
            wanted = variant_key(line.order_line.sku, named.attributes)
            rows_left = [row for row in rows_left if row.variant_key == wanted]
        taken = {id(picked.units): picked.quantity for picked in found}
        there = sum(_count(row, out) - taken.get(id(row), 0) for row in rows_left)
        if named.quantity > there:
            where = "out" if out else "still here"
            raise case.wrong(f"{line.order_line.title}: {there} are {where}, not {named.quantity}.")
        if named.quantity < there and not targets and len({row.variant_key for row in rows_left}) > 1:
            raise InvalidRequest(BAD, {f"items[{number}].variantAttributes": ["Say of which variant."]})
        left = named.quantity
        for row in rows_left:
            units = min(left, _count(row, out) - taken.get(id(row), 0))
            left -= units
            if units:
                found.append(Picked(row, line, units, named))
    return found


def line_of(case: Case, named: UnitsNamed, number: int) -> RentalLine:
    """Raises InvalidRequest for a line that isn't the rental's."""
    line = next((line for line in case.lines if line.order_line_id == named.line_id), None)
    if line is None:
        raise InvalidRequest(BAD, {f"items[{number}].lineId": ["Not a line of this rental."]})
    return line


def _count(row: RentalUnits, out: bool) -> int:
    return row.out if out else row.quantity - row.out

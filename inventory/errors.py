"""Errors of the inventory, by the contract's codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tenants.errors import HoldfastError, NotFound

NAMED = 3
"""Bookings that a sentence names; the answer has them all."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A line that can't be met. `available` is 0 for a variant that has no stock row."""

    sku: str
    variant_key: str
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class PeriodShortage(Shortage):
    """A line that can't be had on `days` of its period, or on days for cleaning after it. `available`: on the
    scarcest of its days.
    """

    starts: date
    ends: date
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Booking:
    """Units of a stock row that are or will be out: under which hold, and from when until when."""

    hold_id: UUID
    status: str
    held_for: str
    quantity: int
    starts: date
    ends: date
    blocked_until: date


@dataclass(frozen=True, slots=True)
class Holder:
    """An active hold on a stock row: who holds how much of it until when."""

    hold_id: UUID
    shop_id: str
    held_for: str
    quantity: int
    expires_at: datetime


class InsufficientStock(HoldfastError):
    """At least one line can't be met; nothing was taken or held. `items` are the short lines."""

    code = "inventory_insufficient"

    def __init__(self, items: Sequence[Shortage]) -> None:
        super().__init__("There is not enough stock.")
        self.items = tuple(items)

    def members(self) -> dict[str, Any]:
        return {
            "items": [
                {
                    "sku": item.sku,
                    "variantKey": item.variant_key,
                    "requested": item.requested,
                    "available": item.available,
                }
                for item in self.items
            ]
        }


class RentalUnavailable(InsufficientStock):
    """At least one line isn't there on all days of its period; nothing was booked."""

    code = "rental_unavailable"

    def __init__(self, items: Sequence[PeriodShortage]) -> None:
        super().__init__(items)
        self.detail = "Not everything is available on these days."
        self.periods = tuple(items)

    def members(self) -> dict[str, Any]:
        return {
            "items": [
                {
                    "sku": item.sku,
                    "variantKey": item.variant_key,
                    "requested": item.requested,
                    "available": item.available,
                    "rental": {"start": item.starts.isoformat(), "end": item.ends.isoformat()},
                    "days": [day.isoformat() for day in item.days],
                }
                for item in self.periods
            ]
        }


class UnitsAway(HoldfastError):
    """Units were to go out that aren't here: others have them still, whatever the days say. `items` are those lines,
    with what is here as `available`.
    """

    code = "wrong_state"

    def __init__(self, items: Sequence[Shortage]) -> None:
        told = ", ".join(f"{item.available} of {item.requested} {item.variant_key}" for item in items)
        super().__init__(f"Not all of it is here: {told}. The others are still out.")
        self.items = tuple(items)

    def members(self) -> dict[str, Any]:
        return {
            "items": [
                {
                    "sku": item.sku,
                    "variantKey": item.variant_key,
                    "requested": item.requested,
                    "available": item.available,
                }
                for item in self.items
            ]
        }


class InventoryUnavailable(HoldfastError):
    """Central inventory failed a shop that may not sell without it; nothing was taken or held (I9).

    `troubles` says why, per variant key: no_pool, no_route, pool_disabled, cap_reached. Why is for staff and logs, not
    for customers.
    """

    code = "inventory_unavailable"

    def __init__(self, troubles: Mapping[str, str]) -> None:
        super().__init__("The stock can't be confirmed at the moment. Please try again later.")
        self.troubles = dict(troubles)

    def keys_at_cap(self) -> list[str]:
        """Variants that overdue holds of the shop itself may be in the way of."""
        return sorted(key for key, trouble in self.troubles.items() if trouble == "cap_reached")


class CentralQueryFailed(InventoryUnavailable):
    """The statement itself failed: an error of the database that is neither contention nor its absence."""

    def __init__(self) -> None:
        super().__init__({})


class InventoryBusy(HoldfastError):
    """The stock is locked by others for longer than a caller should wait; nothing has happened. Milliseconds."""

    code = "inventory_busy"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("Many customers want this at the moment. Please try again.")
        self.retry_after_ms = retry_after_ms

    def members(self) -> dict[str, Any]:
        return {"retryAfterMs": self.retry_after_ms, "retryAfter": self.retry_after_ms}


class HoldKeyConflict(HoldfastError):
    """The key belongs to a hold with other lines."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for a different hold.")


class HoldNotFound(NotFound):
    """No such hold, or another shop's."""

    def __init__(self) -> None:
        super().__init__("There is no such hold.")


class HoldNotActive(HoldfastError):
    """The hold has ended in another way than the one asked for."""

    code = "hold_not_active"

    def __init__(self, status: str) -> None:
        super().__init__(f"The hold is {status}.")
        self.status = status

    def members(self) -> dict[str, Any]:
        return {"holdStatus": self.status}


class HoldInCheckout(HoldfastError):
    """A checkout owns the hold: it ends with its payment session and in no other way."""

    code = "hold_in_checkout"

    def __init__(self, detail: str = "A checkout owns this hold; cancel the checkout instead.") -> None:
        super().__init__(detail)


class StockHeld(HoldfastError):
    """The change would leave fewer units on hand than are held. `holders` are the holds that stand in its way."""

    code = "wrong_state"

    def __init__(self, *, on_hand: int, held: int, holders: Sequence[Holder]) -> None:
        super().__init__(f"{held} of {on_hand} units are held; at most {on_hand - held} can be taken away.")
        self.on_hand, self.held, self.holders = on_hand, held, tuple(holders)

    def members(self) -> dict[str, Any]:
        return {
            "onHand": self.on_hand,
            "held": self.held,
            "available": self.on_hand - self.held,
            "holders": [
                {
                    "holdId": str(holder.hold_id),
                    "quantity": holder.quantity,
                    "expiresAt": holder.expires_at.isoformat().replace("+00:00", "Z"),
                }
                for holder in self.holders
            ],
        }


class StockBooked(HoldfastError):
    """The change would leave fewer units than are booked on some day. `bookings` say who has how many, and when."""

    code = "wrong_state"

    def __init__(self, *, on_hand: int, booked: int, bookings: Sequence[Booking]) -> None:
        told = "; ".join(f"{b.quantity} from {b.starts} to {b.ends} in hold {b.hold_id}" for b in bookings[:NAMED])
        more = " and more" if len(bookings) > NAMED else ""
        super().__init__(f"{booked} of {on_hand} units are booked on one day; fewer can't be left. {told}{more}.")
        self.on_hand, self.booked, self.bookings = on_hand, booked, tuple(bookings)

    def members(self) -> dict[str, Any]:
        return {
            "onHand": self.on_hand,
            "booked": self.booked,
            "bookings": [
                {
                    "holdId": str(booking.hold_id),
                    "quantity": booking.quantity,
                    "rental": {"start": booking.starts.isoformat(), "end": booking.ends.isoformat()},
                    "blockedUntil": booking.blocked_until.isoformat(),
                }
                for booking in self.bookings
            ],
        }


@dataclass(frozen=True, slots=True)
class ContradictingVariant:
    """A line whose key means another variant than its attributes."""

    sku: str
    variant_key: str
    variant_attributes: Mapping[str, str]


class VariantConflict(HoldfastError):
    """`variantKey` contradicts `variantAttributes`; neither is silently picked. `items` are the lines at fault."""

    code = "variant_conflict"

    def __init__(self, items: Sequence[ContradictingVariant]) -> None:
        super().__init__("A variant key contradicts the attributes beside it. Send the attributes alone.")
        self.items = tuple(items)

    def members(self) -> dict[str, Any]:
        return {
            "items": [
                {"sku": item.sku, "variantKey": item.variant_key, "variantAttributes": dict(item.variant_attributes)}
                for item in self.items
            ]
        }

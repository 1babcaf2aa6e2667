"""Units for days: what is left of them, and the errors that say when. Placing and ending are the holds' own verbs.

A period is what somebody asked for, both days included; the row's days for cleaning come on top. Units are
interchangeable: counted per day, never told apart. Booked are a shop's own rows, not those of pools.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Max

from inventory import metrics
from inventory.availability import State, state_of
from inventory.central import fails_closed
from inventory.errors import Booking, InventoryUnavailable, PeriodShortage, RentalUnavailable
from inventory.lines import Line, digest_of
from inventory.models import Hold, HoldPeriod, StockDay, StockRow
from tenants.postgres.direct import ask, ask_all, text_array

_LOOK = "%s::text[], %s::integer[], %s::date[], %s::date[]"
_PLACED = "o_answer, o_hold, o_status, o_expires_at, o_short, o_waited_seconds"
_WISHED = (
    "%s::uuid, %s::text, %s::text, %s::text[], %s::integer[], %s::date[], %s::date[], %s::text, %s::integer,"
    " %s::timestamptz, %s::text, %s::integer"
)


@dataclass(frozen=True, slots=True)
class PeriodAvailability:
    """One variant's units that are there on every day of a period; `short_days` are those with none left."""

    sku: str
    variant_key: str
    available: int
    state: State
    short_days: tuple[date, ...]


def has_periods(lines: Iterable[Line]) -> bool:
    return any(line.starts is not None for line in lines)


def short_periods(*, shop_id: str, lines: Sequence[Line]) -> list[PeriodShortage]:
    """Those of the lines that can't be had on each of their days, all lines taken together. One query, no locks."""
    shorts = [(number, units, days) for number, units, days in _look(shop_id, lines) if days]
    return [_shortage(lines[number - 1], units, days) for number, units, days in sorted(shorts)]


def available_for_periods(*, shop_id: str, lines: Sequence[Line]) -> list[int]:
    """What each line could have on its own, in order; 0 without a stock row. One query, none without lines."""
    if not lines:
        return []
    left = {number: units for number, units, _ in _look(shop_id, lines)}
    return [left[number] for number in range(1, len(lines) + 1)]


def available_skus(*, shop_id: str, skus: Sequence[str], starts: date, ends: date) -> list[PeriodAvailability]:
    """Every variant of the SKUs for one period, in the order of the SKUs; a SKU without stock rows is out under its own
    name. Two queries.
    """
    found = StockRow.objects.for_shop(shop_id).filter(sku__in=skus).order_by("variant_key")
    rows = list(found.values_list("sku", "variant_key", "low_stock_threshold"))
    lines = [Line(sku, key, 1, starts, ends) for sku, key, _ in rows]
    looked = {number: (units, days) for number, units, days in _look(shop_id, lines)} if lines else {}
    variants: dict[str, list[PeriodAvailability]] = {sku: [] for sku in skus}
    for number, (sku, key, threshold) in enumerate(rows, start=1):
        units, days = looked[number]
        state = state_of(available=units, threshold=threshold)
        variants[sku].append(PeriodAvailability(sku, key, units, state, tuple(days)))
    return [item for sku, known in variants.items() for item in known or [PeriodAvailability(sku, sku, 0, "out", ())]]


def refuse_where_central(*, shop_id: str, lines: Iterable[Line]) -> None:
    """Raises InventoryUnavailable for a shop that may not do without central inventory: days of pools aren't booked."""
    if fails_closed(shop_id):
        raise InventoryUnavailable({line.variant_key: "no_pool" for line in lines})


def ask_for_periods(
    *,
    shop_id: str,
    hold_id: UUID,
    key: str,
    wanted: Sequence[Line],
    ttl_seconds: int,
    held_for: str,
    now: datetime,
    request_id: str,
) -> tuple[str, UUID, str, datetime]:
    """The database's answer to a wish for days: answer, hold, its status and expiry. One round trip.

    Raises RentalUnavailable. Everything else is `inventory.holds`' to read.
    """
    answer, placed, status, expires_at, short, waited = ask(
        columns=_PLACED,
        function="inventory_period_hold_place",
        shop_id=shop_id,
        arguments=_WISHED,
        values=(
            str(hold_id), key, digest_of(wanted), *_arrays(wanted), held_for, ttl_seconds, now, request_id[:64],
            settings.INVENTORY_LOCK_TIMEOUT_MS,
        ),
    )  # fmt: skip
    if waited is not None:
        metrics.LOCK_WAIT.labels(shop_id).observe(waited)
    if answer == "insufficient":
        told = sorted(json.loads(short), key=lambda item: int(item["line"]))
        raise RentalUnavailable(
            [
                _shortage(
                    wanted[item["line"] - 1], item["available"], [date.fromisoformat(day) for day in item["days"]]
                )
                for item in told
            ]
        )
    return answer, placed, status, expires_at


def most_booked(*, owner_id: str, row_ids: Collection[int], now: datetime) -> dict[int, int]:
    """The most units booked on any day that counts, or out now where that is more, by stock row; rows without either
    are absent. Two queries.
    """
    days = StockDay.objects.for_shop(owner_id).filter(stock_row_id__in=list(row_ids), day__gte=first_day(now))
    found = days.filter(booked__gt=0).values("stock_row_id").annotate(most=Max("booked")).order_by()
    most = dict(found.values_list("stock_row_id", "most"))
    rows = StockRow.objects.for_shop(owner_id).filter(pk__in=list(row_ids), out__gt=0)
    for row_id, out in rows.values_list("pk", "out"):
        most[row_id] = max(out, most.get(row_id, 0))
    return most


def bookings_of(*, owner_id: str, stock_row_id: int, now: datetime, limit: int = 50) -> list[Booking]:
    """Who has units of the row from now on, the first to go out first. One query."""
    periods = HoldPeriod.objects.for_shop(owner_id).filter(
        stock_row_id=stock_row_id,
        blocked_until__gte=first_day(now),
        hold__status__in=[Hold.Status.ACTIVE, Hold.Status.COMMITTED],
    )
    rows = periods.order_by("starts", "ends", "pk").values_list(
        "hold_id", "hold__status", "hold__held_for", "quantity", "starts", "ends", "blocked_until"
    )
    return [Booking(*row) for row in rows[:limit]]


def first_day(now: datetime) -> date:
    """From which day on capacities follow the stock: yesterday's by UTC, as it may still be that day somewhere."""
    return now.astimezone(UTC).date() - timedelta(days=1)


def _look(shop_id: str, lines: Sequence[Line]) -> list[tuple[int, int, list[date]]]:
    rows: list[Any] = ask_all(
        columns="o_line, o_available, o_short",
        function="inventory_periods_look",
        shop_id=shop_id,
        arguments=_LOOK,
        values=_arrays(lines),
    )
    return rows


def _arrays(lines: Sequence[Line]) -> tuple[str, str, str, str]:
    """Keys, quantities, first and last days, as PostgreSQL spells arrays."""
    quantities, starts, ends = (
        "{" + ",".join(map(str, values)) + "}"
        for values in (
            [line.quantity for line in lines], [line.starts for line in lines], [line.ends for line in lines],
        )
    )  # fmt: skip
    return text_array([line.variant_key for line in lines]), quantities, starts, ends


def _shortage(line: Line, available: int, days: Iterable[date]) -> PeriodShortage:
    assert line.starts is not None and line.ends is not None  # noqa: S101  looked up by their days
    return PeriodShortage(line.sku, line.variant_key, line.quantity, available, line.starts, line.ends, tuple(days))

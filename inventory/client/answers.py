"""What the authority is asked and answers, and reading it strictly: an answer that isn't exactly what was promised for
exactly what was asked is none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

STATUSES: Final = frozenset({"active", "committed", "released", "expired"})
STATES: Final = frozenset({"in_stock", "low", "out"})


class Unreadable(ValueError):
    """The answer isn't one of the contract's."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: `quantity` units of a SKU, of the variant with these attributes."""

    sku: str
    quantity: int
    variant_attributes: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        line: dict[str, Any] = {"sku": self.sku, "quantity": self.quantity}
        if self.variant_attributes:
            line["variantAttributes"] = dict(self.variant_attributes)
        return line


@dataclass(frozen=True, slots=True)
class Checked:
    """A line as the authority understood it: duplicates are summed, the variant has its canonical key."""

    sku: str
    variant_key: str
    requested: int
    available: int


Short = Checked
"""A line of which fewer are available than requested."""


@dataclass(frozen=True, slots=True)
class Validation:
    """`ok` and every line, or not ok and the lines that are short. True in a condition only where it is ok."""

    ok: bool
    items: tuple[Checked, ...] = ()
    insufficient: tuple[Short, ...] = ()

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class HeldLine:
    sku: str
    variant_key: str
    quantity: int


@dataclass(frozen=True, slots=True)
class RemoteHold:
    """A hold as it is at the authority. `idempotent_hit`: it was there before this request."""

    hold_id: str
    status: str
    expires_at: datetime
    items: tuple[HeldLine, ...]
    idempotent_hit: bool = False


@dataclass(frozen=True, slots=True)
class Available:
    """What can be sold of a variant; `state` is in_stock, low or out."""

    sku: str
    variant_key: str
    available: int
    state: str


def read_json(body: bytes) -> dict[str, Any]:
    """The object in `body`. Raises Unreadable, also for NaN and for a member that is there twice."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Unreadable("It isn't JSON.") from error
    if not isinstance(found, dict):
        raise Unreadable("It isn't an object.")
    return found


def read_validation(answer: Mapping[str, Any], asked: Sequence[Item], shop_id: str | None) -> Validation:
    """The answer to a validation that succeeded. Raises Unreadable unless it says so of every unit that was asked."""
    if answer.get("ok") is not True:
        raise Unreadable("It doesn't say ok.")
    if shop_id is not None and answer.get("shopId") != shop_id:
        raise Unreadable("It speaks of another shop.")
    items = tuple(_checked(item) for item in _list(answer, "items"))
    _same_units(((item.sku, item.requested) for item in items), asked)
    if any(item.available < item.requested for item in items):
        raise Unreadable("It says ok to what is short.")
    return Validation(ok=True, items=items)


def read_shortage(answer: Mapping[str, Any]) -> tuple[Short, ...]:
    """The short lines of a 409. Raises Unreadable unless there is one, and each of them short."""
    items = tuple(_checked(item) for item in _list(answer, "items"))
    if not items or any(item.available >= item.requested for item in items):
        raise Unreadable("It doesn't say what is short.")
    return items


def read_hold(
    answer: Mapping[str, Any], *, asked: Sequence[Item] = (), hold_id: str = "", status: Iterable[str] = STATUSES
) -> RemoteHold:
    """A hold with one of these statuses, with this id and of these units where they are given. Raises Unreadable."""
    try:
        found = str(UUID(_text(answer, "holdId")))
    except ValueError as error:
        raise Unreadable("holdId isn't an id.") from error
    if hold_id and found != hold_id:
        raise Unreadable("It speaks of another hold.")
    if (said := _text(answer, "status")) not in status:
        raise Unreadable(f"The hold is {said[:20]}, which was not asked for.")
    lines = tuple(
        HeldLine(_text(item, "sku"), _text(item, "variantKey"), _count(item, "quantity"))
        for item in _list(answer, "items")
    )
    if asked:
        _same_units(((line.sku, line.quantity) for line in lines), asked)
    hit = answer.get("idempotentHit", False)
    if not isinstance(hit, bool):
        raise Unreadable("idempotentHit isn't true or false.")
    return RemoteHold(found, said, _moment(answer, "expiresAt"), lines, hit)


def read_availability(answer: Mapping[str, Any], shop_id: str | None) -> tuple[Available, ...]:
    """Raises Unreadable."""
    if shop_id is not None and answer.get("shopId") != shop_id:
        raise Unreadable("It speaks of another shop.")
    found = tuple(
        Available(_text(item, "sku"), _text(item, "variantKey"), _count(item, "available"), _text(item, "state"))
        for item in _list(answer, "items")
    )
    if any(item.state not in STATES for item in found):
        raise Unreadable("It names a state that there isn't.")
    return found


def _checked(item: Mapping[str, Any]) -> Checked:
    return Checked(_text(item, "sku"), _text(item, "variantKey"), _count(item, "requested"), _count(item, "available"))


def _same_units(answered: Iterable[tuple[str, int]], asked: Sequence[Item]) -> None:
    """By SKU: how attributes become a variant's key is the authority's to know."""
    units: Counter[str] = Counter()
    for item in asked:
        units[item.sku] += item.quantity
    for sku, quantity in answered:
        units[sku] -= quantity
    if any(units.values()):
        raise Unreadable("It speaks of other goods than were asked for.")


def _list(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = answer.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Unreadable(f"{name} isn't a list of objects.")
    return found


def _text(item: Mapping[str, Any], name: str) -> str:
    found = item.get(name)
    if not isinstance(found, str) or not found:
        raise Unreadable(f"{name} isn't a text.")
    return found


def _count(item: Mapping[str, Any], name: str) -> int:
    found = item.get(name)
    if type(found) is not int or found < 0:
        raise Unreadable(f"{name} isn't a number of units.")
    return found


def _moment(item: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(_text(item, name))
    except ValueError as error:
        raise Unreadable(f"{name} isn't a time.") from error
    if found.tzinfo is None:
        raise Unreadable(f"{name} has no zone.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("A member is there twice.")
    return found


def _no_number(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no number.")

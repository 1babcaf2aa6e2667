"""Lists: newest first, cursors by id, `has_more`, and the filters that Stripe's list endpoints share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import Json, bad_request
from .store import Record
from .unit import Unit

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(
    unit: Unit,
    params: Json,
    kind: str,
    url: str,
    equal: Mapping[str, Any],
    *,
    more: Sequence[tuple[str, Sequence[Any]]] = (),
    show: Callable[[Record], Json] | None = None,
) -> Json:
    """One page of the caller's objects of `kind`.

    `equal` maps JSON members to wanted values, `more` adds raw conditions with their arguments, `show` renders.
    """
    where = ["account = ?", "kind = ?"]
    args: list[Any] = [unit.caller.account, kind]
    for name, value in equal.items():
        where.append(f"json_extract(body, '$.{name}') = ?")
        args.append(value)
    for condition, values in [*_created(params.get("created")), *more]:
        where.append(condition)
        args.extend(values)
    backwards = "ending_before" in params
    for name, comparison in (("starting_after", "<"), ("ending_before", ">")):
        if name in params:
            where.append(f"seq {comparison} ?")
            args.append(unit.need(kind, params[name], param=name).seq or _seq(unit, kind, params[name]))
    limit = params.get("limit", 10)
    found = unit.engine.store.select(" AND ".join(where), args, newest_first=not backwards, limit=limit + 1)
    shown = found[:limit]
    if backwards:
        shown.reverse()
    render = show or (lambda record: record.body)
    return listed(url, [render(record) for record in shown], has_more=len(found) > limit)


def listed(url: str, data: list[Json], *, has_more: bool = False) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def slice_of(params: Json, url: str, items: Sequence[Json], noun: str) -> Json:
    """A page of items that are kept inside another object, in their own order (line items)."""
    limit, ids = params.get("limit", 10), [item["id"] for item in items]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise bad_request(f"No such {noun}: '{params[name]}'", param=name, code="resource_missing")
    if "ending_before" in params:
        before = list(items[: ids.index(params["ending_before"])])
        return listed(url, before[-limit:], has_more=len(before) > limit)
    rest = list(items[ids.index(params["starting_after"]) + 1 :]) if "starting_after" in params else list(items)
    return listed(url, rest[:limit], has_more=len(rest) > limit)


def _seq(unit: Unit, kind: str, object_id: str) -> int:
    """The place of an object that was made in this very unit of work."""
    record = unit.engine.store.get(unit.caller.account, kind, object_id)
    return record.seq if record else 0


def _created(wanted: Any) -> list[tuple[str, Sequence[Any]]]:
    if wanted is None:
        return []
    if isinstance(wanted, dict):
        return [(f"created {COMPARISONS[name]} ?", (value,)) for name, value in wanted.items()]
    return [("created = ?", (wanted,))]


def type_condition(patterns: Sequence[str]) -> tuple[str, Sequence[Any]]:
    """Event types, `charge.*` included. Anything but names, dots and stars is refused."""
    for pattern in patterns:
        if not re.fullmatch(r"[a-z0-9_.*]+", pattern):
            raise bad_request(f"Invalid event type: {pattern}", param="type")
    tests = " OR ".join("json_extract(body, '$.type') GLOB ?" for _ in patterns)
    return f"({tests})", list(patterns)

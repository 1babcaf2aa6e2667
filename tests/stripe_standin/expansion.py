"""`expand[]`: ids replaced by the objects they name, and the members that appear only when asked for."""

from __future__ import annotations

from typing import Any

from . import ids, ledger, listing, session_lines
from .errors import Json, bad_request
from .unit import Unit

MAX_DEPTH = 4
# What a list shows of a collection inside an object; the rest is behind that collection's own endpoint.
INCLUDED = 10


def expand(unit: Unit, body: Json, paths: list[str]) -> Json:
    """A copy of `body` with every path expanded. Raises ApiError(400) for what can't be."""
    expanded = body
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_DEPTH:
            raise bad_request(f"You can't expand more than {MAX_DEPTH} levels: {path}", param="expand")
        expanded = _object(unit, expanded, parts, path)
    return expanded


def _object(unit: Unit, body: Json, parts: list[str], path: str) -> Json:
    name, rest = parts[0], parts[1:]
    if name == "data" and isinstance(body.get("data"), list) and rest:
        return body | {"data": [_object(unit, item, rest, path) for item in body["data"]]}
    value = _member(unit, body, name, path)
    if isinstance(value, dict) and rest:
        value = _object(unit, value, rest, path)
    return body | {name: value}


def _member(unit: Unit, body: Json, name: str, path: str) -> Any:
    if body.get("object") == "checkout.session" and name == "line_items":
        if isinstance(body.get("line_items"), dict):
            return body["line_items"]
        lines = session_lines.shown_lines(unit.need("checkout.session", body["id"]))
        url = f"/v1/checkout/sessions/{body['id']}/line_items"
        return listing.slice_of({"limit": INCLUDED}, url, lines, "line item")
    if body.get("object") == "charge" and name == "refunds":
        found = [record.body for record in unit.select("refund", "charge", body["id"])][::-1]
        return listing.slice_of({"limit": INCLUDED}, f"/v1/charges/{body['id']}/refunds", found, "refund")
    if name not in body:
        raise bad_request(f"This property cannot be expanded ({path}).", param="expand")
    value = body[name]
    if not isinstance(value, str):
        return value  # null, an object, or expanded by an earlier path
    kind = ids.kind_of(value)
    record = unit.get(kind or "coupon", value)
    if record is None or (kind is None and name != "coupon") or name == "id":
        raise bad_request(f"This property cannot be expanded ({path}).", param="expand")
    return ledger.shown(record, unit.now) if kind == "balance_transaction" else record.body

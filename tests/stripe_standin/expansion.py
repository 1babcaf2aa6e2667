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
    elif isinstance(value, list) and rest:
        value = [_object(unit, item, rest, path) if isinstance(item, dict) else item for item in value]
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
    if body.get("object") == "invoice" and name in ("payments", "confirmation_secret"):
        return _of_invoice(unit, body, name)
    if name not in body:
        raise bad_request(f"This property cannot be expanded ({path}).", param="expand")
    value = body[name]
    if isinstance(value, list):
        return [_named(unit, item, name, path) if isinstance(item, str) else item for item in value]
    if not isinstance(value, str):
        return value  # null, an object, or expanded by an earlier path
    return _named(unit, value, name, path)


def _named(unit: Unit, value: str, name: str, path: str) -> Json:
    """The object that an id names."""
    kind = ids.kind_of(value)
    record = unit.get(kind or "coupon", value)
    if record is None or (kind is None and name != "coupon") or name == "id":
        raise bad_request(f"This property cannot be expanded ({path}).", param="expand")
    return ledger.shown(record, unit.now) if kind == "balance_transaction" else record.body


def _of_invoice(unit: Unit, body: Json, name: str) -> Any:
    """What an invoice shows only when asked: its payments, and the secret with which the customer could pay it."""
    if name in body:
        return body[name]
    found = [record.body for record in unit.select("invoice_payment", "invoice", body["id"])]
    if name == "payments":
        return listing.slice_of({"limit": INCLUDED}, f"/v1/invoices/{body['id']}/payments", found, "payment")
    intent = unit.get("payment_intent", found[0]["payment"]["payment_intent"]) if found else None
    return {"client_secret": intent.body["client_secret"], "type": "payment_intent"} if intent else None

"""Rows of a JSON file: our own export, and the shapes that the platform's older `inventory.json` had.

`{"items": [{"variantKey": …, "quantity": …}]}` or the bare list, `{"SKU": 3}`, `{"SKU#size:M": 3}` and
`{"SKU": {"size:M": 3}}`, the last three mixed as they like. What has another reading is refused, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from inventory.bulk.formats import FileRefused, text_of
from inventory.bulk.located_json import Array, Fraction, Node, Object, parse_located
from inventory.bulk.rows import Mode, RawRow, meaning_of
from inventory.variants import MalformedVariant, attributes_key, variant_key

FORMAT: Final = "holdfast-stock/1"
ENVELOPE: Final = frozenset({"format", "shop", "shopId", "items", "asOf"})


def read_json(data: bytes, *, mode: Mode, shop_id: str) -> Iterator[RawRow]:
    """The rows. Raises FileRefused when the text is no JSON, has no rows, or says that it is another shop's."""
    root = parse_located(text_of(data))
    if isinstance(root.value, Array):
        yield from _listed(root.value)
    elif isinstance(root.value, Object):
        yield from _from_object(root.value, shop_id)
    else:
        raise FileRefused("The JSON is neither an object nor a list.")


def _from_object(root: Object, shop_id: str) -> Iterator[RawRow]:
    members = dict(root.members)
    items = members.get("items")
    if items is not None and isinstance(items.value, Array):
        if len(members) != len(root.members):
            raise FileRefused("A member beside “items” is there twice.")
        if strange := sorted(members.keys() - ENVELOPE):
            raise FileRefused(f"Beside “items” there is something else: {', '.join(map(repr, strange[:5]))}.")
        for name in ("shop", "shopId"):
            if name in members and members[name].value != shop_id:
                raise FileRefused("The file says that it is another shop's.")
        if "format" in members and members["format"].value != FORMAT:
            raise FileRefused(f"The file has another format than {FORMAT}.")
        yield from _listed(items.value)
        return
    if not root.members:
        raise FileRefused("The file has no rows.")
    for name, node in root.members:
        if isinstance(node.value, Object):
            if not node.value.members:
                yield RawRow(node.line, {"sku": name}, "The SKU has no variants.")
            for attributes, units in node.value.members:
                yield _older({"sku": name, "attributes": attributes}, units)
        else:
            yield _older({"key": name}, node)


def _older(cells: dict[str, str], units: Node) -> RawRow:
    if isinstance(units.value, bool) or not isinstance(units.value, int):
        return RawRow(units.line, cells, "The units are not a whole number.")
    return RawRow(units.line, {**cells, "quantity": str(units.value)})


def _listed(items: Array) -> Iterator[RawRow]:
    if not items.items:
        raise FileRefused("The file has no rows.")
    for node in items.items:
        if isinstance(node.value, Object):
            yield _item(node.line, node.value)
        else:
            yield RawRow(node.line, problem="An item is an object with variantKey and quantity.")


def _item(line: int, item: Object) -> RawRow:
    cells = dict[str, str]()
    for name, node in item.members:
        meaning = meaning_of(name)
        if meaning is None:
            return RawRow(line, cells, f"Unknown member {name[:40]!r}.")
        if meaning in cells and meaning != "ignored":
            return RawRow(line, cells, f"Two members mean the same: {name[:40]!r} and another.")
        try:
            cells[meaning] = _text(name, node)
        except ValueError as error:
            return RawRow(line, cells, str(error))
    if "on_hand" in cells and "quantity" in cells:
        return RawRow(line, cells, "The item has both onHand and quantity.")
    if {"on_hand", "delta"} <= cells.keys() or {"quantity", "delta"} <= cells.keys():
        return RawRow(line, cells, "The item has units to set and units to add.")
    return RawRow(line, cells)


def _text(name: str, node: Node) -> str:
    """What a spreadsheet's cell would have. Raises ValueError for a value of the wrong type."""
    value, meaning = node.value, meaning_of(name)
    if value is None or meaning == "ignored":
        return ""
    if meaning == "attributes" and isinstance(value, Object):
        return _attributes(value)
    if meaning in {"sku", "key", "attributes", "shop"}:
        if isinstance(value, str):
            return value
        raise ValueError(f"{name} is not a text.")
    if isinstance(value, bool) or not isinstance(value, int):
        shown = value.text if isinstance(value, Fraction) else ""
        raise ValueError(f"{name} is not a whole number{': ' + shown if shown else ''}.")
    return str(value)


def _attributes(value: Object) -> str:
    pairs = {name: node.value for name, node in value.members}
    if len(pairs) != len(value.members):
        raise ValueError("An attribute is named twice.")
    texts = {name: text for name, text in pairs.items() if isinstance(text, str)}
    if len(texts) != len(pairs):
        raise ValueError("An attribute's value is not a text.")
    try:
        variant_key("x", texts)
        return attributes_key(texts)
    except MalformedVariant as error:
        raise ValueError(error.detail) from error

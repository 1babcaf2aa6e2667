"""The items that a caller sends: new ones, changed ones, deleted ones."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from . import billing_shapes, catalog, session_lines, subscribing
from .errors import Json, bad_request
from .store import Record
from .subscribing import Item
from .unit import Unit

SENT = ("id", "price", "price_data", "quantity", "deleted", "metadata", "tax_rates", "clear_usage")


@dataclass(slots=True)
class Change:
    """`items` are the subscription's items after it; the pairs are an item before and after, with None for no item."""

    items: list[Json]
    pairs: list[tuple[Json | None, Json | None]] = field(default_factory=list)

    @property
    def new_interval(self) -> bool:
        """Whether the items recur at another interval than before: then a new period begins."""
        before = [old["price"]["recurring"] for old, _ in self.pairs if old]
        after = self.items[0]["price"]["recurring"]
        names = ("interval", "interval_count")
        return any(old[name] != after[name] for old in before for name in names)


def new(unit: Unit, sent: list[Json], path: str = "items") -> list[Item]:
    """The items of a subscription that is made."""
    found = [_new(unit, item, f"{path}[{position}]") for position, item in enumerate(sent)]
    subscribing.check_prices([item.price for item in found], path)
    return found


def _new(unit: Unit, sent: Json, path: str) -> Item:
    subscribing.refuse_others(sent, SENT, "an item")
    price = _price(unit, sent, path)
    return Item(price, sent.get("quantity", 1), _rates(unit, sent), catalog.merged_metadata({}, sent.get("metadata")))


def _price(unit: Unit, sent: Json, path: str) -> Json:
    price = session_lines.price_of(unit, sent, path)
    if price["type"] != "recurring":
        raise bad_request("A subscription takes recurring prices only.", param=f"{path}[price]")
    return price


def _rates(unit: Unit, sent: Json) -> list[Json]:
    return [unit.need("tax_rate", rate, param="items[tax_rates]").body for rate in sent.get("tax_rates") or []]


def changed(unit: Unit, subscription: Record, sent: list[Json], path: str = "items") -> Change:
    """The change that these items ask for. One without an `id` is an item more, as with Stripe."""
    items: list[Json] = copy.deepcopy(subscription.body["items"]["data"])
    change = Change(items)
    for position, wanted in enumerate(sent):
        here = f"{path}[{position}]"
        if "id" not in wanted:
            made = subscribing.new_item(unit, subscription.body, _new(unit, wanted, here))
            start, end = items[0]["current_period_start"], items[0]["current_period_end"]
            items.append(made | {"current_period_start": start, "current_period_end": end})
            change.pairs.append((None, items[-1]))
            continue
        subscribing.refuse_others(wanted, SENT, "an item")
        old = next((item for item in items if item["id"] == wanted["id"]), None)
        if old is None:
            raise bad_request(
                f"No such subscription item: '{wanted['id']}'", param=f"{here}[id]", code="resource_missing"
            )
        _change_one(unit, change, old, wanted, here)
    if not items:
        raise bad_request("A subscription keeps at least one item; cancel it instead.", param=path)
    subscribing.check_prices([item["price"] for item in items], path)
    return change


def _change_one(unit: Unit, change: Change, item: Json, wanted: Json, path: str) -> None:
    before = copy.deepcopy(item)
    if wanted.get("deleted"):
        change.items.remove(item)
        change.pairs.append((before, None))
        return
    if "price" in wanted or "price_data" in wanted:
        item["price"] = _price(unit, wanted, path)
        item["plan"] = billing_shapes.plan(item["price"])
        # Stripe's rule: a new price without a quantity is one of it.
        item["quantity"] = 1
    item["quantity"] = wanted.get("quantity", item["quantity"])
    item["metadata"] = catalog.merged_metadata(item["metadata"], wanted.get("metadata"))
    if "tax_rates" in wanted:
        item["tax_rates"] = _rates(unit, wanted)
    if (before["price"]["id"], before["quantity"]) != (item["price"]["id"], item["quantity"]):
        change.pairs.append((before, item))

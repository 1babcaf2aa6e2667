"""Products and their prices. A price's amount never changes: another amount is another price, which may take over the
lookup key of the one before.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from . import ids, listing, periods, shapes
from .catalog import merged_metadata, unset
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

PRODUCT_MEMBERS = ("description", "images", "tax_code", "unit_label", "url", "statement_descriptor",
                   "marketing_features", "shippable", "package_dimensions")  # fmt: skip
TIERED = ("billing_scheme", "currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity")


def create_product(unit: Unit, params: Json) -> Json:
    product_id = params.get("id") or ids.new_id("prod", 14)
    if unit.get("product", product_id):
        message = f"Product already exists with id {product_id}."
        raise bad_request(message, param="id", code="resource_already_exists")
    body = shapes.product(product_id, unit.now, params["name"])
    body |= {name: unset(params[name]) for name in PRODUCT_MEMBERS if name in params}
    body["metadata"] = merged_metadata({}, params.get("metadata"))
    body["active"] = params.get("active", True)
    record = unit.add("product", body)
    unit.announce("product.created", record)
    if "default_price_data" in params:
        price = unit.add("price", price_body(unit, params["default_price_data"], record.id))
        unit.announce("price.created", price)
        record.body["default_price"] = price.id
        unit.save(record)
    return record.body


def retrieve_product(unit: Unit, params: Json, product_id: str) -> Json:
    return unit.need("product", product_id).body


def update_product(unit: Unit, params: Json, product_id: str) -> Json:
    record = unit.need("product", product_id)
    before = dict(record.body)
    record.body |= {name: unset(params[name]) for name in PRODUCT_MEMBERS if name in params}
    record.body |= {name: params[name] for name in ("name", "active") if name in params}
    if "default_price" in params:
        price = unit.need("price", params["default_price"], param="default_price")
        if price.body["product"] != product_id:
            raise bad_request("The price is another product's.", param="default_price")
        record.body["default_price"] = price.id
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    return _changed(unit, record, before, "product.updated")


def list_products(unit: Unit, params: Json) -> Json:
    more: list[tuple[str, list[Any]]] = _active(params)
    if "ids" in params:
        more.append((f"id IN ({', '.join('?' for _ in params['ids'])})", list(params["ids"])))
    return listing.page(unit, params, "product", "/v1/products", {}, more=more)


def _active(params: Json) -> list[tuple[str, list[Any]]]:
    return [("json_extract(body, '$.active') = ?", [params["active"]])] if "active" in params else []


def _changed(unit: Unit, record: Record, before: Json, event: str) -> Json:
    previous = {name: value for name, value in before.items() if record.body[name] != value}
    if previous:
        if "updated" in record.body:
            record.body["updated"] = unit.now
        unit.save(record)
        unit.announce(event, record, previous=previous)
    return record.body


# Prices


def price_body(unit: Unit, data: Json, product_id: str) -> Json:
    """A price from `price_data` or from `prices.create`: the amount as integer where it is whole, and as decimal."""
    body = shapes.price(ids.new_id("price"), unit.now, currency=data["currency"].lower(), product=product_id)
    exact = Decimal(data["unit_amount"] if "unit_amount" in data else data.get("unit_amount_decimal", "0"))
    body["unit_amount"] = int(exact) if exact == exact.to_integral_value() else None
    body["unit_amount_decimal"] = f"{exact.normalize():f}"
    body["metadata"] = merged_metadata({}, data.get("metadata"))
    body["tax_behavior"] = data.get("tax_behavior", "unspecified")
    if "recurring" in data:
        body |= {"type": "recurring", "recurring": _recurring(data["recurring"])}
    return body


def _recurring(sent: Json) -> Json:
    if sent.get("usage_type", "licensed") != "licensed" or "meter" in sent:
        raise bad_request("The stand-in has no metered prices.", param="recurring[usage_type]")
    if not 1 <= sent.get("interval_count", 1) <= periods.MOST[sent["interval"]]:
        raise bad_request("A price recurs at least every three years.", param="recurring[interval_count]")
    return {
        "interval": sent["interval"],
        "interval_count": sent.get("interval_count", 1),
        "meter": None,
        "trial_period_days": sent.get("trial_period_days"),
        "usage_type": "licensed",
    }


def create_price(unit: Unit, params: Json) -> Json:
    for name in TIERED:
        if params.get(name, "per_unit") != "per_unit":
            raise bad_request(f"The stand-in can't act on {name} of a price.", param=name)
    if "product_data" in params:
        product_id = create_product(unit, params["product_data"])["id"]
    elif "product" in params:
        product_id = unit.need("product", params["product"], param="product").id
    else:
        raise bad_request("Missing required param: product.", param="product", code="parameter_missing")
    if "unit_amount" not in params and "unit_amount_decimal" not in params:
        raise bad_request("Missing required param: unit_amount.", param="unit_amount", code="parameter_missing")
    body = price_body(unit, params, product_id)
    _name(unit, body, params)
    body["active"] = params.get("active", True)
    record = unit.add("price", body)
    unit.announce("price.created", record)
    return record.body


def _name(unit: Unit, body: Json, params: Json) -> None:
    """Nickname and lookup key. A key names one price; `transfer_lookup_key` takes it from the price that has it."""
    body |= {name: unset(params[name]) for name in ("nickname", "lookup_key") if name in params}
    if not params.get("lookup_key"):
        return
    for holder in unit.select("price", "lookup_key", params["lookup_key"]):
        if holder.id == body["id"]:
            continue
        if not params.get("transfer_lookup_key"):
            message = f"A price (`{holder.id}`) already uses that lookup key."
            raise bad_request(message, param="lookup_key", code="resource_already_exists")
        holder.body["lookup_key"] = None
        unit.save(holder)
        unit.announce("price.updated", holder, previous={"lookup_key": params["lookup_key"]})


def retrieve_price(unit: Unit, params: Json, price_id: str) -> Json:
    return unit.need("price", price_id).body


def update_price(unit: Unit, params: Json, price_id: str) -> Json:
    record = unit.need("price", price_id)
    before = dict(record.body)
    if "currency_options" in params:
        raise bad_request("The stand-in can't act on currency_options of a price.", param="currency_options")
    _name(unit, record.body, params)
    if "active" in params:
        record.body["active"] = params["active"]
    if "tax_behavior" in params:
        if record.body["tax_behavior"] not in ("unspecified", params["tax_behavior"]):
            raise bad_request("A price's tax behavior can't be changed once it is set.", param="tax_behavior")
        record.body["tax_behavior"] = params["tax_behavior"]
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    return _changed(unit, record, before, "price.updated")


def list_prices(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("product", "currency", "type") if name in params}
    found |= {f"recurring.{name}": value for name, value in (params.get("recurring") or {}).items()}
    more = _active(params)
    if "lookup_keys" in params:
        wanted = params["lookup_keys"]
        more.append((f"json_extract(body, '$.lookup_key') IN ({', '.join('?' for _ in wanted)})", list(wanted)))
    return listing.page(unit, params, "price", "/v1/prices", found, more=more)

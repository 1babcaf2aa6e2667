"""Customers, coupons, products, prices, shipping and tax rates: objects that are kept as they were sent."""

from __future__ import annotations

from decimal import Decimal

from . import ids, listing, shapes
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

NOT_MEMBERS = frozenset({"expand"})


def merged_metadata(current: Json, sent: object) -> Json:
    """Stripe's rule: named keys change, an empty value removes one, an empty `metadata` removes all."""
    if sent == "":
        return {}
    changes = sent if isinstance(sent, dict) else {}
    return {key: value for key, value in {**current, **changes}.items() if value != ""}


def unset(value: object) -> object:
    """An empty text sent for a member takes its value away."""
    return None if value == "" else value


# Customers

CUSTOMER_MEMBERS = ("address", "description", "email", "name", "phone", "shipping", "business_name", "individual_name")


def create_customer(unit: Unit, params: Json) -> Json:
    return new_customer(unit, params).body


def new_customer(unit: Unit, params: Json) -> Record:
    body = shapes.customer(ids.new_id("cus", 14), unit.now)
    body |= {name: unset(params[name]) for name in CUSTOMER_MEMBERS if name in params}
    body["address"] = shapes.NO_ADDRESS | body["address"] if body["address"] else None
    body["metadata"] = merged_metadata({}, params.get("metadata"))
    body["preferred_locales"] = params.get("preferred_locales") or []
    record = unit.add("customer", body)
    unit.announce("customer.created", record)
    return record


def retrieve_customer(unit: Unit, params: Json, customer_id: str) -> Json:
    return unit.need("customer", customer_id).body


def update_customer(unit: Unit, params: Json, customer_id: str) -> Json:
    record = unit.need("customer", customer_id)
    before = dict(record.body)
    record.body |= {name: unset(params[name]) for name in CUSTOMER_MEMBERS if name in params}
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    if "preferred_locales" in params:
        record.body["preferred_locales"] = params["preferred_locales"]
    changed = {name: value for name, value in before.items() if record.body[name] != value}
    unit.save(record)
    if changed:
        unit.announce("customer.updated", record, previous=changed)
    return record.body


def delete_customer(unit: Unit, params: Json, customer_id: str) -> Json:
    record = unit.need("customer", customer_id)
    unit.announce("customer.deleted", record)
    unit.remove(record)
    return {"id": customer_id, "object": "customer", "deleted": True}


def list_customers(unit: Unit, params: Json) -> Json:
    found: Json = {"email": params["email"]} if "email" in params else {}
    return listing.page(unit, params, "customer", "/v1/customers", found)


# Coupons


def create_coupon(unit: Unit, params: Json) -> Json:
    coupon_id = params.get("id") or ids.random_text(8)
    if unit.get("coupon", coupon_id):
        raise bad_request(f"There is a coupon {coupon_id} already.", param="id", code="resource_already_exists")
    percent = params.get("percent_off")
    body: Json = {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": unit.now,
        "currency": params["currency"].lower() if "currency" in params else None,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": percent,
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    if "applies_to" in params:
        body["applies_to"] = params["applies_to"]
    return unit.add("coupon", body).body


def shown_coupon(record: Record, now: int) -> Json:
    body = record.body
    used_up = body["max_redemptions"] is not None and body["times_redeemed"] >= body["max_redemptions"]
    too_late = body["redeem_by"] is not None and body["redeem_by"] <= now
    return body | {"valid": not used_up and not too_late}


def redeem_coupon(unit: Unit, coupon_id: str) -> None:
    """Count a redemption; a coupon deleted meanwhile has nothing to count on."""
    record = unit.get("coupon", coupon_id)
    if record:
        record.body["times_redeemed"] += 1
        unit.save(record)


def retrieve_coupon(unit: Unit, params: Json, coupon_id: str) -> Json:
    return shown_coupon(unit.need("coupon", coupon_id), unit.now)


def delete_coupon(unit: Unit, params: Json, coupon_id: str) -> Json:
    unit.remove(unit.need("coupon", coupon_id))
    return {"id": coupon_id, "object": "coupon", "deleted": True}


def list_coupons(unit: Unit, params: Json) -> Json:
    def show(record: Record) -> Json:
        return shown_coupon(record, unit.now)

    return listing.page(unit, params, "coupon", "/v1/coupons", {}, show=show)


# Products and prices


def create_product(unit: Unit, params: Json) -> Json:
    if "id" in params and unit.get("product", params["id"]):
        message = f"Product already exists with id {params['id']}."
        raise bad_request(message, param="id", code="resource_already_exists")
    body = shapes.product(params.get("id") or ids.new_id("prod", 14), unit.now, params["name"])
    copied = ("description", "images", "tax_code", "unit_label", "url", "statement_descriptor", "marketing_features")
    body |= {name: unset(params[name]) for name in copied if name in params}
    body["metadata"] = merged_metadata({}, params.get("metadata"))
    body["active"] = params.get("active", True)
    record = unit.add("product", body)
    if "default_price_data" in params:
        price = unit.add("price", price_body(unit, params["default_price_data"], record.id))
        record.body["default_price"] = price.id
        unit.save(record)
    return record.body


def retrieve_product(unit: Unit, params: Json, product_id: str) -> Json:
    return unit.need("product", product_id).body


def list_products(unit: Unit, params: Json) -> Json:
    more = [("json_extract(body, '$.active') = ?", [params["active"]])] if "active" in params else []
    return listing.page(unit, params, "product", "/v1/products", {}, more=more)


def price_body(unit: Unit, data: Json, product_id: str) -> Json:
    """A price from `price_data` or from `prices.create`: the amount as integer where it is whole, and as decimal."""
    body = shapes.price(ids.new_id("price"), unit.now, currency=data["currency"].lower(), product=product_id)
    exact = Decimal(data["unit_amount"] if "unit_amount" in data else data.get("unit_amount_decimal", "0"))
    body["unit_amount"] = int(exact) if exact == exact.to_integral_value() else None
    body["unit_amount_decimal"] = f"{exact.normalize():f}"
    body["metadata"] = merged_metadata({}, data.get("metadata"))
    body["tax_behavior"] = data.get("tax_behavior", "unspecified")
    if "recurring" in data:
        body |= {"type": "recurring", "recurring": {"meter": None, "usage_type": "licensed"} | data["recurring"]}
    return body


def create_price(unit: Unit, params: Json) -> Json:
    if "product_data" in params:
        product_id = create_product(unit, params["product_data"])["id"]
    elif "product" in params:
        product_id = unit.need("product", params["product"], param="product").id
    else:
        raise bad_request("Missing required param: product.", param="product", code="parameter_missing")
    if "unit_amount" not in params and "unit_amount_decimal" not in params:
        raise bad_request("Missing required param: unit_amount.", param="unit_amount", code="parameter_missing")
    if "lookup_key" in params and unit.select("price", "lookup_key", params["lookup_key"]):
        message = f"A price (`{params['lookup_key']}`) already uses that lookup key."
        raise bad_request(message, param="lookup_key", code="resource_already_exists")
    body = price_body(unit, params, product_id)
    body |= {name: params[name] for name in ("nickname", "lookup_key") if name in params}
    body["active"] = params.get("active", True)
    return unit.add("price", body).body


def retrieve_price(unit: Unit, params: Json, price_id: str) -> Json:
    return unit.need("price", price_id).body


def list_prices(unit: Unit, params: Json) -> Json:
    found: Json = {name: params[name] for name in ("product", "currency", "type") if name in params}
    more = [("json_extract(body, '$.active') = ?", [params["active"]])] if "active" in params else []
    if keys := params.get("lookup_keys"):
        more.append((f"json_extract(body, '$.lookup_key') IN ({', '.join('?' * len(keys))})", list(keys)))
    return listing.page(unit, params, "price", "/v1/prices", found, more=more)


# Shipping and tax rates


def shipping_rate_body(unit: Unit, data: Json) -> Json:
    fixed = data.get("fixed_amount") or {"amount": 0, "currency": "usd"}
    return {
        "id": ids.new_id("shr"),
        "object": "shipping_rate",
        "active": True,
        "created": unit.now,
        "delivery_estimate": data.get("delivery_estimate"),
        "display_name": data["display_name"],
        "fixed_amount": {"amount": fixed["amount"], "currency": fixed["currency"].lower()},
        "livemode": False,
        "metadata": merged_metadata({}, data.get("metadata")),
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "tax_code": data.get("tax_code"),
        "type": "fixed_amount",
    }


def create_shipping_rate(unit: Unit, params: Json) -> Json:
    return unit.add("shipping_rate", shipping_rate_body(unit, params)).body


def retrieve_shipping_rate(unit: Unit, params: Json, rate_id: str) -> Json:
    return unit.need("shipping_rate", rate_id).body


def create_tax_rate(unit: Unit, params: Json) -> Json:
    nulls = "country description effective_percentage flat_amount jurisdiction jurisdiction_level state tax_type"
    body: Json = dict.fromkeys(nulls.split())
    body |= {
        "id": ids.new_id("txr"),
        "object": "tax_rate",
        "active": True,
        "created": unit.now,
        "livemode": False,
        "rate_type": "percentage",
    }
    body |= {name: value for name, value in params.items() if name not in NOT_MEMBERS}
    body |= {
        "metadata": merged_metadata({}, params.get("metadata")),
        "active": params.get("active", True),
    }
    return unit.add("tax_rate", body).body


def retrieve_tax_rate(unit: Unit, params: Json, rate_id: str) -> Json:
    return unit.need("tax_rate", rate_id).body

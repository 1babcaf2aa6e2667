"""Customers, coupons, shipping and tax rates: objects that are kept as they were sent."""

from __future__ import annotations

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
    _choose_method(unit, body, params)
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
    _choose_method(unit, record.body, params)
    changed = {name: value for name, value in before.items() if record.body[name] != value}
    unit.save(record)
    if changed:
        unit.announce("customer.updated", record, previous=changed)
    return record.body


def _choose_method(unit: Unit, body: Json, params: Json) -> None:
    """The payment method that invoices are collected with where the subscription names none: one of the customer's."""
    wanted = params.get("invoice_settings") or {}
    if set(wanted) - {"default_payment_method"}:
        raise bad_request("The stand-in can't act on these invoice settings.", param="invoice_settings")
    if "default_payment_method" not in wanted:
        return
    param = "invoice_settings[default_payment_method]"
    method = wanted["default_payment_method"] or None
    if method and unit.need("payment_method", method, param=param).body["customer"] != body["id"]:
        raise bad_request("The payment method isn't attached to this customer.", param=param)
    body["invoice_settings"] = body["invoice_settings"] | {"default_payment_method": method}


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

"""The goods of a session: prices looked up or made, discount, shipping and tax applied, and their JSON forms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from . import catalog, ids, money, products, shapes
from .errors import Json, bad_request
from .store import Record
from .totals import Discount, Line, Tax, Totals, add_up
from .unit import Unit

# Stripe's code for what no tax is due on, such as a deposit.
NOT_TAXABLE = "txcd_00000000"


def build_lines(unit: Unit, items: list[Json], *, recurring: bool) -> list[Json]:
    """The line items as they are kept with the session; amounts come later, they depend on the rest.

    `recurring`: whether the session's mode takes recurring prices.
    """
    lines = [_line(unit, item, f"line_items[{position}]") for position, item in enumerate(items)]
    if not recurring and any(line["price"]["type"] == "recurring" for line in lines):
        raise bad_request("A payment takes one-time prices only.", param="line_items")
    currencies = {line["price"]["currency"] for line in lines}
    if len(currencies) > 1:
        raise bad_request("All line items must have the same currency.", param="line_items")
    return lines


def _line(unit: Unit, item: Json, path: str) -> Json:
    price = price_of(unit, item, path)
    product = unit.need("product", price["product"])
    adjustable = item.get("adjustable_quantity")
    return {
        "id": ids.new_id("li"),
        "object": "item",
        "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": None} | (adjustable or {}),
        "currency": price["currency"],
        "description": product.body["name"],
        "discounts": [],
        "metadata": item.get("metadata") or {},
        "price": price,
        "quantity": item.get("quantity", 1),
        "tax_code": product.body.get("tax_code"),
        "tax_rates": [tax_rate(unit, rate, f"{path}[tax_rates]") for rate in item.get("tax_rates") or []],
        "taxes": [],
    }


def price_of(unit: Unit, item: Json, path: str) -> Json:
    """The price that an item names, or the one that its `price_data` makes."""
    if ("price" in item) == ("price_data" in item):
        raise bad_request("Exactly one of price, price_data must be sent.", param=f"{path}[price]")
    found = _known_price(unit, item["price"], path) if "price" in item else _new_price(unit, item["price_data"], path)
    return found.body


def _known_price(unit: Unit, price_id: str, path: str) -> Record:
    price = unit.need("price", price_id, param=f"{path}[price]")
    if not price.body["active"]:
        raise bad_request(f"The price {price_id} is inactive.", param=f"{path}[price]", code="price_inactive")
    return price


def _new_price(unit: Unit, data: Json, path: str) -> Record:
    """`price_data` makes an inactive price, and an inactive product unless it names one."""
    if "product" in data:
        product = unit.need("product", data["product"], param=f"{path}[price_data][product]").body["id"]
    else:
        made = shapes.product(ids.new_id("prod", 14), unit.now, data["product_data"]["name"])
        made |= {k: v for k, v in data["product_data"].items() if k != "name"} | {"active": False}
        product = unit.add("product", made).id
    body = products.price_body(unit, data, product) | {"active": False}
    return unit.add("price", body)


def tax_rate(unit: Unit, rate_id: str, path: str) -> Json:
    """What a line keeps of a tax rate."""
    rate = unit.need("tax_rate", rate_id, param=path).body
    return {"id": rate_id, "percentage": str(rate["percentage"]), "inclusive": rate["inclusive"]}


def build_shipping(unit: Unit, options: list[Json], currency: str) -> list[Json]:
    """The choices as kept: `{id, name, amount}`; inline data makes a shipping rate of its own."""
    found = []
    for position, option in enumerate(options):
        path = f"shipping_options[{position}]"
        if "shipping_rate" in option:
            rate = unit.need("shipping_rate", option["shipping_rate"], param=f"{path}[shipping_rate]")
        else:
            rate = unit.add("shipping_rate", catalog.shipping_rate_body(unit, option["shipping_rate_data"]))
        fixed = rate.body["fixed_amount"]
        if fixed["currency"] != currency:
            raise bad_request("The shipping rate's currency differs from the lines'.", param=path)
        found.append(
            {"id": rate.id, "name": rate.body["display_name"], "amount": fixed["amount"],
             "tax_behavior": rate.body["tax_behavior"], "tax_code": rate.body["tax_code"]}
        )  # fmt: skip
    return found


def find_coupon(unit: Unit, discounts: list[Json], currency: str) -> Json | None:
    """The coupon's body, checked to apply to a session in this currency."""
    for position, wanted in enumerate(discounts):
        path = f"discounts[{position}]"
        if "coupon" not in wanted:
            raise bad_request("No such promotion code. The stand-in has coupons only.", param=f"{path}[promotion_code]",
                              code="resource_missing")  # fmt: skip
        coupon = catalog.shown_coupon(unit.need("coupon", wanted["coupon"], param=f"{path}[coupon]"), unit.now)
        if not coupon["valid"]:
            raise bad_request(f"Coupon {coupon['id']} is used up or expired.", param=path, code="coupon_expired")
        if coupon["amount_off"] is not None and coupon["currency"] != currency:
            raise bad_request(f"Coupon {coupon['id']} is in another currency.", param=f"{path}[coupon]")
        return coupon
    return None


def apply_totals(unit: Unit, session: Record) -> None:
    """Compute the amounts of the session and of its lines from what it holds, and write them into it."""
    hidden, body = session.hidden, session.body
    chosen = next((o for o in hidden["shipping"] if o["id"] == hidden["shipping_choice"]), None)
    step = money.step(str(body["currency"]))
    shipping = _shipping_line(hidden, chosen, step) if chosen else 0
    totals = add_up(_lines(hidden, step), _discount(hidden["coupon"]), shipping)
    for line, amounts in zip(hidden["lines"], totals.lines, strict=True):
        line |= {
            "amount_discount": amounts.discount,
            "amount_subtotal": amounts.subtotal,
            "amount_tax": amounts.tax,
            "amount_total": amounts.total,
        }
    body |= {
        "amount_subtotal": totals.subtotal,
        "amount_total": totals.total,
        "total_details": {
            "amount_discount": totals.discount,
            "amount_shipping": totals.shipping,
            "amount_tax": totals.tax,
        },
        "shipping_cost": _shipping_cost(chosen, totals) if chosen else None,
    }
    _refuse_uncollectable(totals, str(body["currency"]))


def locate(unit: Unit, session: Record) -> bool:
    """The customer's address is known: from here on automatic tax is part of the totals. False when nothing changed."""
    tax = session.body["automatic_tax"]
    if not tax["enabled"] or tax["status"] == "complete" or session.body["status"] != "open":
        return False
    tax["status"] = "complete"
    session.hidden["located"] = True
    apply_totals(unit, session)
    unit.save(session)
    return session.hidden["tax_percent"] is not None


def _automatic(hidden: Json, behavior: str, code: str | None) -> list[Tax]:
    if not hidden["tax_percent"] or not hidden["located"] or code == NOT_TAXABLE:
        return []
    return [Tax(Decimal(hidden["tax_percent"]), behavior == "inclusive")]


def _lines(hidden: Json, step: int) -> list[Line]:
    only_for = (hidden["coupon"] or {}).get("applies_to", {}).get("products")
    return [
        Line(
            unit_amount=Decimal(0) if line.get("free") else Decimal(line["price"]["unit_amount_decimal"]),
            quantity=line["quantity"],
            taxes=[Tax(Decimal(rate["percentage"]), rate["inclusive"]) for rate in line["tax_rates"]]
            + _automatic(hidden, line["price"]["tax_behavior"], line.get("tax_code")),
            discountable=only_for is None or line["price"]["product"] in only_for,
            step=step,
        )
        for line in hidden["lines"]
    ]


def _shipping_line(hidden: Json, chosen: Json, step: int) -> Line:
    taxes = _automatic(hidden, chosen.get("tax_behavior", "unspecified"), chosen.get("tax_code"))
    return Line(unit_amount=Decimal(chosen["amount"]), quantity=1, taxes=taxes, step=step)


def _discount(coupon: Json | None) -> Discount | None:
    if coupon is None:
        return None
    if coupon["percent_off"] is not None:
        return Discount(percent_off=Decimal(str(coupon["percent_off"])))
    return Discount(amount_off=coupon["amount_off"])


def _shipping_cost(chosen: Json, totals: Totals) -> Json:
    inside = chosen.get("tax_behavior") == "inclusive"
    return {
        "amount_subtotal": totals.shipping,
        "amount_tax": totals.shipping_tax,
        "amount_total": totals.shipping + (0 if inside else totals.shipping_tax),
        "shipping_rate": chosen["id"],
    }


def _refuse_uncollectable(totals: Totals, currency: str) -> None:
    if 0 < totals.total < money.minimum(currency):
        least = money.display(money.minimum(currency), currency)
        raise bad_request(f"The session's total must be at least {least}.", code="amount_too_small")
    if len(str(totals.total)) > money.max_digits(currency):
        raise bad_request("The session's total is too large for its currency.", code="amount_too_large")


def shown_lines(session: Record) -> list[Json]:
    kept_inside = {"tax_rates", "tax_code", "free"}
    lines: list[dict[str, Any]] = session.hidden["lines"]
    return [{name: value for name, value in line.items() if name not in kept_inside} for line in lines]

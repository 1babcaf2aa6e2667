"""What an invoice says: its lines, their discount and taxes, and the sums. Nothing here is stored or announced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from . import billing_shapes, ids, money, periods
from .errors import Json
from .session_lines import NOT_TAXABLE
from .store import Record
from .totals import Discount, Line, LineAmounts, Tax, add_up
from .unit import Unit

Period = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line before its amounts. `unit` is in minor units and may be negative, a credit; `rates` are tax rates."""

    price: Json
    quantity: int
    unit: Decimal
    description: str
    period: Period
    parent: Json
    rates: Sequence[Json] = ()
    discountable: bool = True
    tax_code: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a whole bill. `tax_percent` is automatic tax; `discount` the id of the discount of `coupon`."""

    currency: str
    tax_percent: Decimal | None = None
    coupon: Json | None = None
    discount: str | None = None


def terms_of(unit: Unit, subscription: Record) -> Terms:
    """The terms of a subscription's next bill: its discount while it lasts, automatic tax where it is on."""
    body, percent = subscription.body, unit.engine.options.tax_rate_percent
    taxed = body["automatic_tax"]["enabled"] and percent
    terms = Terms(body["currency"], Decimal(str(percent)) if taxed else None)
    for discount_id in body["discounts"]:
        discount = unit.need("discount", discount_id)
        ends = discount.body["end"]
        if ends is None or ends > unit.now:
            return dataclasses.replace(terms, coupon=discount.hidden["coupon"], discount=discount_id)
    return terms


# Lines


def of_items(unit: Unit, subscription: Record, period: Period, *, trial: bool = False) -> list[Wanted]:
    """What the items cost for a period; nothing during a trial."""
    return [of_item(unit, subscription, item, period, trial=trial) for item in subscription.body["items"]["data"]]


def of_item(unit: Unit, subscription: Record, item: Json, period: Period, *, trial: bool = False) -> Wanted:
    price, quantity = item["price"], item["quantity"]
    product = unit.need("product", price["product"]).body
    amount = Decimal(price["unit_amount_decimal"])
    shown = money.display(money.round_half_up(amount), price["currency"])
    each = f"{quantity} × {product['name']} (at {shown} / {periods.words(price['recurring'])})"
    return Wanted(
        price=price,
        quantity=quantity,
        unit=Decimal(0) if trial else amount,
        description=f"Trial period for {product['name']}" if trial else each,
        period=period,
        parent=item_parent(subscription.id, item["id"]),
        rates=item["tax_rates"] or subscription.body["default_tax_rates"],
        tax_code=product["tax_code"],
    )


def of_session_line(line: Json, rates: Sequence[Json], now: int) -> Wanted:
    """A one-time price beside the recurring ones of a session: it is on the first invoice only."""
    return Wanted(
        price=line["price"],
        quantity=line["quantity"],
        unit=Decimal(line["price"]["unit_amount_decimal"]),
        description=line["description"],
        period=(now, now),
        parent=_parent(invoice_item=ids.new_id("ii"), proration=False, subscription=None),
        rates=rates,
        tax_code=line["tax_code"],
    )


def of_pending(unit: Unit, pending: Record, subscription: Record) -> Wanted:
    """An invoice item that waited for this invoice: a proration, with its amount as it was reckoned."""
    body = pending.body
    price = unit.need("price", body["pricing"]["price_details"]["price"]).body
    details: Json = body["parent"]["subscription_details"]
    parent = item_parent(subscription.id, details["subscription_item"], invoice_item=pending.id, proration=True)
    parent["subscription_item_details"]["proration_details"]["credited_items"] = pending.hidden.get("credited")
    return Wanted(
        price=price,
        quantity=body["quantity"],
        unit=Decimal(body["amount"]) / body["quantity"],
        description=body["description"],
        period=(body["period"]["start"], body["period"]["end"]),
        parent=parent,
        rates=body["tax_rates"],
        discountable=False,
        tax_code=unit.need("product", price["product"]).body["tax_code"],
    )


def item_parent(subscription: str, item: str, *, invoice_item: str | None = None, proration: bool = False) -> Json:
    details = {
        "invoice_item": invoice_item,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
        "subscription_item": item,
    }
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}


def _parent(*, invoice_item: str, proration: bool, subscription: str | None) -> Json:
    details = {
        "invoice_item": invoice_item,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
    }
    return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")


# Sums


def write(invoice: Json, wanted: Sequence[Wanted], terms: Terms) -> list[Json]:
    """Put lines and sums into the body of an invoice; returns all its lines, of which the body shows ten."""
    step = money.step(terms.currency)
    taxes = [_taxes(line, terms) for line in wanted]
    lines = [
        Line(line.unit, line.quantity, [tax for tax, _ in found], _discountable(line, terms.coupon), step)
        for line, found in zip(wanted, taxes, strict=True)
    ]
    totals = add_up(lines, _discount(terms.coupon), 0)
    made = [
        _line(invoice["id"], line, amounts, found, terms)
        for line, amounts, found in zip(wanted, totals.lines, taxes, strict=True)
    ]
    contained = sum(tax["amount"] for line in made for tax in line["taxes"] if tax["tax_behavior"] == "inclusive")
    invoice["lines"] |= {"data": made[:10], "has_more": len(made) > 10, "total_count": len(made)}
    invoice |= {
        "discounts": [terms.discount] if terms.discount else [],
        "subtotal": totals.subtotal,
        "subtotal_excluding_tax": totals.subtotal - contained,
        "total": totals.total,
        "total_excluding_tax": totals.total - totals.tax,
        "total_discount_amounts": [{"amount": totals.discount, "discount": terms.discount}] if terms.discount else [],
        "total_taxes": _summed([tax for line in made for tax in line["taxes"]]),
    }
    return made


def owe(invoice: Json, balance: int) -> None:
    """What is due after the customer's balance (negative: credit). Too little to be charged goes to the balance."""
    after = balance + invoice["total"]
    due = max(0, after)
    if due < money.minimum(invoice["currency"]):
        due = 0
    invoice |= {
        "amount_due": due,
        "amount_remaining": due,
        "starting_balance": balance,
        "ending_balance": after - due,
    }


def _taxes(line: Wanted, terms: Terms) -> list[tuple[Tax, Json]]:
    found = [(Tax(Decimal(str(rate["percentage"])), rate["inclusive"]), rate) for rate in line.rates]
    if terms.tax_percent and line.tax_code != NOT_TAXABLE:
        found.append((Tax(terms.tax_percent, line.price["tax_behavior"] == "inclusive"), {}))
    return found


def _discountable(line: Wanted, coupon: Json | None) -> bool:
    only_for = (coupon or {}).get("applies_to", {}).get("products")
    return line.discountable and (only_for is None or line.price["product"] in only_for)


def _discount(coupon: Json | None) -> Discount | None:
    if coupon is None:
        return None
    if coupon["percent_off"] is not None:
        return Discount(percent_off=Decimal(str(coupon["percent_off"])))
    return Discount(amount_off=coupon["amount_off"])


def _line(invoice: str, line: Wanted, amounts: LineAmounts, taxes: Sequence[tuple[Tax, Json]], terms: Terms) -> Json:
    made = billing_shapes.line(
        ids.new_id("il"), invoice=invoice, currency=terms.currency, price=line.price, quantity=line.quantity
    )
    off = [{"amount": amounts.discount, "discount": terms.discount}] if amounts.discount else []
    details: Json = line.parent[line.parent["type"]]
    return made | {
        "amount": amounts.subtotal,
        "description": line.description,
        "discount_amounts": off,
        "discountable": line.discountable,
        "parent": line.parent,
        "period": {"end": line.period[1], "start": line.period[0]},
        "pretax_credit_amounts": [{"credit_balance_transaction": None, "type": "discount", **part} for part in off],
        "subscription": details["subscription"],
        "subtotal": amounts.subtotal,
        "taxes": [
            _shown_tax(tax, rate, amount, amounts) for (tax, rate), amount in zip(taxes, amounts.taxes, strict=True)
        ],
    }


def _shown_tax(tax: Tax, rate: Json, amount: int, amounts: LineAmounts) -> Json:
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if tax.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]} if rate else None,
        "taxability_reason": "standard_rated" if rate == {} else "not_available",
        "taxable_amount": amounts.subtotal - amounts.discount - (amount if tax.inclusive else 0),
        "type": "tax_rate_details",
    }


def _summed(taxes: Sequence[Json]) -> list[Json]:
    """The invoice's taxes: those of its lines, added up by rate."""
    sums: dict[str, Json] = {}
    for tax in taxes:
        key = f"{tax['tax_rate_details']} {tax['tax_behavior']}"
        known = sums.setdefault(key, tax | {"amount": 0, "taxable_amount": 0})
        known["amount"] += tax["amount"]
        known["taxable_amount"] += tax["taxable_amount"]
    return list(sums.values())

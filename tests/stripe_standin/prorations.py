"""Shares of a period: what is given back for the unused part, and charged for the remaining part.

Source: docs.stripe.com/billing/subscriptions/prorations: to the second, each line rounded to the minor unit. A credit
is a share of what was billed, its discount taken off, not of today's price: the flexible billing mode's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from . import bill, billing_shapes, ids, money, subscription_states
from .errors import Json
from .store import Record
from .unit import Unit


@dataclass(frozen=True, slots=True)
class Billed:
    """What an item was billed with: minor units for a span of time, and the line that says so."""

    amount: Decimal
    period: bill.Period
    invoice: str | None = None
    line: str | None = None


def share(amount: Decimal, period: bill.Period, moment: int, step: int = 1) -> int:
    """The part of `amount` that belongs to the time from `moment` to the period's end."""
    start, end = period
    if not start <= moment < end:
        return 0 if moment >= end else money.round_half_up(amount / step) * step
    return money.round_half_up(amount * (end - moment) / (end - start) / step) * step


def credit(unit: Unit, subscription: Record, item: Json, moment: int) -> Record | None:
    """A pending invoice item that gives back the rest of what this item was billed with. None where that is nothing."""
    billed = _billed(unit, subscription, item)
    amount = -share(billed.amount, billed.period, moment, money.step(subscription.body["currency"]))
    if amount == 0:
        return None
    waiting = _pending(unit, subscription, item, amount, "Unused", moment)
    if billed.invoice:
        waiting.hidden["credited"] = {"invoice": billed.invoice, "invoice_line_items": [billed.line]}
        unit.save(waiting)
    return waiting


def debit(unit: Unit, subscription: Record, item: Json, moment: int) -> Record | None:
    """As `credit`: it charges this item for the rest of the period, with the discount that holds now."""
    whole = _discounted(unit, subscription, item)
    period = subscription_states.period_of(subscription)
    amount = share(whole, period, moment, money.step(subscription.body["currency"]))
    return _pending(unit, subscription, item, amount, "Remaining", moment) if amount else None


def _pending(unit: Unit, subscription: Record, item: Json, amount: int, word: str, moment: int) -> Record:
    price, quantity = item["price"], item["quantity"]
    name = unit.need("product", price["product"]).body["name"]
    counted = f"{quantity} × {name}" if quantity != 1 else name
    body = billing_shapes.invoice_item(
        ids.new_id("ii"), moment, currency=subscription.body["currency"], customer=subscription.body["customer"],
        price=price, quantity=quantity or 1,
    )  # fmt: skip
    details = {"subscription": subscription.id, "subscription_item": item["id"]}
    body |= {
        "amount": amount,
        "description": f"{word} time on {counted} after {bill.day(moment)}",
        "net_amount": amount,
        "parent": {"subscription_details": details, "type": "subscription_details"},
        "period": {"end": subscription_states.period_of(subscription)[1], "start": moment},
        "proration_details": {"discount_amounts": []},
        "tax_rates": item["tax_rates"] or subscription.body["default_tax_rates"],
    }
    record = unit.add("invoiceitem", body)
    unit.announce("invoiceitem.created", record)
    return record


def _billed(unit: Unit, subscription: Record, item: Json) -> Billed:
    """The latest charge for this item's running period; the price itself where none was made."""
    period = subscription_states.period_of(subscription)
    for found in _charges(unit, subscription, item["id"]):
        if found.period[1] == period[1]:
            return found
    return Billed(Decimal(item["price"]["unit_amount_decimal"]) * item["quantity"], period)


def _charges(unit: Unit, subscription: Record, item: str) -> Iterator[Billed]:
    """What the item was charged, newest first: what waits for an invoice, then what was on one."""
    for waiting in reversed(pending(unit, subscription)):
        body = waiting.body
        if body["parent"]["subscription_details"]["subscription_item"] == item and body["amount"] > 0:
            yield Billed(Decimal(body["amount"]), (body["period"]["start"], body["period"]["end"]))
    for invoice in reversed(subscription_states.invoices_of(unit, subscription)):
        if invoice.body["status"] == "void" or (invoice.hidden.get("holds_back") and invoice.body["status"] != "paid"):
            continue
        for line in invoice.hidden["lines"]:
            details: dict[str, Any] = line["parent"]["subscription_item_details"] or {}
            if details.get("subscription_item") == item and line["amount"] > 0:
                off = sum(part["amount"] for part in line["discount_amounts"])
                span = (line["period"]["start"], line["period"]["end"])
                yield Billed(Decimal(line["amount"] - off), span, invoice.id, line["id"])


def pending(unit: Unit, subscription: Record) -> list[Record]:
    """The invoice items that wait for this subscription's next invoice, oldest first."""
    found = unit.select("invoiceitem", "parent.subscription_details.subscription", subscription.id)
    return [item for item in found if item.body["invoice"] is None]


def _discounted(unit: Unit, subscription: Record, item: Json) -> Decimal:
    """What the item costs for a whole period, its part of the subscription's discount taken off."""
    coupon = bill.terms_of(unit, subscription).coupon
    amount = Decimal(item["price"]["unit_amount_decimal"]) * int(item["quantity"])
    only_for = (coupon or {}).get("applies_to", {}).get("products")
    if coupon is None or (only_for is not None and item["price"]["product"] not in only_for):
        return amount
    if coupon["percent_off"] is not None:
        return amount * (100 - Decimal(str(coupon["percent_off"]))) / 100
    items = [i for i in subscription.body["items"]["data"] if only_for is None or i["price"]["product"] in only_for]
    whole = sum(Decimal(i["price"]["unit_amount_decimal"]) * i["quantity"] for i in items)
    return amount - min(Decimal(coupon["amount_off"]), whole) * amount / whole if whole else amount

"""The beginning of a subscription: after a checkout was paid, or by the API with a first payment of its own."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

from . import bill, billing_shapes, catalog, ids, invoicing, periods, session_lines, subscription_states
from .bill import Terms, Wanted
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "subscription"
TOLD = ("metadata", "description", "trial_period_days", "trial_end", "trial_settings", "billing_mode",
        "default_tax_rates")  # fmt: skip
MOST_ITEMS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    price: Json
    quantity: int
    tax_rates: list[Json]
    metadata: Json


def refuse_others(params: Json, known: tuple[str, ...], of: str) -> None:
    """400 for a parameter that Stripe takes and the stand-in doesn't act on."""
    unsupported = set(params) - {*known, "expand"}
    if unsupported:
        name = min(unsupported)
        raise bad_request(f"The stand-in can't act on {name} of {of}.", param=name)


def trial_end(data: Json, now: int) -> int | None:
    """When the trial of `subscription_data` or of a creation ends; None without one."""
    if "trial_period_days" in data:
        return now + int(data["trial_period_days"]) * periods.DAY
    end = data.get("trial_end")
    return None if end in (None, "now") else int(str(end))


def check_prices(prices: list[Json], param: str) -> None:
    """One currency and one interval. Stripe also mixes intervals in one subscription; the stand-in doesn't."""
    if len(prices) > MOST_ITEMS:
        raise bad_request(f"A subscription takes up to {MOST_ITEMS} items.", param=param)
    if len({price["currency"] for price in prices}) > 1:
        raise bad_request("All items of a subscription must have the same currency.", param=param)
    intervals = {(price["recurring"]["interval"], price["recurring"]["interval_count"]) for price in prices}
    if len(intervals) > 1:
        raise bad_request("The stand-in takes items of one interval only.", param=param)


def make(unit: Unit, subscription_id: str, *, customer: str, items: list[Item], data: Json) -> Record:
    """The subscription's record, with its first period; neither stored nor announced yet."""
    end = trial_end(data, unit.now)
    body = billing_shapes.subscription(
        subscription_id, unit.now, currency=items[0].price["currency"], customer=customer
    )
    body |= {
        "billing_cycle_anchor": end or unit.now,
        "default_tax_rates": [unit.need("tax_rate", rate).body for rate in data.get("default_tax_rates") or []],
        "description": data.get("description"),
        "metadata": catalog.merged_metadata({}, data.get("metadata")),
        "trial_end": end,
        "trial_start": unit.now if end else None,
    }
    if "trial_settings" in data:
        body["trial_settings"]["end_behavior"] |= data["trial_settings"]["end_behavior"]
    if data.get("billing_mode", {}).get("type") == "classic":
        body["billing_mode"] = {"flexible": None, "type": "classic", "updated_at": None}
    body["items"]["data"] = [new_item(unit, body, item) for item in items]
    body["items"]["total_count"] = len(items)
    first = items[0].price["recurring"]
    subscription_states.set_period(body, unit.now, end or periods.after(unit.now, first, unit.now))
    return Record(unit.caller.account, unit.caller.platform, KIND, body, {"made": True})


def new_item(unit: Unit, body: Json, item: Item) -> Json:
    made = billing_shapes.item(
        ids.new_id("si", 14), unit.now, subscription=body["id"], price=item.price, quantity=item.quantity
    )
    return made | {"metadata": item.metadata, "tax_rates": item.tax_rates}


def grant(unit: Unit, subscription: Record, coupon: Json | None) -> None:
    """Give it this coupon's discount, in place of any it has. The coupon may be deleted later: its terms are kept."""
    if coupon is None:
        return
    shown = subscription.body
    body = billing_shapes.discount(
        ids.new_id("di"), unit.now, coupon=coupon["id"], customer=shown["customer"], subscription=subscription.id
    )
    if coupon["duration"] == "repeating":
        body["end"] = periods.plus_months(unit.now, coupon["duration_in_months"])
    unit.announce("customer.discount.created", unit.add("discount", body, hidden={"coupon": coupon}))
    shown["discounts"] = [body["id"]]


# After a checkout


def from_session(unit: Unit, session: Record, intent: Record | None, method: Record | None) -> None:
    """The subscription and the first invoice of a completed session, under the ids that the session names.

    Both come after the payment: docs.stripe.com/changelog/basil/2025-03-31/checkout-legacy-subscription-upgrade.
    """
    hidden, shown = session.hidden, session.body
    recurring = [line for line in hidden["lines"] if line["price"]["type"] == "recurring"]
    items = [Item(line["price"], line["quantity"], _rates(unit, line), line["metadata"]) for line in recurring]
    subscription = make(unit, shown["subscription"], customer=shown["customer"], items=items, data=hidden["data"])
    body = subscription.body
    body |= {
        "automatic_tax": body["automatic_tax"] | {"enabled": shown["automatic_tax"]["enabled"]},
        "default_payment_method": method.id if method else None,
        "latest_invoice": shown["invoice"],
        "status": "trialing" if body["trial_end"] else "active",
    }
    unit.save(subscription)
    grant(unit, subscription, hidden["coupon"])
    subscription_states.store(unit, subscription)
    unit.announce("customer.subscription.created", subscription)
    terms = Terms(
        shown["currency"],
        Decimal(hidden["tax_percent"]) if hidden["tax_percent"] and hidden["located"] else None,
        hidden["coupon"],
        next(iter(body["discounts"]), None),
    )
    invoice = invoicing.draft(
        unit, subscription, _first_lines(unit, session, subscription), terms, reason="subscription_create",
        period=(unit.now, unit.now), invoice_id=shown["invoice"],
    )  # fmt: skip
    # What the customer has been charged is what the page said, whatever balance they have.
    invoicing.finalise(unit, invoice, intent=intent, balance=0)
    if intent:
        invoice.body["attempt_count"] = 1
        invoicing.mark_paid(unit, invoice)


def _rates(unit: Unit, line: Json) -> list[Json]:
    return [unit.need("tax_rate", rate["id"]).body for rate in line["tax_rates"]]


def _first_lines(unit: Unit, session: Record, subscription: Record) -> list[Wanted]:
    """In the order of the session's lines, so that both round alike."""
    items = iter(subscription.body["items"]["data"])
    trial = subscription.body["trial_end"] is not None
    period = subscription_states.period_of(subscription)
    return [
        bill.of_item(unit, subscription, next(items), period, trial=trial)
        if line["price"]["type"] == "recurring"
        else bill.of_session_line(line, _rates(unit, line), unit.now)
        for line in session.hidden["lines"]
    ]


# Lines of a session in this mode


def check_lines(lines: list[Json]) -> None:
    recurring = [line["price"] for line in lines if line["price"]["type"] == "recurring"]
    if not recurring:
        raise bad_request("A subscription needs at least one recurring price.", param="line_items")
    if len(lines) - len(recurring) > MOST_ITEMS:
        raise bad_request(f"A subscription takes up to {MOST_ITEMS} one-time prices.", param="line_items")
    check_prices(recurring, "line_items")


def check_data(unit: Unit, data: Json) -> None:
    refuse_others(data, TOLD, "subscription_data")
    for rate in data.get("default_tax_rates") or []:
        unit.need("tax_rate", rate, param="subscription_data[default_tax_rates]")


def prepare(unit: Unit, lines: list[Json], data: Json) -> None:
    """Say with each line of a session what its subscription will cost at first: a trial is free."""
    for line in lines:
        line["free"] = line["price"]["type"] == "recurring" and trial_end(data, unit.now) is not None
        line["tax_rates"] = line["tax_rates"] or [
            session_lines.tax_rate(unit, rate, "subscription_data[default_tax_rates]")
            for rate in data.get("default_tax_rates") or []
        ]

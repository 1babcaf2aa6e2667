"""Subscriptions by the API: made with a first payment of their own, canceled at once, paused, resumed."""

from __future__ import annotations

from . import (
    bill,
    billing_payments,
    catalog,
    cycle,
    ids,
    invoicing,
    periods,
    prorations,
    session_lines,
    subscribing,
    subscription_changes,
    subscription_items,
    subscription_states,
)
from .errors import Json, bad_request, missing_object
from .store import Record
from .subscription_states import changing, period_of
from .unit import Unit

MADE_WITH = ("customer", "items", "default_payment_method", "payment_behavior", "off_session", "cancel_at_period_end",
             "automatic_tax", "discounts", "collection_method", "payment_settings", *subscribing.TOLD)  # fmt: skip


def create(unit: Unit, params: Json) -> Json:
    """A subscription and its first invoice. An unpaid one is `incomplete` and has 23 hours."""
    subscribing.refuse_others(params, MADE_WITH, "a subscription")
    if params.get("collection_method", "charge_automatically") != "charge_automatically":
        raise bad_request("The stand-in charges automatically only.", param="collection_method")
    customer = unit.need("customer", params["customer"], param="customer")
    items = subscription_items.new(unit, params.get("items") or [])
    if not items:
        raise bad_request("Missing required param: items.", param="items", code="parameter_missing")
    subscription = _made(unit, params, customer, items)
    body, trial = subscription.body, subscription.body["trial_end"] is not None
    subscription_states.store(unit, subscription)
    unit.announce("customer.subscription.created", subscription)
    terms = bill.terms_of(unit, subscription)
    wanted = bill.of_items(unit, subscription, period_of(subscription), trial=trial)
    invoice = invoicing.draft(unit, subscription, wanted, terms, reason="subscription_create",
                              period=(unit.now, unit.now))  # fmt: skip
    invoicing.finalise(unit, invoice)
    behavior = params.get("payment_behavior", "allow_incomplete")
    if invoice.body["status"] == "open" and behavior != "default_incomplete":
        billing_payments.attempt(unit, invoice, automatic=params.get("off_session", False))
    if invoice.body["status"] == "paid":
        subscription_states.invoice_paid(unit, subscription)
    elif behavior == "error_if_incomplete":
        raise subscription_changes.refusal(unit, invoice)
    if params.get("cancel_at_period_end"):
        with changing(unit, subscription):
            body |= {"cancel_at_period_end": True, "cancel_at": period_of(subscription)[1], "canceled_at": unit.now}
    return body


def _made(unit: Unit, params: Json, customer: Record, items: list[subscribing.Item]) -> Record:
    subscription = subscribing.make(unit, ids.new_id("sub"), customer=customer.id, items=items, data=params)
    body = subscription.body
    if "default_payment_method" in params:
        method = params["default_payment_method"]
        body["default_payment_method"] = subscription_changes.own_method(unit, customer.id, method)
    body["payment_settings"] = body["payment_settings"] | (params.get("payment_settings") or {})
    if params.get("automatic_tax", {}).get("enabled"):
        body["automatic_tax"] |= {"enabled": True, "liability": {"type": "self"}}
    if params.get("discounts"):
        coupon = session_lines.find_coupon(unit, params["discounts"], body["currency"])
        subscribing.grant(unit, subscription, coupon)
        if coupon:
            catalog.redeem_coupon(unit, coupon["id"])
    return subscription


def cancel(unit: Unit, params: Json, subscription_id: str) -> Json:
    """End it now. `prorate` gives back the unused time, `invoice_now` bills that and what was pending."""
    subscription = subscription_states.own(unit, subscription_id)
    status = subscription.body["status"]
    if status in subscription_states.ENDED:
        raise missing_object("subscription", subscription_id)  # Stripe's own answer, although it can be retrieved
    said = {name: catalog.unset(value) for name, value in (params.get("cancellation_details") or {}).items()}
    subscription.body["cancellation_details"] = {**subscription.body["cancellation_details"], **said}
    if params.get("prorate") and status not in ("trialing", "incomplete"):
        for item in subscription.body["items"]["data"]:
            prorations.credit(unit, subscription, item, unit.now)
    last = None
    if params.get("invoice_now") and prorations.pending(unit, subscription):
        last = cycle.bill_waiting(unit, subscription, reason="subscription_update")
    subscription_states.end(unit, subscription, reason="cancellation_requested")
    if last:
        invoicing.finalise(unit, last)
        if last.body["status"] == "open":
            billing_payments.attempt(unit, last)
    return subscription.body


def delete_customer(unit: Unit, params: Json, customer_id: str) -> Json:
    """Deleting a customer cancels their subscriptions at once; what they owe can't be collected any more."""
    for subscription in unit.select("subscription", "customer", customer_id):
        if subscription.body["status"] not in subscription_states.ENDED and subscription.hidden.get("made"):
            subscription_states.end(unit, subscription, reason="cancellation_requested")
    return catalog.delete_customer(unit, params, customer_id)


def pause(unit: Unit, params: Json, subscription_id: str) -> Json:
    """No more billing until it is resumed; what is unused of the period is given back unless told otherwise."""
    subscription = subscription_states.own(unit, subscription_id)
    if subscription.body["status"] not in ("active", "past_due", "unpaid"):
        raise bad_request(f"A subscription that is {subscription.body['status']} can't be paused.")
    since = params.get("bill_for", {}).get("unused_time_from", {}).get("type", "now")
    start, _ = period_of(subscription)
    if since != "none":
        for item in subscription.body["items"]["data"]:
            prorations.credit(unit, subscription, item, unit.now if since == "now" else start)
    with changing(unit, subscription) as body:
        body |= {"status": "paused", "status_details": cycle.paused_details(unit)}
    unit.announce("customer.subscription.paused", subscription)
    if params.get("invoicing_behavior") == "invoice" and prorations.pending(unit, subscription):
        invoicing.finalise(unit, cycle.bill_waiting(unit, subscription, reason="subscription_update"))
    return subscription.body


def resume(unit: Unit, params: Json, subscription_id: str) -> Json:
    """Out of the pause, with a new period from now on and its invoice."""
    subscription = subscription_states.own(unit, subscription_id)
    if subscription.body["status"] != "paused":
        raise bad_request(f"Only a paused subscription can be resumed; this one is {subscription.body['status']}.")
    if params.get("billing_cycle_anchor", {}).get("type", "now") != "now":
        raise bad_request("The stand-in resumes with a new period only.", param="billing_cycle_anchor")
    if params.get("payment_behavior") == "resume_on_payment_success":
        raise bad_request("The stand-in resumes whether it is paid or not.", param="payment_behavior")
    ended = period_of(subscription)
    with changing(unit, subscription) as body:
        recurring = body["items"]["data"][0]["price"]["recurring"]
        body |= {"status": "active", "status_details": None, "billing_cycle_anchor": unit.now}
        subscription_states.set_period(body, unit.now, periods.after(unit.now, recurring, unit.now))
        invoice = cycle.renewal(unit, subscription, ended, reason="subscription_update")
    unit.announce("customer.subscription.resumed", subscription)
    invoicing.finalise(unit, invoice)
    if invoice.body["status"] == "open":
        billing_payments.attempt(unit, invoice)
    return subscription.body

"""`subscriptions.update`: what is written down, and what it sets going: prorations, an invoice, its payment."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from . import (
    bill,
    billing_payments,
    catalog,
    invoicing,
    periods,
    prorations,
    session_lines,
    subscribing,
    subscription_items,
    subscription_states,
)
from .errors import ApiError, Json, bad_request, card_error
from .store import Record
from .subscription_items import Change
from .subscription_states import changing, period_of
from .unit import Unit

BILLS = ("items", "proration_behavior", "proration_date", "payment_behavior", "billing_cycle_anchor", "trial_end",
         "off_session", "discounts")  # fmt: skip
WRITTEN = ("cancel_at", "cancel_at_period_end", "cancellation_details", "default_payment_method", "description",
           "metadata", "pause_collection", "trial_settings")  # fmt: skip
# What is put back where a change waits for its payment.
HELD_BACK = ("items", "billing_cycle_anchor", "trial_end", "status", "discounts")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change came to: the items' moves, and whether a new period begins with it now."""

    change: Change
    anew: bool
    prorated_at: int


def update(unit: Unit, params: Json, subscription_id: str) -> Json:
    subscribing.refuse_others(params, (*BILLS, *WRITTEN), "a subscription")
    subscription = subscription_states.own(unit, subscription_id)
    _refuse_now(subscription, params)
    behavior = params.get("payment_behavior", "allow_incomplete")
    before = copy.deepcopy(subscription.body)
    with changing(unit, subscription):
        _write_down(unit, subscription, params)
        applied = apply(unit, subscription, params)
        _agree_on_end(unit, subscription, params)
        invoice = bill_now(unit, subscription, params, applied)
        if invoice and behavior == "pending_if_incomplete":
            _hold_back(unit, subscription, invoice, before, params)
    if invoice and behavior != "pending_if_incomplete":
        _collect(unit, subscription, invoice, behavior, off_session=params.get("off_session", False))
    return subscription.body


def _refuse_now(subscription: Record, params: Json) -> None:
    """What has ended takes words only; what never was paid, or waits for a payment, can't be billed anew."""
    status = subscription.body["status"]
    sent = set(params) - {"expand"}
    if status in subscription_states.ENDED and sent - {"metadata", "cancellation_details"}:
        name = min(sent - {"metadata", "cancellation_details"})
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise bad_request(message, param=name)
    if status in ("incomplete", "paused") and sent & set(BILLS):
        raise bad_request(f"This subscription is {status}: it can't be billed anew.", param=min(sent & set(BILLS)))
    if subscription.body["pending_update"] and sent & set(BILLS):
        raise bad_request("An update of this subscription waits for its payment.", param=min(sent & set(BILLS)))
    if params.get("payment_behavior") == "pending_if_incomplete" and sent & set(WRITTEN):
        name = min(sent & set(WRITTEN))
        raise bad_request(f"{name} can't be sent with payment_behavior=pending_if_incomplete.", param=name)


# What changes


def apply(unit: Unit, subscription: Record, params: Json) -> Applied:
    """Change items, anchor, trial and discount; prorations become pending invoice items. Nothing is billed yet."""
    body = subscription.body
    change = subscription_items.changed(unit, subscription, params.get("items") or [])
    _discount(unit, subscription, params)
    start, end = period_of(subscription)
    moment: int = params.get("proration_date", unit.now)
    if not start <= moment <= end:
        raise bad_request("proration_date must lie in the current period.", param="proration_date")
    trial = params.get("trial_end")
    if isinstance(trial, int):
        _set_trial(unit, subscription, trial)
    anchor = params.get("billing_cycle_anchor", {}).get("type") == "now"
    anew = anchor or change.new_interval or (trial == "now" and body["status"] == "trialing")
    if body["status"] != "trialing" and params.get("proration_behavior") != "none":
        # A new period gives back all that is left of the old one; otherwise only what moves is reckoned.
        gone = list(body["items"]["data"]) if anew else [old for old, _ in change.pairs if old]
        for item in gone:
            prorations.credit(unit, subscription, item, moment)
    body["items"] |= {"data": change.items, "total_count": len(change.items)}
    if anew:
        _begin_anew(unit, subscription)
    elif body["status"] != "trialing" and params.get("proration_behavior") != "none":
        for _, item in change.pairs:
            if item:
                prorations.debit(unit, subscription, item, moment)
    return Applied(change, anew, moment)


def _set_trial(unit: Unit, subscription: Record, end: int) -> None:
    body = subscription.body
    if body["status"] != "trialing":
        raise bad_request("The stand-in moves the end of a running trial only.", param="trial_end")
    body |= {"trial_end": end, "billing_cycle_anchor": end}
    subscription.hidden["trial_end_told"] = False
    subscription_states.set_period(body, period_of(subscription)[0], end)


def _begin_anew(unit: Unit, subscription: Record) -> None:
    body = subscription.body
    if body["status"] == "trialing":
        body |= {"status": "active", "trial_end": unit.now}
    body["billing_cycle_anchor"] = unit.now
    recurring = body["items"]["data"][0]["price"]["recurring"]
    subscription_states.set_period(body, unit.now, periods.after(unit.now, recurring, unit.now))


def _discount(unit: Unit, subscription: Record, params: Json) -> None:
    """An empty text takes the discount away, a list puts another in its place; one, as at the checkout."""
    wanted = params.get("discounts")
    if wanted == "":
        for discount_id in subscription.body["discounts"]:
            unit.announce("customer.discount.deleted", unit.need("discount", discount_id))
        subscription.body["discounts"] = []
    elif wanted and "discount" in wanted[0]:
        if [found["discount"] for found in wanted] != subscription.body["discounts"]:
            raise bad_request("No such discount of this subscription.", param="discounts", code="resource_missing")
    elif wanted:
        coupon = session_lines.find_coupon(unit, wanted, subscription.body["currency"])
        subscribing.grant(unit, subscription, coupon)
        if coupon:
            catalog.redeem_coupon(unit, coupon["id"])


def _write_down(unit: Unit, subscription: Record, params: Json) -> None:
    body = subscription.body
    if "default_payment_method" in params:
        body["default_payment_method"] = own_method(unit, body["customer"], params["default_payment_method"])
    if "description" in params:
        body["description"] = catalog.unset(params["description"])
    body["metadata"] = catalog.merged_metadata(body["metadata"], params.get("metadata"))
    if "pause_collection" in params:
        paused = params["pause_collection"]
        body["pause_collection"] = {"resumes_at": None, **paused} if paused else None
    if "trial_settings" in params:
        known = body["trial_settings"]["end_behavior"]
        body["trial_settings"] = {"end_behavior": known | params["trial_settings"]["end_behavior"]}
    said = {name: catalog.unset(value) for name, value in (params.get("cancellation_details") or {}).items()}
    body["cancellation_details"] = {**body["cancellation_details"], **said}


def own_method(unit: Unit, customer: str, method_id: str) -> str:
    """The id of a payment method that is attached to this customer. Raises ApiError(400)."""
    method = unit.need("payment_method", method_id, param="default_payment_method")
    if method.body["customer"] != customer:
        raise bad_request("The payment method isn't attached to this customer.", param="default_payment_method")
    return method.id


def _agree_on_end(unit: Unit, subscription: Record, params: Json) -> None:
    """Agree on a cancellation, or take it back; one at the period's end moves with the period."""
    body = subscription.body
    if "cancel_at" in params and "cancel_at_period_end" in params:
        raise bad_request("Only one of cancel_at, cancel_at_period_end can be sent.", param="cancel_at")
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        if body["cancel_at_period_end"]:
            body["cancel_at"] = period_of(subscription)[1]
        return
    named = params.get("cancel_at") or None
    if isinstance(named, int) and named <= unit.now:
        raise bad_request("cancel_at must lie in the future.", param="cancel_at")
    if params.get("cancel_at_period_end") or named in ("min_period_end", "max_period_end"):
        named = period_of(subscription)[1]
    elif isinstance(named, str):
        raise bad_request(f"The stand-in can't cancel at {named}.", param="cancel_at")
    if named and body["cancel_at"] is None:
        body["canceled_at"] = unit.now
        body["cancellation_details"]["reason"] = "cancellation_requested"
    if named is None:
        body["canceled_at"] = body["cancellation_details"]["reason"] = None
    body |= {"cancel_at": named, "cancel_at_period_end": params.get("cancel_at_period_end", False)}


# What is billed for it


def bill_now(unit: Unit, subscription: Record, params: Json, applied: Applied) -> Record | None:
    """The draft of what the change costs now: a new period, or the prorations where they are to be billed at once."""
    waiting = prorations.pending(unit, subscription)
    if not applied.anew and (params.get("proration_behavior") != "always_invoice" or not waiting):
        return None
    wanted = [bill.of_pending(unit, item, subscription) for item in waiting]
    if applied.anew:
        wanted += bill.of_items(unit, subscription, period_of(subscription))
    terms = bill.terms_of(unit, subscription)
    period = period_of(subscription) if applied.anew else (unit.now, unit.now)
    invoice = invoicing.draft(unit, subscription, wanted, terms, reason="subscription_update", period=period)
    invoice.body["parent"]["subscription_details"]["subscription_proration_date"] = applied.prorated_at
    for item in waiting:
        item.body["invoice"] = invoice.id
        unit.save(item)
    unit.save(invoice)
    return invoice


def _collect(unit: Unit, subscription: Record, invoice: Record, behavior: str, *, off_session: bool) -> None:
    """Finalise and try to collect, and say what happens to the subscription where that fails."""
    if (subscription.body["pause_collection"] or {}).get("behavior") == "keep_as_draft":
        return
    invoicing.finalise(unit, invoice)
    if invoice.body["status"] == "open" and behavior != "default_incomplete":
        billing_payments.attempt(unit, invoice, automatic=off_session)
    if invoice.body["status"] == "paid":
        return
    if behavior == "error_if_incomplete":
        raise refusal(unit, invoice)
    subscription_states.payment_failed(unit, subscription)


def refusal(unit: Unit, invoice: Record) -> ApiError:
    """The 402 of a payment that should have decided about the whole request: it leaves nothing behind."""
    intent = invoicing.intent_of(unit, invoice)
    error: Json = (intent.body["last_payment_error"] if intent else None) or {}
    message = error.get("message") or "The payment of the invoice needs the customer, or a payment method."
    code = error.get("code") or "subscription_payment_intent_requires_action"
    found = card_error(message, code=code, decline_code=error.get("decline_code"), extra={})
    found.keeps_changes = False
    return found


def _hold_back(unit: Unit, subscription: Record, invoice: Record, before: Json, params: Json) -> None:
    """Make the change only if it is paid. Otherwise all is as before, and the payment has 23 hours to come.

    Source: docs.stripe.com/billing/subscriptions/pending-updates.
    """
    invoice.hidden["holds_back"] = True
    invoicing.finalise(unit, invoice)
    if invoice.body["status"] == "open":
        billing_payments.attempt(unit, invoice, automatic=params.get("off_session", False))
    if invoice.body["status"] == "paid":
        return
    body = subscription.body
    subscription.hidden["pending"] = {name: copy.deepcopy(body[name]) for name in HELD_BACK}
    body |= {name: before[name] for name in HELD_BACK}
    wanted = subscription.hidden["pending"]
    body["pending_update"] = {
        "billing_cycle_anchor": wanted["billing_cycle_anchor"] if "billing_cycle_anchor" in params else None,
        "cancel_at_period_end": None,
        "discount": None,
        "discounts": None,
        "expires_at": unit.now + subscription_states.INCOMPLETE_SECONDS,
        "metadata": None,
        "subscription_items": wanted["items"]["data"],
        "trial_end": None,
        "trial_from_plan": None,
    }

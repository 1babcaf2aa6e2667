"""Invoices by the API: what the next one would be, and finalise, pay, void, write off."""

from __future__ import annotations

import copy

from . import (
    billing_payments,
    cycle,
    ids,
    invoicing,
    methods,
    periods,
    prorations,
    subscribing,
    subscription_changes,
    subscription_states,
)
from .charging import Verdict
from .errors import Json, bad_request, card_error
from .store import Record
from .subscription_states import period_of
from .unit import Unit

PREVIEWED = ("customer", "subscription", "subscription_details", "discounts", "preview_mode")
DETAILS = ("items", "proration_behavior", "proration_date", "billing_cycle_anchor", "trial_end", "cancel_now",
           "cancel_at_period_end")  # fmt: skip


def preview(unit: Unit, params: Json) -> Json:
    """The next invoice as it would be, with a change that isn't made: the same code runs, and all of it is undone."""
    subscribing.refuse_others(params, PREVIEWED, "a preview")
    if "subscription" not in params:
        raise bad_request("The stand-in previews invoices of a subscription.", param="subscription")
    details: Json = params.get("subscription_details") or {}
    subscribing.refuse_others(details, DETAILS, "a preview")
    with unit.rehearsal():
        subscription = subscription_states.own(unit, params["subscription"], param="subscription")
        if params.get("customer", subscription.body["customer"]) != subscription.body["customer"]:
            raise bad_request("The subscription is another customer's.", param="customer")
        changes = details | ({"discounts": params["discounts"]} if "discounts" in params else {})
        invoice = _previewed(unit, subscription, changes, recurring=params.get("preview_mode") == "recurring")
        return _as_preview(invoice, subscription)


def _previewed(unit: Unit, subscription: Record, changes: Json, *, recurring: bool) -> Record:
    _refuse_none(subscription, changes)
    if changes.get("cancel_now"):
        if changes.get("proration_behavior") != "none":
            for item in subscription.body["items"]["data"]:
                prorations.credit(unit, subscription, item, changes.get("proration_date", unit.now))
        if not prorations.pending(unit, subscription):
            raise _none()
        return cycle.bill_waiting(unit, subscription, reason="subscription_update")
    applied = subscription_changes.apply(unit, subscription, changes)
    now = None if recurring else subscription_changes.bill_now(unit, subscription, changes, applied)
    if now:
        return now
    before, ended = period_of(subscription)
    if recurring:
        for waiting in prorations.pending(unit, subscription):
            unit.remove(waiting)
    subscription.body["status"] = "active"
    unit.now = ended
    interval = subscription.body["items"]["data"][0]["price"]["recurring"]
    anchor = subscription.body["billing_cycle_anchor"]
    subscription_states.set_period(subscription.body, ended, periods.after(anchor, interval, ended))
    invoice = cycle.renewal(unit, subscription, (before, ended))
    if prorations_of(invoice):
        invoice.body["parent"]["subscription_details"]["subscription_proration_date"] = applied.prorated_at
    return invoice


def _refuse_none(subscription: Record, changes: Json) -> None:
    body = subscription.body
    ends = changes.get("cancel_at_period_end", body["cancel_at_period_end"])
    billed_now = changes.get("proration_behavior") == "always_invoice" or "billing_cycle_anchor" in changes
    if body["status"] in (*subscription_states.ENDED, "paused") or (ends and not billed_now):
        raise _none()


def _none() -> Exception:
    return bad_request("No upcoming invoices for this subscription.", code="invoice_upcoming_none")


def prorations_of(invoice: Record) -> list[Json]:
    lines: list[Json] = invoice.hidden["lines"]
    return [line for line in lines if (line["parent"]["subscription_item_details"] or {}).get("proration")]


def _as_preview(invoice: Record, subscription: Record) -> Json:
    """Under ids that name nothing: previews can't be retrieved."""
    body: Json = copy.deepcopy(invoice.body)
    body["id"] = f"upcoming_{ids.new_id('in')}"
    body["lines"]["url"] = f"/v1/invoices/upcoming/lines?subscription={subscription.id}"
    for line in body["lines"]["data"]:
        line |= {"id": line["id"].replace("il_", "il_tmp_"), "invoice": body["id"]}
    body |= {"automatically_finalizes_at": None, "next_payment_attempt": body["created"] + invoicing.DRAFT_SECONDS}
    return body


# Invoices that are there


def finalize(unit: Unit, params: Json, invoice_id: str) -> Json:
    """Now instead of an hour after it was drafted. With `auto_advance` Stripe also collects it, at its next look."""
    invoice = _own(unit, invoice_id)
    invoicing.expect(invoice, ("draft",), "finalised")
    if "auto_advance" in params:
        invoice.body["auto_advance"] = params["auto_advance"]
    invoicing.finalise(unit, invoice)
    if invoice.body["status"] == "open" and invoice.body["auto_advance"]:
        invoice.body["next_payment_attempt"] = invoice.due_at = unit.now + invoicing.DRAFT_SECONDS
        unit.save(invoice)
    return invoice.body


def pay(unit: Unit, params: Json, invoice_id: str) -> Json:
    """Collect it now. A refusal is a 402, and the attempt has been made."""
    invoice = _own(unit, invoice_id)
    subscribing.refuse_others(params, ("payment_method", "off_session", "paid_out_of_band"), "an invoice")
    invoicing.expect(invoice, ("draft", "open", "uncollectible"), "paid")
    if invoice.body["status"] == "draft":
        invoicing.finalise(unit, invoice)
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    if invoice.body["status"] == "paid":
        subscription_states.invoice_paid(unit, subscription)
        return invoice.body
    if params.get("paid_out_of_band"):
        billing_payments.paid(unit, invoice, subscription, out_of_band=True)
        return invoice.body
    _collect(unit, invoice, subscription, params)
    return invoice.body


def _collect(unit: Unit, invoice: Record, subscription: Record, params: Json) -> None:
    method = invoicing.method_of(unit, subscription)
    if "payment_method" in params:
        method = methods.resolve(unit, params["payment_method"])
        if method.body["customer"] not in (None, invoice.body["customer"]):
            raise bad_request("The payment method belongs to another customer.", param="payment_method")
    if method is None:
        raise bad_request("The customer has no payment method to collect this invoice with.", param="payment_method")
    verdict = billing_payments.asked(unit, invoice, method, off_session=params.get("off_session", True))
    if verdict is Verdict.SUCCEEDED:
        return
    intent = invoicing.intent_of(unit, invoice)
    error: Json = (intent.body["last_payment_error"] if intent else None) or {}
    code = error.get("code") or "invoice_payment_intent_requires_action"
    message = error.get("message") or "The payment needs the customer's authentication."
    raise card_error(message, code=code, decline_code=error.get("decline_code"), extra={})


def void(unit: Unit, params: Json, invoice_id: str) -> Json:
    """Nothing is owed any more. A subscription whose first invoice is void never comes about."""
    invoice = _own(unit, invoice_id)
    invoicing.expect(invoice, ("open", "uncollectible"), "voided")
    invoicing.void(unit, invoice)
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    if subscription.body["status"] == "incomplete":
        subscription_states.expire_incomplete(unit, subscription)
    elif subscription.body["status"] not in subscription_states.ENDED:
        subscription_states.invoice_paid(unit, subscription)
    return invoice.body


def write_off(unit: Unit, params: Json, invoice_id: str) -> Json:
    invoice = _own(unit, invoice_id)
    invoicing.expect(invoice, ("open",), "written off")
    invoicing.mark_uncollectible(unit, invoice, "user_forgiven")
    return invoice.body


def _own(unit: Unit, invoice_id: str) -> Record:
    """An invoice that the stand-in made; one that a test placed is only shown."""
    invoice = unit.need("invoice", invoice_id)
    if "subscription" not in invoice.hidden:
        raise bad_request("This invoice was placed here to be shown; nothing can be done with it.")
    return invoice

"""What the clock does to subscriptions and invoices: renewals, ends of trials, cancellations that were agreed, drafts
that become invoices, and the next attempt to collect one.
"""

from __future__ import annotations

from . import bill, billing_payments, invoicing, periods, prorations, subscription_states
from .errors import Json
from .store import Record
from .subscription_states import changing, period_of
from .unit import Unit


def lapse_subscription(unit: Unit, subscription: Record) -> None:
    """Its next moment has come: one of those of `subscription_states`, the earliest first."""
    body = subscription.body
    if body["status"] == "incomplete":
        subscription_states.expire_incomplete(unit, subscription)
        return
    paused = (body["pause_collection"] or {}).get("resumes_at")
    if paused and paused <= unit.now:
        with changing(unit, subscription):
            body["pause_collection"] = None
    waits = body["pending_update"]
    if waits and waits["expires_at"] <= unit.now:
        subscription_states.drop_pending_update(unit, subscription)
    if _tells_of_trial_end(unit, subscription):
        subscription.hidden["trial_end_told"] = True
        unit.announce("customer.subscription.trial_will_end", subscription)
    ends = period_of(subscription)[1] <= unit.now and body["status"] != "paused"
    if body["cancel_at"] and body["cancel_at"] <= unit.now:
        _cancel(unit, subscription)
    elif ends:
        _next_period(unit, subscription)
    subscription_states.store(unit, subscription)


def _tells_of_trial_end(unit: Unit, subscription: Record) -> bool:
    body = subscription.body
    return bool(
        body["status"] == "trialing"
        and not subscription.hidden.get("trial_end_told")
        and body["trial_end"] - subscription_states.TOLD_BEFORE_TRIAL_END <= unit.now
    )


def _cancel(unit: Unit, subscription: Record) -> None:
    """The cancellation that was agreed. What still waited for an invoice is collected.

    Source: docs.stripe.com/api/subscriptions/cancel, "pending prorations ... collected at the end of the period".
    """
    waits = prorations.pending(unit, subscription)
    last = bill_waiting(unit, subscription, reason="subscription_cycle") if waits else None
    subscription_states.end(unit, subscription, reason="cancellation_requested")
    if last:
        invoicing.finalise(unit, last)
        if last.body["status"] == "open":
            billing_payments.attempt(unit, last)


def bill_waiting(unit: Unit, subscription: Record, *, reason: str) -> Record:
    """A draft of what waits for an invoice, and of nothing else."""
    waiting = prorations.pending(unit, subscription)
    period = period_of(subscription)
    terms = bill.terms_of(unit, subscription)
    wanted = [bill.of_pending(unit, item, subscription) for item in waiting]
    invoice = invoicing.draft(unit, subscription, wanted, terms, reason=reason, period=period)
    take_pending(unit, invoice, waiting)
    return invoice


def _next_period(unit: Unit, subscription: Record) -> None:
    """A period has ended, a trial among them: the next one begins, and its invoice is drafted."""
    body = subscription.body
    if body["status"] == "trialing" and not _survives_trial(unit, subscription):
        return
    before, ended = period_of(subscription)
    recurring = body["items"]["data"][0]["price"]["recurring"]
    with changing(unit, subscription):
        if body["status"] == "trialing":
            body["status"] = "active"
        subscription_states.set_period(body, ended, periods.after(body["billing_cycle_anchor"], recurring, ended))
        renewal(unit, subscription, (before, ended))


def _survives_trial(unit: Unit, subscription: Record) -> bool:
    """What the shop wanted to happen when no card was left: bill all the same, pause or cancel."""
    wanted = subscription.body["trial_settings"]["end_behavior"]["missing_payment_method"]
    if wanted == "create_invoice" or invoicing.method_of(unit, subscription):
        return True
    if wanted == "cancel":
        subscription_states.end(unit, subscription, reason="payment_failed")
        return False
    with changing(unit, subscription) as body:
        body["status"] = "paused"
        body["status_details"] = paused_details(unit)
    unit.announce("customer.subscription.paused", subscription)
    return False


def paused_details(unit: Unit) -> Json:
    return {"paused": {"subscription": None, "transitioned_at": unit.now, "type": "subscription"}}


def renewal(unit: Unit, subscription: Record, period: bill.Period, reason: str = "subscription_cycle") -> Record:
    """The invoice of the period that begins, with what waited for it. `period` is the one that ended."""
    waiting = prorations.pending(unit, subscription)
    wanted = [bill.of_pending(unit, item, subscription) for item in waiting]
    wanted += bill.of_items(unit, subscription, period_of(subscription))
    terms = bill.terms_of(unit, subscription)
    invoice = invoicing.draft(unit, subscription, wanted, terms, reason=reason, period=period)
    take_pending(unit, invoice, waiting)
    paused = (subscription.body["pause_collection"] or {}).get("behavior")
    if paused == "keep_as_draft" or subscription.body["status"] == "unpaid":
        invoice.body |= {"auto_advance": False, "automatically_finalizes_at": None}
        invoice.due_at = None
        unit.save(invoice)
    return invoice


def take_pending(unit: Unit, invoice: Record, waiting: list[Record]) -> None:
    for item in waiting:
        item.body["invoice"] = invoice.id
        unit.save(item)


def lapse_invoice(unit: Unit, invoice: Record) -> None:
    """A draft's hour is over, or the next attempt to collect is due."""
    if invoice.body["status"] == "draft":
        _advance(unit, invoice)
    elif invoice.body["status"] == "open" and invoice.body["auto_advance"]:
        billing_payments.attempt(unit, invoice)


def _advance(unit: Unit, invoice: Record) -> None:
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    paused = (subscription.body["pause_collection"] or {}).get("behavior")
    invoicing.finalise(unit, invoice)
    if invoice.body["status"] != "open":
        subscription_states.invoice_paid(unit, subscription)
    elif paused == "void":
        invoicing.void(unit, invoice)
    elif paused == "mark_uncollectible":
        invoicing.mark_uncollectible(unit, invoice, "subscription_paused")
    else:
        billing_payments.attempt(unit, invoice)

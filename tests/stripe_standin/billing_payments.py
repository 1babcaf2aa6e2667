"""Collecting invoices: the attempts, when the next one is, and what their outcome does to invoice and subscription."""

from __future__ import annotations

from . import invoicing, periods, subscription_states
from .charging import Verdict
from .store import Record
from .unit import Unit


def attempt(unit: Unit, invoice: Record, *, method: Record | None = None, automatic: bool = True) -> bool:
    """Try to collect an open invoice; returns whether it is paid. `method` in place of the subscription's own.

    `automatic` attempts belong to the retry schedule; the customer's or the shop's own don't, after the first.
    """
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    known = method or invoicing.method_of(unit, subscription)
    if automatic and known and invoice.hidden.get("refused") == known.id:
        _count(unit, invoice)
        unit.save(invoice)
        unit.announce("invoice.updated", invoice)
        _give_up_if_last(unit, invoice, subscription)
        return False
    return _tried(unit, invoice, subscription, known, off_session=automatic, counts=automatic) is Verdict.SUCCEEDED


def asked(unit: Unit, invoice: Record, method: Record, *, off_session: bool) -> Verdict | None:
    """An attempt that the shop asks for by `invoices.pay`: with the customer there or not, never of the schedule."""
    subscription = unit.need("subscription", invoice.hidden["subscription"])
    return _tried(unit, invoice, subscription, method, off_session=off_session, counts=False)


def _tried(
    unit: Unit, invoice: Record, subscription: Record, method: Record | None, *, off_session: bool, counts: bool
) -> Verdict | None:
    verdict = invoicing.collect(unit, invoice, method, off_session=off_session)
    if counts or not invoice.body["attempted"]:
        _count(unit, invoice)
    invoice.body["attempted"] = True
    _outcome(unit, invoice, subscription, verdict)
    return verdict


def conclude(unit: Unit, intent: Record, verdict: Verdict) -> None:
    """An intent came to its end beside the schedule: on the 3-D Secure page, or confirmed by the API."""
    invoice = unit.get("invoice", intent.hidden.get("invoice") or "")
    if invoice and invoice.body["status"] in ("open", "uncollectible"):
        _outcome(unit, invoice, unit.need("subscription", invoice.hidden["subscription"]), verdict)


def _count(unit: Unit, invoice: Record) -> None:
    """One attempt more, and when the next is: after the days of the option `invoiceRetryDays`, none after the last."""
    body, waits = invoice.body, unit.engine.options.invoice_retry_days
    body["attempt_count"] += 1
    following = None
    decided = body["billing_reason"] == "subscription_create" or invoice.hidden.get("holds_back")
    if body["attempt_count"] <= len(waits) and body["auto_advance"] and not decided:
        following = unit.now + int(waits[body["attempt_count"] - 1] * periods.DAY)
    body["next_payment_attempt"] = invoice.due_at = following


def _outcome(unit: Unit, invoice: Record, subscription: Record, verdict: Verdict | None) -> None:
    if verdict is Verdict.SUCCEEDED:
        paid(unit, invoice, subscription)
        return
    unit.save(invoice)
    intent = invoicing.intent_of(unit, invoice)
    if intent and intent.body["status"] == "requires_action":
        unit.announce("invoice.payment_action_required", invoice)
    if verdict is not Verdict.CHALLENGED:
        unit.announce("invoice.payment_failed", invoice)
        if not invoice.hidden.get("holds_back"):
            subscription_states.payment_failed(unit, subscription)
            _give_up_if_last(unit, invoice, subscription)


def paid(unit: Unit, invoice: Record, subscription: Record, *, out_of_band: bool = False) -> None:
    invoicing.mark_paid(unit, invoice, out_of_band=out_of_band)
    if invoice.hidden.get("holds_back") and subscription.body["pending_update"]:
        subscription_states.make_pending_update(unit, subscription)
    subscription_states.invoice_paid(unit, subscription)


def _give_up_if_last(unit: Unit, invoice: Record, subscription: Record) -> None:
    """After the schedule's last attempt the account's settings decide; a first payment has its 23 hours instead."""
    first = invoice.body["billing_reason"] == "subscription_create" and subscription.body["status"] == "incomplete"
    if not first and invoice.body["auto_advance"] and invoice.body["next_payment_attempt"] is None:
        subscription_states.given_up(unit, subscription)

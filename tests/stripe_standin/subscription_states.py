"""What becomes of a subscription: its statuses, the moments at which the clock looks at it, and what it announces.

Source: docs.stripe.com/billing/subscriptions/overview, "Subscription statuses".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from . import invoicing, periods
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "subscription"
ENDED = frozenset({"canceled", "incomplete_expired"})
# A first payment has this long; so has the payment that a held-back change waits for.
INCOMPLETE_SECONDS = 23 * 3_600
TOLD_BEFORE_TRIAL_END = 3 * periods.DAY


def own(unit: Unit, subscription_id: str, *, param: str | None = None) -> Record:
    """A subscription that the stand-in made; one that a test placed is only shown."""
    subscription = unit.need(KIND, subscription_id, param=param)
    if not subscription.hidden.get("made"):
        raise bad_request("This subscription was placed here to be shown; nothing can be done with it.", param=param)
    return subscription


@contextmanager
def changing(unit: Unit, subscription: Record) -> Iterator[Json]:
    """Change its body inside; afterwards it is stored, looked at when it is due, and announced as updated."""
    before = copy.deepcopy(subscription.body)
    yield subscription.body
    store(unit, subscription)
    previous = {name: value for name, value in before.items() if subscription.body[name] != value}
    if previous:
        unit.announce("customer.subscription.updated", subscription, previous=previous)


def store(unit: Unit, subscription: Record) -> None:
    look = _next_look(subscription)
    # A trial that is shorter than three days is told of at once.
    subscription.due_at = None if look is None else max(look, unit.now)
    unit.save(subscription)


def period_of(subscription: Record) -> tuple[int, int]:
    """The running period: all items share it, the stand-in takes one interval per subscription."""
    first = subscription.body["items"]["data"][0]
    return first["current_period_start"], first["current_period_end"]


def set_period(body: Json, start: int, end: int) -> None:
    for item in body["items"]["data"]:
        item |= {"current_period_start": start, "current_period_end": end}


def _next_look(subscription: Record) -> int | None:
    body = subscription.body
    if body["status"] in ENDED:
        return None
    if body["status"] == "incomplete":
        return int(body["created"]) + INCOMPLETE_SECONDS
    moments = [body["cancel_at"], (body["pause_collection"] or {}).get("resumes_at")]
    moments.append((body["pending_update"] or {}).get("expires_at"))
    if body["status"] != "paused":
        moments.append(period_of(subscription)[1])
    if body["status"] == "trialing" and not subscription.hidden.get("trial_end_told"):
        moments.append(body["trial_end"] - TOLD_BEFORE_TRIAL_END)
    return min((moment for moment in moments if moment is not None), default=None)


# What its invoices do to it


def invoice_paid(unit: Unit, subscription: Record) -> None:
    """One of its invoices is paid. It is active again when the latest one that was finalised is."""
    status = subscription.body["status"]
    if status not in ("incomplete", "past_due", "unpaid"):
        return
    if status != "incomplete" and not _latest_is_paid(unit, subscription):
        return
    trial_end = subscription.body["trial_end"]
    with changing(unit, subscription) as body:
        body["status"] = "trialing" if trial_end and trial_end > unit.now else "active"


def _latest_is_paid(unit: Unit, subscription: Record) -> bool:
    finalised = [
        invoice
        for invoice in invoices_of(unit, subscription)
        if invoice.body["status_transitions"]["finalized_at"] and invoice.body["status"] in ("open", "paid")
    ]
    return not finalised or bool(finalised[-1].body["status"] == "paid")


def invoices_of(unit: Unit, subscription: Record) -> list[Record]:
    """Oldest first."""
    return unit.select("invoice", "parent.subscription_details.subscription", subscription.id)


def payment_failed(unit: Unit, subscription: Record) -> None:
    if subscription.body["status"] in ("active", "trialing"):
        with changing(unit, subscription) as body:
            body["status"] = "past_due"


def given_up(unit: Unit, subscription: Record) -> None:
    """The last retry failed: what the account's settings say happens (`afterLastRetry`)."""
    outcome = unit.engine.options.after_last_retry
    if subscription.body["status"] in ENDED or outcome == "past_due":
        return
    if outcome == "cancel":
        end(unit, subscription, reason="payment_failed")
        return
    with changing(unit, subscription) as body:
        body["status"] = "unpaid"


# A change that waits for its payment


def make_pending_update(unit: Unit, subscription: Record) -> None:
    """It is paid: what was held back is done."""
    with changing(unit, subscription) as body:
        body |= {**subscription.hidden.pop("pending"), "pending_update": None}
    unit.announce("customer.subscription.pending_update_applied", subscription)


def drop_pending_update(unit: Unit, subscription: Record) -> None:
    """It wasn't paid in time: its invoice is void, and all stays as it was."""
    for invoice in invoices_of(unit, subscription):
        if invoice.hidden.get("holds_back") and invoice.body["status"] == "open":
            invoicing.void(unit, invoice)
    with changing(unit, subscription) as body:
        body["pending_update"] = None
        del subscription.hidden["pending"]
    unit.announce("customer.subscription.pending_update_expired", subscription)


# Ends


def end(unit: Unit, subscription: Record, *, reason: str) -> None:
    """It is canceled as of now. Its open invoices stay open and are collected no more; drafts are no longer advanced.

    Source: docs.stripe.com/billing/subscriptions/cancel, "What happens to invoices".
    """
    body = subscription.body
    body |= {
        "canceled_at": body["canceled_at"] or unit.now,
        "ended_at": unit.now,
        "pause_collection": None,
        "pending_update": None,
        "status": "canceled",
    }
    body["cancellation_details"] |= {"reason": body["cancellation_details"]["reason"] or reason}
    store(unit, subscription)
    for invoice in invoices_of(unit, subscription):
        if invoice.body["status"] in ("draft", "open"):
            invoice.body |= {"auto_advance": False, "automatically_finalizes_at": None, "next_payment_attempt": None}
            invoice.due_at = None
            unit.save(invoice)
    unit.announce("customer.subscription.deleted", subscription)


def expire_incomplete(unit: Unit, subscription: Record) -> None:
    """The first payment never came: its invoice is void, and nothing revives the subscription."""
    for invoice in invoices_of(unit, subscription):
        if invoice.body["status"] in ("draft", "open"):
            invoicing.void(unit, invoice)
    with changing(unit, subscription) as body:
        body |= {"status": "incomplete_expired", "ended_at": unit.now}

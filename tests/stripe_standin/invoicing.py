"""An invoice's life: drafted, finalised, collected, paid, or given up. Who subscribes to what is told the outcome by
the functions that were registered for it (subscription_states.py).

Source: docs.stripe.com/invoicing/integration/workflow-transitions. A draft is finalised an hour after it was made,
the first invoice of a subscription at once; a failing webhook doesn't hold it back here.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import bill, billing_shapes, charging, ids, shapes
from .bill import Terms, Wanted
from .charging import Verdict
from .errors import Json, bad_request
from .store import Record
from .unit import Unit

KIND = "invoice"
DRAFT_SECONDS = 3_600
# The bank will not change its mind: retries are scheduled, and carried out only with another payment method.
# Source: docs.stripe.com/billing/revenue-recovery/smart-retries, "Non-retryable decline codes".
HARD_DECLINES = frozenset({"incorrect_number", "authentication_required"})


def draft(
    unit: Unit, subscription: Record, wanted: Sequence[Wanted], terms: Terms, *, reason: str,
    period: bill.Period, invoice_id: str | None = None,
) -> Record:  # fmt: skip
    """A draft of this subscription with these lines, which its ticker finalises unless somebody does before."""
    record = composed(unit, subscription, wanted, terms, reason=reason, period=period,
                      invoice_id=invoice_id or ids.new_id("in"))  # fmt: skip
    record.body["automatically_finalizes_at"] = record.due_at = unit.now + DRAFT_SECONDS
    unit.save(record)
    if terms.discount and terms.coupon and terms.coupon["duration"] == "once":
        subscription.body["discounts"] = []
    subscription.body["latest_invoice"] = record.id
    unit.save(subscription)
    unit.announce("invoice.created", record)
    return record


def composed(
    unit: Unit, subscription: Record, wanted: Sequence[Wanted], terms: Terms, *, reason: str,
    period: bill.Period, invoice_id: str,
) -> Record:  # fmt: skip
    """The invoice as it would be; not stored, so that a preview is made by the same code."""
    customer = unit.need("customer", subscription.body["customer"]).body
    body = billing_shapes.invoice(invoice_id, unit.now, currency=terms.currency, customer=customer)
    shown = subscription.body
    details = {"metadata": dict(shown["metadata"]), "subscription": subscription.id}
    body |= {
        "billing_reason": reason,
        "default_payment_method": None,
        "default_tax_rates": shown["default_tax_rates"],
        "description": shown["description"],
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "period_start": period[0],
        "period_end": period[1],
    }
    if shown["automatic_tax"]["enabled"]:
        body["automatic_tax"] |= {
            "enabled": True, "liability": {"type": "self"}, "provider": "stripe", "status": "complete",
        }  # fmt: skip
    lines = bill.write(body, wanted, terms)
    bill.owe(body, customer["balance"])
    return Record(
        unit.caller.account, unit.caller.platform, KIND, body, {"lines": lines, "subscription": subscription.id}
    )


def finalise(unit: Unit, invoice: Record, *, intent: Record | None = None, balance: int | None = None) -> None:
    """Give it its number and open it; one without anything due is paid by that.

    `intent` is one that paid already, `balance` what is reckoned with in place of the customer's balance.
    """
    body = invoice.body
    customer = unit.need("customer", body["customer"])
    bill.owe(body, customer.body["balance"] if balance is None else balance)
    number = customer.body["next_invoice_sequence"]
    kept = body["ending_balance"] if balance is None else customer.body["balance"]
    customer.body |= {"balance": kept, "next_invoice_sequence": number + 1}
    unit.save(customer)
    body |= {
        "automatically_finalizes_at": None,
        "effective_at": unit.now,
        "hosted_invoice_url": f"{unit.engine.base_url}/c/invoice/{invoice.id}",
        "invoice_pdf": f"{unit.engine.base_url}/c/invoice/{invoice.id}/pdf",
        "number": f"{customer.body['invoice_prefix']}-{number:04}",
        "status": "open",
        "webhooks_delivered_at": unit.now,
    }
    body["status_transitions"]["finalized_at"] = unit.now
    invoice.due_at = None
    if body["amount_due"]:
        _ask_for_payment(unit, invoice, intent)
    unit.save(invoice)
    unit.announce("invoice.finalized", invoice)
    if not body["amount_due"]:
        mark_paid(unit, invoice)


def _ask_for_payment(unit: Unit, invoice: Record, intent: Record | None) -> None:
    if intent is None:
        shown = shapes.intent(
            ids.new_id("pi"), unit.now, amount=invoice.body["amount_due"], currency=invoice.body["currency"]
        )
        first = invoice.body["billing_reason"] == "subscription_create"
        shown |= {
            "client_secret": f"{shown['id']}_secret_{ids.random_text(24)}",
            "customer": invoice.body["customer"],
            "description": "Subscription creation" if first else "Subscription update",
            "setup_future_usage": "off_session" if first else None,
        }
        intent = unit.add("payment_intent", shown)
        unit.announce("payment_intent.created", intent)
    intent.hidden |= {"invoice": invoice.id, "return_url": invoice.body["hosted_invoice_url"]}
    unit.save(intent)
    payment = billing_shapes.invoice_payment(ids.new_id("inpay"), unit.now, invoice=invoice.body, intent=intent.id)
    unit.add("invoice_payment", payment)
    invoice.hidden["intent"] = intent.id


def intent_of(unit: Unit, invoice: Record) -> Record | None:
    return unit.get("payment_intent", invoice.hidden.get("intent") or "")


def payment_of(unit: Unit, invoice: Record) -> Record | None:
    return next(iter(unit.select("invoice_payment", "invoice", invoice.id)), None)


# Collecting


def method_of(unit: Unit, subscription: Record) -> Record | None:
    """What an invoice is collected with. Source: smart retries, "Payment method ordering"; no sources here."""
    customer = unit.need("customer", subscription.body["customer"])
    chosen = subscription.body["default_payment_method"]
    found = unit.get("payment_method", chosen or customer.body["invoice_settings"]["default_payment_method"] or "")
    return found if found and found.body["customer"] == customer.id else None  # a detached one pays nothing


def collect(unit: Unit, invoice: Record, method: Record | None, *, off_session: bool) -> Verdict | None:
    """Try to collect an open invoice; None where there is no payment method to try."""
    intent = intent_of(unit, invoice)
    assert intent is not None
    if method is None:
        return None
    verdict = charging.attempt(unit, intent, method, off_session=off_session)
    error = intent.body["last_payment_error"]
    if verdict is Verdict.DECLINED and error["decline_code"] == "authentication_required":
        _wait_for_customer(unit, intent, method)
    hard = verdict is Verdict.DECLINED and (error["decline_code"] or error["code"]) in HARD_DECLINES
    invoice.hidden["refused"] = method.id if hard else None
    return verdict


def _wait_for_customer(unit: Unit, intent: Record, method: Record) -> None:
    """An invoice's payment that needs 3-D Secure can be finished by the customer, with the same card."""
    intent.body |= {
        "next_action": {
            "type": "redirect_to_url",
            "redirect_to_url": {
                "return_url": intent.hidden.get("return_url"),
                "url": f"{unit.engine.base_url}/c/3ds/{intent.id}",
            },
        },
        "payment_method": method.id,
        "status": "requires_action",
    }
    unit.save(intent)
    unit.announce("payment_intent.requires_action", intent)


# Ends


def mark_paid(unit: Unit, invoice: Record, *, out_of_band: bool = False) -> None:
    """It is paid: by its intent, by the balance, or outside of Stripe. The subscription isn't told here."""
    body = invoice.body
    due = body["amount_due"]
    body |= {
        "amount_paid": due,
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    body["status_transitions"]["paid_at"] = unit.now
    if out_of_band:
        body["amount_paid_off_stripe"] = due
    invoice.due_at = None
    unit.save(invoice)
    payment = payment_of(unit, invoice)
    if payment and out_of_band:
        _drop_payment(unit, invoice, payment)
    elif payment:
        payment.body |= {"amount_paid": due, "status": "paid"}
        payment.body["status_transitions"]["paid_at"] = unit.now
        unit.save(payment)
    unit.announce("invoice.paid", invoice)
    unit.announce("invoice.payment_succeeded", invoice)
    if payment and not out_of_band:
        unit.announce("invoice_payment.paid", payment)


def void(unit: Unit, invoice: Record) -> None:
    _close(unit, invoice, "void", "voided_at")
    unit.announce("invoice.voided", invoice)


def mark_uncollectible(unit: Unit, invoice: Record, reason: str) -> None:
    _close(unit, invoice, "uncollectible", "marked_uncollectible_at")
    invoice.body["status_details"] = {"uncollectible": {"reason": reason}}
    unit.save(invoice)
    unit.announce("invoice.marked_uncollectible", invoice)


def _close(unit: Unit, invoice: Record, status: str, stamp: str) -> None:
    body = invoice.body
    body |= {"auto_advance": False, "next_payment_attempt": None, "status": status}
    body["status_transitions"][stamp] = unit.now
    invoice.due_at = None
    unit.save(invoice)
    payment = payment_of(unit, invoice)
    if payment and status == "void":
        _drop_payment(unit, invoice, payment)


def _drop_payment(unit: Unit, invoice: Record, payment: Record) -> None:
    payment.body["status"] = "canceled"
    payment.body["status_transitions"]["canceled_at"] = unit.now
    unit.save(payment)
    intent = intent_of(unit, invoice)
    if intent and intent.body["status"] not in ("succeeded", "canceled"):
        charging.cancel(unit, intent, "void_invoice")


def expect(invoice: Record, statuses: tuple[str, ...], verb: str) -> None:
    status = invoice.body["status"]
    if status not in statuses:
        raise bad_request(f"This invoice can't be {verb}: its status is {status}, not {' or '.join(statuses)}.")


def shown_payments(unit: Unit, invoice_id: str) -> list[Json]:
    return [record.body for record in unit.select("invoice_payment", "invoice", invoice_id)]

"""Event type → handler. What isn't listed is ignored: stored, answered 200, nothing done.

A handler reads the event's object from Stripe and acts on that. What the event carries is as old as its delivery.
"""

from __future__ import annotations

from collections.abc import Callable

from tenants.context import ShopContext
from webhooks.envelope import Envelope
from webhooks.handlers import billing, checkout_session, dispute, fees, payment_intent, refund

Handler = Callable[[ShopContext, Envelope], None]

Foretold = Callable[[ShopContext, Envelope], str]

HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": checkout_session.settle,
    "checkout.session.expired": checkout_session.settle,
    "checkout.session.async_payment_succeeded": checkout_session.settle,
    "checkout.session.async_payment_failed": checkout_session.settle,
    "payment_intent.succeeded": payment_intent.look,
    "payment_intent.payment_failed": payment_intent.look,
    "payment_intent.canceled": payment_intent.look,
    "payment_intent.amount_capturable_updated": payment_intent.look,
    "charge.updated": fees.booked,
    "charge.refunded": refund.of_charge,
    "refund.created": refund.changed,
    "refund.updated": refund.changed,
    "refund.failed": refund.changed,
    "charge.expired": payment_intent.look,
    "charge.dispute.created": dispute.look,
    "charge.dispute.updated": dispute.look,
    "charge.dispute.closed": dispute.look,
    "charge.dispute.funds_withdrawn": dispute.look,
    "charge.dispute.funds_reinstated": dispute.look,
    "invoice.paid": billing.invoice,
    "invoice.payment_failed": billing.invoice,
    "invoice.payment_action_required": billing.invoice,
    "customer.subscription.created": billing.subscription,
    "customer.subscription.updated": billing.subscription,
    "customer.subscription.deleted": billing.subscription,
    "customer.subscription.paused": billing.subscription,
    "customer.subscription.resumed": billing.subscription,
    "customer.subscription.trial_will_end": billing.subscription,
}

# Handler → what it would do now, in a sentence for staff: the dry run of a replay, where one can be told.
FORETOLD: dict[Handler, Foretold] = {
    checkout_session.settle: checkout_session.foretell,
    payment_intent.look: payment_intent.foretell,
    dispute.look: dispute.foretell,
    billing.subscription: billing.foretell_subscription,
    billing.invoice: billing.foretell_invoice,
}

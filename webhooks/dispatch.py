"""Event type → handler. What isn't listed is ignored: stored, answered 200, nothing done."""

from __future__ import annotations

from collections.abc import Callable

from tenants.context import ShopContext
from webhooks.envelope import Envelope
from webhooks.handlers import checkout_session, fees, payment_intent

Handler = Callable[[ShopContext, Envelope], None]

HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": checkout_session.settle,
    "checkout.session.expired": checkout_session.settle,
    "checkout.session.async_payment_succeeded": checkout_session.settle,
    "checkout.session.async_payment_failed": checkout_session.settle,
    "payment_intent.succeeded": payment_intent.succeeded,
    "charge.updated": fees.booked,
}

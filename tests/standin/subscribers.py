"""A plan, somebody who subscribes to it, and what a test wants to know of both afterwards."""

from __future__ import annotations

from typing import Any

import stripe

from tests.standin.shop import SUCCESS
from tests.stripe_standin.running import Running

HOUR, DAY = 3_600, 86_400


def plan(client: stripe.StripeClient, amount: int = 1900, interval: str = "month", **more: Any) -> stripe.Price:
    product = client.v1.products.create({"name": f"Wardrobe {amount}"})
    params: Any = {
        "currency": "eur",
        "unit_amount": amount,
        "product": product.id,
        "recurring": {"interval": interval},
        **more,
    }
    return client.v1.prices.create(params)


def checkout(client: stripe.StripeClient, price: str, quantity: int = 1, **changes: Any) -> stripe.checkout.Session:
    params: Any = {
        "mode": "subscription",
        "success_url": SUCCESS,
        "customer_email": "kim@example.com",
        "line_items": [{"price": price, "quantity": quantity}],
        "subscription_data": {"metadata": {"shop_id": "veil", "order_id": "o-1"}},
    }
    wanted: Any = {name: value for name, value in (params | changes).items() if value is not None}
    return client.v1.checkout.sessions.create(wanted)


def subscribe(
    client: stripe.StripeClient, standin: Running, price: str, *, card: str = "4242424242424242", **changes: Any
) -> stripe.Subscription:
    """Through the payment page, as a customer; returns the subscription as the API shows it then."""
    session = checkout(client, price, **changes)
    answer = standin.control("POST", f"sessions/{session.id}/pay", {"card": card, "wait": False})
    assert answer["state"] == "complete", answer
    return client.v1.subscriptions.retrieve(answer["session"]["subscription"])


def item_of(subscription: stripe.Subscription) -> stripe.SubscriptionItem:
    (item,) = subscription["items"].data
    return item  # type: ignore[no-any-return]


def advance(standin: Running, seconds: int) -> None:
    standin.control("POST", "clock", {"advanceSeconds": seconds})


def advance_to(standin: Running, moment: int) -> None:
    advance(standin, max(0, moment - standin.control("GET", "clock")["now"]))


def invoices(client: stripe.StripeClient, subscription: str) -> list[stripe.Invoice]:
    """Newest first."""
    params: Any = {"subscription": subscription, "expand": ["data.payments"], "limit": 100}
    return client.v1.invoices.list(params).data


def announced(client: stripe.StripeClient, *, after: int = 0, since: int = 0) -> list[str]:
    """The types of the events of the last 30 days, oldest first, but the first `after` and those before `since`."""
    found = client.v1.events.list({"limit": 100, "created": {"gte": since}}).data
    return [str(event.type) for event in found[::-1]][after:]

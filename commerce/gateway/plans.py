"""Products and recurring prices as objects of a Stripe account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import stripe

from commerce.gateway.client import StripeAccess, _call, _options
from commerce.gateway.failures import StripeFailure
from tenants.storable import storable


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """A recurring price. `amount` in Stripe's units of `currency` (ISO 4217, upper case), as it was sent."""

    id: str
    amount: int
    currency: str
    interval: str
    interval_count: int


def create_product(access: StripeAccess, *, params: Mapping[str, Any]) -> None:
    """Makes the product that `params` name by their own `id`, or finds it made. Raises StripeFailure.

    The id is its idempotency key: a second one under it is refused, however late. Source: Stripe, Create a product.
    """
    try:
        _call(
            access,
            "products.create",
            lambda client: client.v1.products.create(cast("Any", dict(params)), cast("Any", _options(access))),
        )
    except StripeFailure as failure:
        if failure.code != "resource_already_exists":
            raise


def create_price(access: StripeAccess, *, params: Mapping[str, Any], key: str) -> PriceFacts:
    """Makes one under a stored key. Raises StripeFailure."""
    return _call(
        access,
        "prices.create",
        lambda client: _facts(
            client.v1.prices.create(cast("Any", dict(params)), cast("Any", _options(access, key))),
        ),
    )


def find_price(access: StripeAccess, lookup_key: str) -> PriceFacts | None:
    """The account's active price under a key that at most one can have. Raises StripeFailure."""
    params = {"lookup_keys": [lookup_key], "active": True, "limit": 1}

    def send(client: stripe.StripeClient) -> PriceFacts | None:
        found = client.v1.prices.list(cast("Any", params), cast("Any", _options(access))).data
        return _facts(found[0]) if found else None

    return _call(access, "prices.list", send)


def _facts(price: stripe.Price) -> PriceFacts:
    plain = storable(price.to_dict(for_json=True))
    recurring = plain.get("recurring") or {}
    return PriceFacts(
        id=str(plain["id"]),
        amount=int(plain.get("unit_amount") or 0),
        currency=str(plain["currency"]).upper(),
        interval=str(recurring.get("interval") or ""),
        interval_count=int(recurring.get("interval_count") or 0),
    )
